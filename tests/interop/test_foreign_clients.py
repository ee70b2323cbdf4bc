"""Clients that nobody here wrote read the meters of `amity simulate`; their answers are held against the truth."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from amity.devices.settings import Authentication
from tests.interop import ledger
from tests.interop.fleets import RunningFleet, running_fleet
from tests.interop.foreign import check_reading, order_for, read_with, refusal_to, yesterday

PLAIN_MODELS = 3


@pytest.fixture(scope="module")
def anchor() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module", params=[Authentication.NONE, Authentication.LLS, Authentication.HLS_GMAC], ids=str)
def plain_fleet(request: pytest.FixtureRequest, anchor: datetime) -> Iterator[RunningFleet]:
    with running_fleet(PLAIN_MODELS, request.param, anchor) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def mixed_fleet(anchor: datetime) -> Iterator[RunningFleet]:
    with running_fleet(10, None, anchor) as fleet:
        yield fleet


@pytest.mark.parametrize("number", range(PLAIN_MODELS))
@pytest.mark.parametrize("peer", ["gurux-dlms", "dlms-cosem"])
def test_plain_models_with_every_authentication(plain_fleet: RunningFleet, peer: str, number: int):
    served = plain_fleet.meter(number)
    check_reading(served, peer, "auth+enc" if served.entry["auth"] == "hls-gmac" else "none")


@pytest.mark.parametrize(
    ("model", "protection", "changes"),
    [
        ("norrvik_n1", "none", {}),
        ("bergholm_b20", "none", {}),
        ("castellan_c3", "auth+enc", {}),
        ("tarn_t4", "general:auth+enc", {}),
        ("quillon_q5", "auth", {"newest": 96}),
    ],
)
def test_gurux_reads_every_model_of_the_town(mixed_fleet: RunningFleet, model: str, protection: str, changes: dict):
    check_reading(mixed_fleet.of_model(model), "gurux-dlms", protection, **changes)


@pytest.mark.parametrize(
    ("model", "protection"), [("norrvik_n1", "none"), ("bergholm_b20", "none"), ("tarn_t4", "general:auth+enc")]
)
def test_dlms_cosem_reads_the_models_it_can(mixed_fleet: RunningFleet, model: str, protection: str):
    check_reading(mixed_fleet.of_model(model), "dlms-cosem", protection)


@pytest.mark.parametrize(
    ("model", "changes", "symptom", "sentence"),
    [
        ("castellan_c3", {}, "Datetime is represented by 12 bytes, but got 2", "it knows no date-time tag in a buffer"),
        ("quillon_q5", {"newest": 96}, "NotImplementedError", "it has no access by entry (NotImplementedError)"),
    ],
)
def test_dlms_cosem_stops_at(mixed_fleet: RunningFleet, model: str, changes: dict, symptom: str, sentence: str):
    order = order_for(mixed_fleet.of_model(model), "auth+enc", yesterday(), **changes)
    assert symptom in refusal_to("dlms-cosem", order)
    ledger.defect(sentence)


@pytest.mark.parametrize("peer", ["gurux-dlms", "dlms-cosem"])
@pytest.mark.parametrize(("auth", "name"), [("lls", "password"), ("hls-gmac", "guek"), ("hls-gmac", "gak")])
def test_a_wrong_secret_opens_nothing(anchor: datetime, peer: str, auth: str, name: str):
    with running_fleet(1, Authentication(auth), anchor) as fleet:
        served = fleet.meter(0)
        wrong = {"password": "password"}.get(name, "00" * 16)
        order = order_for(served, "none" if auth == "lls" else "auth+enc", yesterday(), **{name: wrong})
        assert re.search("authentication.fail", refusal_to(peer, order), re.IGNORECASE)


def test_a_meter_takes_no_invocation_counter_twice(anchor: datetime):
    with running_fleet(1, Authentication.HLS_GMAC, anchor, "--strict-counters") as fleet:
        order = order_for(fleet.meter(0), "auth+enc", yesterday())
        read_with("dlms-cosem", order)
        assert "INVOCATION_COUNTER_ERROR" in refusal_to("dlms-cosem", order)


@pytest.mark.parametrize("peer", ["gurux-dlms", "dlms-cosem"])
def test_a_laboratory_meter_lets_a_simple_client_start_from_one_again(anchor: datetime, peer: str):
    with running_fleet(1, Authentication.HLS_GMAC, anchor) as fleet:
        order = order_for(fleet.meter(0), "auth+enc", yesterday())
        first, again = (read_with(peer, order) for _ in range(2))
        assert again["profile"] == first["profile"]
