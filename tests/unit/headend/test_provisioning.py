"""The fleet document becomes endpoints and secrets; what cannot be used is named by meter and field."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.devices.profiles import Catalogue
from amity.headend.ports import Endpoint, Management, MeterSecrets
from amity.headend.provisioning import read_fleet_document
from amity.headend.routes import over_tcp
from amity.kernel.errors import ConfigurationError
from amity.simulation.fleet import FleetSettings, build_fleet, document_entry

ENTRY: dict[str, Any] = {
    "host": "127.0.0.1", "port": 4059, "client": 1, "server": 1, "auth": "hls-gmac", "password": "secret",
    "guek": "00" * 16, "gak": "11" * 16, "system_title": "4352510000000001", "logical_device_name": "CQX0001",
    "serial": "1", "profile": "castellan_c3", "ciphering": "glo", "protection": "authenticated-encrypted",
    "faults": [], "simulated": True,
}  # fmt: skip


def test_a_meter_becomes_its_endpoint_and_its_secrets() -> None:
    provision = read_fleet_document([ENTRY])
    assert provision.endpoints == (
        Endpoint(
            "CQX0001", over_tcp("127.0.0.1", 4059), 1, 1, "hls-gmac", "castellan_c3",
            bytes.fromhex("4352510000000001"), "glo", "authenticated-encrypted",
        ),
    )  # fmt: skip
    assert provision.secrets == {"CQX0001": MeterSecrets(b"secret", bytes(16), b"\x11" * 16)}


def test_what_a_plain_meter_does_not_have_is_empty() -> None:
    needed = ("host", "port", "client", "server", "logical_device_name", "profile")
    plain = {key: ENTRY[key] for key in needed} | {"auth": "none"}
    provision = read_fleet_document([plain])
    assert provision.secrets == {"CQX0001": MeterSecrets()}
    assert (provision.endpoints[0].ciphering, provision.endpoints[0].system_title) == ("", b"")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"port": 0}, "meter CQX0001: port"),
        ({"port": "4059"}, "meter CQX0001: port"),
        ({"client": True}, "meter CQX0001: client"),
        ({"host": ""}, "meter CQX0001: host"),
        ({"profile": None}, "meter CQX0001: profile"),
        ({"logical_device_name": 5}, "meter 1 of the fleet document: logical_device_name"),
        ({"guek": "00"}, "meter CQX0001: guek must have 0 or 16 or 32 octets"),
        ({"gak": "zz"}, "meter CQX0001: gak must be hexadecimal"),
        ({"system_title": "00"}, "meter CQX0001: system_title"),
        ({"auth": "hls-foo"}, "meter CQX0001: auth must be one of none, lls, "),
        ({"auth": None}, "meter CQX0001: auth must be one of none, lls, "),
        ({"ciphering": "glow"}, "meter CQX0001: ciphering must be one of none, glo, "),
        ({"protection": "both"}, "meter CQX0001: protection must be one of none, "),
        ({"nonsense": 1}, "meter CQX0001: nonsense is not a member"),
        ({"gateway": {"network": 3, "device": "01", "hop": 1}}, "gateway of meter CQX0001: hop is not a member"),
    ],
)
def test_what_cannot_be_used_is_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_fleet_document([ENTRY | change])
    assert told in caught.value.what
    assert "zz" not in str(caught.value.lines())


def test_a_meter_that_calls_in_and_one_behind_a_collector_are_known_members() -> None:
    calling = {key: value for key, value in ENTRY.items() if key not in {"host", "port"}} | {"calls_in": True}
    near = ENTRY | {"logical_device_name": "CQX0002", "collector": "DC7"}
    one, other = read_fleet_document([calling, near]).endpoints
    assert (one.route.calls_in, other.route.collector) == (True, "DC7")


def test_a_misspelt_member_is_told_what_was_meant() -> None:
    with pytest.raises(ConfigurationError, match="gatway") as caught:
        read_fleet_document([ENTRY | {"gatway": {"network": 3, "device": "01"}}])
    assert caught.value.next_step == "did you mean gateway?"


def test_a_profile_that_there_is_not_is_refused_where_the_catalogue_is_at_hand() -> None:
    unknown = [ENTRY | {"profile": "nosuch"}]
    assert read_fleet_document(unknown).endpoints[0].profile == "nosuch"
    with pytest.raises(ConfigurationError, match="meter CQX0001: profile cannot be used") as caught:
        read_fleet_document(unknown, Catalogue().profile)
    assert "known profiles: " in str(caught.value.next_step)
    assert read_fleet_document([ENTRY], Catalogue().profile).endpoints[0].profile == "castellan_c3"


@pytest.mark.parametrize(
    "change",
    [
        {"gak": ""},
        {"guek": "", "gak": ""},
        {"gak": "11" * 32},
        {"suite": 2},
        {"auth": "hls-ecdsa"},
        {"auth": "hls2"},
        {"auth": "lls", "password": ""},
        {"signed": True},
    ],
    ids=str,
)
def test_secrets_that_do_not_do_for_the_association_are_refused_where_the_catalogue_is_at_hand(
    change: dict[str, Any],
) -> None:
    with pytest.raises(ConfigurationError, match="CQX0001") as refused:
        read_fleet_document([ENTRY | change], Catalogue().profile)
    assert refused.value.next_step


def test_what_only_the_simulator_says_is_passed_over() -> None:
    meter = build_fleet(FleetSettings(meters=1, seed=3, anchor=datetime(2026, 1, 2, tzinfo=UTC))).meters[0]
    awkward = {"awkward": "lan", "story": "it is far away", "meter": "127.0.0.1:4059"}
    entry = document_entry(meter, "127.0.0.1", 4059)
    assert read_fleet_document([entry | awkward]) == read_fleet_document([entry])


MANAGEMENT: dict[str, Any] = {
    "role": "management", "client": 2, "auth": "hls-gmac", "ciphering": "glo", "protection": "authenticated-encrypted",
    "suite": 0, "guek": "22" * 16, "gak": "33" * 16, "kek": "44" * 16,
}  # fmt: skip
CONTROL: dict[str, Any] = {"role": "control", "client": 3, "guek": "55" * 16, "secret of control": [1]}


def test_a_management_association_comes_with_its_secrets_and_one_for_control_never() -> None:
    provision = read_fleet_document([ENTRY | {"associations": [CONTROL, MANAGEMENT]}], Catalogue().profile)
    alone = read_fleet_document([ENTRY])
    (endpoint,), secrets = provision.endpoints, provision.secrets["CQX0001"]
    assert endpoint.management == Management(2, "hls-gmac", "glo", "authenticated-encrypted", 0)
    assert replace(endpoint, management=None) == alone.endpoints[0]
    assert secrets.management == MeterSecrets(guek=b"\x22" * 16, gak=b"\x33" * 16)
    assert replace(secrets, management=None) == alone.secrets["CQX0001"]


@pytest.mark.parametrize("associations", [None, [], [CONTROL]], ids=str)
def test_a_meter_without_management_has_none(associations: Any) -> None:
    entry = ENTRY | {"associations": associations}
    assert read_fleet_document([entry]) == read_fleet_document([ENTRY])


def test_the_managed_meter_is_the_same_on_the_same_way_with_another_client() -> None:
    entry = ENTRY | {"associations": [MANAGEMENT], "general_blocks": True, "legacy_allowed": True, "signed": True}
    (read,) = read_fleet_document([entry]).endpoints
    managed = read.as_managed
    assert managed is not None
    assert (managed.client, managed.suite, managed.signed, managed.as_managed) == (2, 0, False, None)
    same = ("meter_id", "route", "server", "profile", "system_title", "general_blocks", "legacy_allowed")
    assert all(getattr(managed, name) == getattr(read, name) for name in same)
    assert read_fleet_document([ENTRY]).endpoints[0].as_managed is None


@pytest.mark.parametrize(
    ("associations", "told"),
    [
        ({}, "meter CQX0001: associations must be a list"),
        ([5], "associations 1 of meter CQX0001 must be keys with their values"),
        ([MANAGEMENT, MANAGEMENT], "meter CQX0001: associations must have one for management at most"),
        ([MANAGEMENT | {"role": "reading"}], "associations 1 of meter CQX0001: role must be one of"),
        ([CONTROL, MANAGEMENT | {"guec": "00"}], "associations 2 of meter CQX0001: guec is not a member"),
        ([MANAGEMENT | {"client": 0}], "associations 1 of meter CQX0001: client"),
        ([MANAGEMENT | {"auth": None}], "associations 1 of meter CQX0001: auth must be one of"),
        ([MANAGEMENT | {"gak": "zz"}], "associations 1 of meter CQX0001: gak must be hexadecimal"),
        ([MANAGEMENT | {"gak": ""}], "the management association: meter CQX0001"),
        ([MANAGEMENT | {"suite": 2}], "the management association: meter CQX0001"),
        ([MANAGEMENT | {"auth": "hls-md5", "password": "x"}], "the management association: meter CQX0001"),
        ([MANAGEMENT | {"auth": "lls", "ciphering": "none", "protection": "none"}], "the management association: "),
    ],
)
def test_a_management_association_that_cannot_be_used_is_refused_by_name(associations: Any, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_fleet_document([ENTRY | {"associations": associations}], Catalogue().profile)
    assert refused.value.what.startswith(told)
    assert refused.value.next_step


def test_no_management_password_goes_to_whoever_calls_in() -> None:
    calling = {key: value for key, value in ENTRY.items() if key != "port"} | {"calls_in": True}
    weak = MANAGEMENT | {"auth": "lls", "password": "secret", "ciphering": "none", "protection": "none"}
    assert read_fleet_document([calling | {"associations": [MANAGEMENT]}]).endpoints[0].management is not None
    with pytest.raises(ConfigurationError, match="auth must be one of HLS"):
        read_fleet_document([calling | {"associations": [weak]}])
    assert read_fleet_document([ENTRY | {"associations": [weak]}]).endpoints[0].management == Management(
        2, "lls", "none", "none", 0
    )


@pytest.mark.parametrize("document", [{}, None, "x", [5], [ENTRY, ENTRY]])
def test_what_is_no_fleet_document_is_refused(document: Any) -> None:
    with pytest.raises(ConfigurationError, match="fleet document"):
        read_fleet_document(document)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=9), st.just([]), st.just({}))


ASSOCIATIONS = st.lists(st.dictionaries(st.sampled_from(sorted(MANAGEMENT)), VALUES | st.just("management")))


@given(
    st.lists(
        st.dictionaries(st.sampled_from(sorted(ENTRY)), VALUES)
        | st.builds(lambda found: ENTRY | {"associations": found}, ASSOCIATIONS),
        max_size=3,
    )
)
def test_any_json_is_a_fleet_or_the_one_error(document: Any) -> None:
    try:
        read_fleet_document(document)
    except ConfigurationError as error:
        assert error.next_step  # noqa: PT017 - either way out is right
