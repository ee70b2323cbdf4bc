"""The objects of every packaged model, asked as the server asks them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amity.devices.objects import ObjectTree
from amity.devices.profiles import fictional_keys
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.protocols.dlms.attributes import Attribute
from amity.protocols.dlms.data import Data, decode_all, natural
from amity.protocols.dlms.datetime import STATUS_INVALID_CLOCK, CosemDateTime
from amity.simulation.cosem_objects import cosem_objects
from amity.simulation.faults import FaultKind
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet
from amity.simulation.meter import SimulatedMeter

NOW = datetime(2026, 11, 20, 6, 7, 30, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
CLOCK, PROFILE, DATA, REGISTER = 8, 7, 1, 3


def fleet_of(meters: int = 5, **choices: Any) -> Fleet:
    return build_fleet(FleetSettings(meters=meters, seed=5, anchor=NOW, **choices))


def answer(meter: SimulatedMeter, class_id: int, obis: Obis | str, index: int = 2, now: datetime = NOW) -> Data:
    name = obis if isinstance(obis, Obis) else Obis.parse(obis)
    value = ObjectTree(cosem_objects(meter, "")).attribute(Attribute(class_id, name, index), None, now)
    assert isinstance(value, bytes | Data)
    return decode_all(value) if isinstance(value, bytes) else value


FLEET = fleet_of()


@pytest.mark.parametrize("meter", FLEET.meters, ids=fictional_keys())
def test_every_attribute_of_every_object_has_a_value(meter: SimulatedMeter):
    tree = ObjectTree(cosem_objects(meter, "127.0.0.1:4059"))
    names = [cosem.obis for cosem in tree.objects()]
    assert len(names) == len(set(names))
    for cosem in tree.objects():
        for index in range(1, len(cosem.interface.attributes) + 1):
            value = tree.attribute(Attribute(cosem.interface.class_id, cosem.obis, index), None, NOW)
            assert isinstance(value, bytes | Data), (cosem.obis, index)
            if isinstance(value, bytes):
                decode_all(value)


@pytest.mark.parametrize("meter", FLEET.meters, ids=fictional_keys())
def test_the_two_tariffs_add_up_to_the_total(meter: SimulatedMeter):
    total = meter.profile.object_named("import_total")
    both = [answer(meter, REGISTER, f"1.0.1.8.{tariff}.255").value for tariff in (1, 2)]
    assert sum(both) == answer(meter, total.class_id, total.obis).value
    assert min(both) > 0


@pytest.mark.parametrize("meter", FLEET.meters, ids=fictional_keys())
def test_the_night_tariff_does_not_count_by_day(meter: SimulatedMeter):
    noon, afternoon = NOW.replace(hour=11, minute=0), NOW.replace(hour=14, minute=0)
    before, after = (answer(meter, REGISTER, "1.0.1.8.2.255", now=at).value for at in (noon, afternoon))
    assert abs(after - before) <= 1  # both registers round down on their own


@given(first=st.integers(0, 59 * 96), length=st.integers(0, 200), channel=st.integers(0, 3), number=st.integers(0, 4))
@settings(max_examples=60)
def test_register_differences_are_sums_of_true_intervals(first: int, length: int, channel: int, number: int):
    meter = FLEET.meters[number]
    start_s = meter.element.ledger.installed_day * 86_400 + first * 900
    obis = Obis.parse(f"1.0.{channel + 1}.29.0.255")
    resolution = meter._scaler(channel)
    moved = meter.element.total(channel, resolution, start_s + length * 900) - meter.element.total(
        channel, resolution, start_s
    )
    truth = sum(meter.truth_wh(obis, start_s + slot * 900) for slot in range(length))
    assert moved * 10 ** (resolution + 1) == truth * 10


def test_the_truth_of_a_day_is_that_of_its_intervals_and_of_nothing_else():
    meter = FLEET.meters[0]
    obis, day = Obis.parse("1.0.1.29.0.255"), NOW_S // 86_400 - 1
    whole = meter.truth_of_day(obis, day)
    assert whole.shape == (96,)
    assert [meter.truth_wh(obis, (day * 96 + slot) * 900) for slot in range(96)] == whole.tolist()
    with pytest.raises(ConfigurationError, match=r"1\.0\.32\.7"):
        meter.truth_of_day(Obis.parse("1.0.32.7.0.255"), day)


def test_the_clock_drifts_a_little_and_shows_local_standard_time():
    for meter in FLEET.meters:
        shown = CosemDateTime.from_octets(answer(meter, CLOCK, "0.0.1.0.0.255").value)
        off = shown.to_utc(meter.profile.clock.default_deviation_min) - NOW
        assert abs(off) < timedelta(seconds=30)
        assert shown.hour == 7
    offsets = {round(meter.drift.seconds_ahead(NOW_S), 3) for meter in FLEET.meters}
    assert len(offsets) == 5


def test_a_jumped_clock_says_that_it_is_invalid():
    meter = fleet_of(fault_of={0: FaultKind.CLOCK_JUMP}).meters[0]
    jumped_at = NOW.replace(hour=11) - timedelta(days=1)
    shown = CosemDateTime.from_octets(answer(meter, CLOCK, "0.0.1.0.0.255", now=jumped_at).value)
    assert shown.status & STATUS_INVALID_CLOCK
    assert shown.to_utc(meter.profile.clock.default_deviation_min) - jumped_at > timedelta(hours=1.9)
    assert CosemDateTime.from_octets(answer(meter, CLOCK, "0.0.1.0.0.255").value).status == 0


def test_the_event_log_tells_of_an_outage_with_the_makers_code():
    fleet = fleet_of(40, outage=True)
    dark = next(meter for meter in fleet.meters if meter.happenings.outages)
    rows = natural(answer(dark, PROFILE, dark.profile.event_log.obis))
    time, code = rows[-1]
    assert dark.profile.event_log.kind_of(code) == "power-down"
    told = CosemDateTime.from_octets(time).to_utc(dark.profile.clock.default_deviation_min)
    assert told.timestamp() == dark.happenings.outages[0].start_s
    assert natural(answer(dark, DATA, "0.0.96.11.0.255")) == code


def test_power_is_about_what_the_running_interval_uses():
    for meter in FLEET.meters:
        watts = answer(meter, REGISTER, "1.0.1.7.0.255").value
        interval_wh = int(meter.element.ledger.energies(NOW_S // 86_400)[NOW_S % 86_400 // 900, 0])
        assert abs(watts - interval_wh * 4) <= interval_wh * 0.5
        assert 2_200 < answer(meter, REGISTER, "1.0.32.7.0.255").value < 2_400


def test_the_same_seed_gives_the_same_octets_and_another_seed_others():
    again = fleet_of()
    other = build_fleet(FleetSettings(meters=5, seed=6, anchor=NOW))
    for meter, twin, stranger in zip(FLEET.meters, again.meters, other.meters, strict=True):
        obis = meter.profile.load_profile.obis
        assert answer(meter, PROFILE, obis) == answer(twin, PROFILE, obis)
        assert stranger.meter_id not in {one.meter_id for one in FLEET.meters}
        assert stranger.keys.guek != meter.keys.guek


def test_a_fleet_built_hours_later_from_the_same_anchor_goes_on():
    meter, twin = fleet_of().meters[1], fleet_of().meters[1]
    later = NOW + timedelta(days=9)
    total = meter.profile.object_named("import_total")
    before = meter.element.total(0, total.scaler, NOW_S)
    assert twin.element.total(0, total.scaler, int(later.timestamp())) > before
    assert meter.element.total(0, total.scaler, int(later.timestamp())) == twin.element.total(
        0, total.scaler, int(later.timestamp())
    )
