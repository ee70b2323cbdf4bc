import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from amity.devices.settings import Authentication
from amity.kernel.errors import ConfigurationError
from amity.simulation.faults import DEMO_MIX, FaultKind
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet, document_entry
from amity.simulation.serving import serve_fleet

NOW = datetime(2026, 11, 20, 6, 7, 30, tzinfo=UTC)
ISSUE_KEYS = {
    "host", "port", "client", "server", "auth", "password", "guek", "gak", "system_title", "logical_device_name",
    "serial",
}  # fmt: skip


class FixedClock:
    def now(self) -> datetime:
        return NOW


def fleet_of(meters: int, **choices: Any) -> Fleet:
    return build_fleet(FleetSettings(meters=meters, seed=5, anchor=NOW, **choices))


async def test_the_document_is_json_with_what_a_client_needs_and_ports_that_count_up():
    async with serve_fleet(fleet_of(4), clock=FixedClock()) as document:
        entries = json.loads(json.dumps(document))
    assert len(entries) == len({entry["port"] for entry in entries}) == 4
    for entry in entries:
        assert set(entry) >= ISSUE_KEYS
        assert len(bytes.fromhex(entry["guek"])) == len(bytes.fromhex(entry["gak"])) == 16
        assert bytes.fromhex(entry["system_title"])[:3].decode() == entry["logical_device_name"][:3]
        assert len(bytes.fromhex(entry["system_title"])) == 8
        assert entry["auth"] in {"none", "lls", "hls-gmac"}
        assert entry["faults"] == []
        assert entry["simulated"] is True


@pytest.mark.parametrize("port_base", [-1, 65_535, 70_000])
async def test_ports_that_do_not_exist_are_refused(port_base: int):
    with pytest.raises(ConfigurationError, match="port"):
        async with serve_fleet(fleet_of(2), clock=FixedClock(), port_base=port_base):
            pass


def test_the_demo_mix_of_two_hundred_meters_has_a_few_of_each_fault_and_an_outage():
    fleet = fleet_of(200, faults=DEMO_MIX, outage=True)
    entries = [document_entry(meter, "h", 1) for meter in fleet.meters]
    assert all(len(entry["faults"]) <= 1 for entry in entries)
    found = Counter(fault for entry in entries for fault in entry["faults"])
    assert found["silent"] == 3
    assert found["wrong-key"] == 2
    assert found["gap"] == 10
    assert found["spike"] == 1
    assert 8 <= found["outage"] <= 25
    assert set(found) == {*FaultKind, "outage"}
    dark = {entry["transformer"] for entry in entries if entry["faults"] == ["outage"]}
    assert len(dark) == 1
    assert sum(not entry["faults"] for entry in entries) > 140


def test_a_spike_goes_to_a_meter_whose_profile_holds_consumption():
    fleet = fleet_of(50, faults={FaultKind.SPIKE: 0.1})
    spiky = [meter for meter in fleet.meters if FaultKind.SPIKE in meter.kinds]
    assert len(spiky) == 5
    assert all(any(column.endswith("_interval") for column in meter.profile.load_profile.columns) for meter in spiky)


def test_a_wrong_key_goes_to_meters_that_use_their_keys():
    fleet = fleet_of(50, faults={FaultKind.WRONG_KEY: 0.2})
    wrong = [meter for meter in fleet.meters if FaultKind.WRONG_KEY in meter.kinds]
    assert len(wrong) == 10
    assert {meter.profile.association.authentication for meter in wrong} == {Authentication.HLS_GMAC}


def test_a_wrong_key_is_not_the_one_in_the_document():
    fleet = fleet_of(2, fault_of={0: FaultKind.WRONG_KEY})
    wrong, right = fleet.meters
    assert wrong.own_guek != wrong.keys.guek
    assert right.own_guek == right.keys.guek


@pytest.mark.parametrize(("auth", "client"), [("none", 16), ("lls", 1), ("hls-gmac", 1)])
def test_a_forced_authentication_is_in_every_entry(auth: str, client: int):
    entries = [document_entry(meter, "h", 1) for meter in fleet_of(7, auth=Authentication(auth)).meters]
    assert {(entry["auth"], entry["client"]) for entry in entries} == {(auth, client)}


@pytest.mark.parametrize("meters", [0, -3, 20_001])
def test_a_fleet_has_meters_and_not_too_many(meters: int):
    with pytest.raises(ConfigurationError, match="simulated fleet"):
        fleet_of(meters)


def test_a_fault_needs_a_meter_to_go_to():
    with pytest.raises(ConfigurationError, match="number 7"):
        fleet_of(7, fault_of={7: FaultKind.GAP})


def test_an_unknown_meter_is_named():
    with pytest.raises(ConfigurationError, match="XYZ1"):
        fleet_of(1).meter("XYZ1")
