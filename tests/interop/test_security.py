"""gurux-dlms reads meters by every mechanism, suite and kind of key that it can do."""

import secrets
from datetime import UTC, datetime
from typing import Any

import pytest

from amity.devices.settings import Authentication
from tests.interop import ledger
from tests.interop.fleets import RunningFleet, running_fleet
from tests.interop.foreign import check_reading, order_for, refusal_to, yesterday

PEER = "gurux-dlms"
GMAC = Authentication.HLS_GMAC


def anchor() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def check(fleet: RunningFleet, protection: str, **changes: Any) -> None:
    served = fleet.meter(0)
    given = {"password": served.entry["password"], "suite": served.entry["suite"]}
    check_reading(served, PEER, protection, **(given | changes))


@pytest.mark.parametrize("how", [Authentication.HLS2, Authentication.HLS_MD5, Authentication.HLS_SHA1], ids=str)
def test_mechanisms_with_a_secret(how: Authentication):
    with running_fleet(1, how, anchor()) as fleet:
        check(fleet, "none")


@pytest.mark.parametrize("protection", ["auth+enc", "general:auth+enc"])
def test_sha256(protection: str):
    with running_fleet(1, Authentication.HLS_SHA256, anchor()) as fleet:
        check(fleet, protection)


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("protection", ["auth+enc", "general:auth+enc"])
def test_suites_with_curves(protection: str, suite: int):
    with running_fleet(1, GMAC, anchor(), suite=suite) as fleet:
        check(fleet, protection)


@pytest.mark.parametrize("suite", [0, 2])
@pytest.mark.parametrize("protection", ["auth+enc", "general:auth+enc"])
def test_a_dedicated_key(protection: str, suite: int):
    with running_fleet(1, GMAC, anchor(), suite=suite) as fleet:
        check(fleet, protection, dedicated_key=secrets.token_hex(32 if suite == 2 else 16))


def signed_order(fleet: RunningFleet) -> dict[str, str]:
    entry = fleet.meter(0).entry
    return {"client_signing": entry["client_signing_key"], "meter_signing": entry["meter_signing_key"]}


def test_signatures():
    with running_fleet(1, Authentication.HLS_ECDSA, anchor(), suite=1) as fleet:
        check(fleet, "auth+enc", **signed_order(fleet))


def test_the_peer_cannot_sign_in_suite_2():
    with running_fleet(1, Authentication.HLS_ECDSA, anchor(), suite=2) as fleet:
        served = fleet.meter(0)
        order = order_for(served, "auth+enc", yesterday(), suite=2, **signed_order(fleet))
        assert "Invalid private key scheme" in refusal_to(PEER, order)
        ledger.defect("no private key of P-384 signs")


def test_a_laboratory_meter_lets_a_client_count_from_1_each_time():
    with running_fleet(1, GMAC, anchor()) as fleet:
        for _ in range(2):
            check(fleet, "auth+enc", invocation_counter=1)
