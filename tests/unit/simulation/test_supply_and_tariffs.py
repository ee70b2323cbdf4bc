"""A household without supply draws nothing, and a calendar says in which tariff it draws: registers, profile, truth."""

from datetime import datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.devices.client import MethodRefusedError, WriteRefusedError, act, get
from amity.devices.client.compact_data import capture_compact
from amity.devices.client.monitoring import set_monitor, set_schedule
from amity.devices.client.named import write
from amity.devices.client.supply import disconnect, read_supply, reconnect, set_control_mode
from amity.devices.client.tariff_calendar import activate_calendar, prepare_calendar, read_calendar
from amity.devices.cosem.calendar import TARIFF_SCRIPTS, Calendar, CosemDate, DayAction
from amity.devices.cosem.disconnect import ControlState
from amity.devices.cosem.limits import NOTHING, MonitoredValue, ScriptCall
from amity.devices.cosem.monitoring import (
    ACTION_SCHEDULE_OBIS,
    DISCONNECT_SCHEDULE_OBIS,
    ExecutionTime,
    ThresholdActions,
)
from amity.devices.equipment.compact_data import COMPACT_DATA_OBIS
from amity.devices.equipment.register_activation import REGISTER_ACTIVATION_OBIS
from amity.devices.equipment.script_table import DISCONNECT_SCRIPTS
from amity.devices.interface_classes import REGISTER_ACTIVATION, Role
from amity.devices.profiles import Quantity
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s
from amity.protocols.dlms.apdu import Attribute, Method
from amity.protocols.dlms.data import decode_all, double_long_unsigned, long_unsigned, octet_string
from amity.simulation.cosem_objects import CURRENT, DAY_TARIFF, NIGHT_TARIFF
from amity.simulation.timeline import Timeline, seconds_on
from tests.unit.simulation.installed import ANCHOR, Installed

IMPORT_INTERVAL = Obis.parse("1.0.1.29.0.255")
START_S = epoch_s(ANCHOR)
QUARTER_S = 900
OPEN = ScriptCall(DISCONNECT_SCRIPTS, 1)
SPANS = st.integers(0, 6 * 3600)


def total_wh(house: Installed, at: datetime, channel: int = 0) -> int:
    return house.meter.element.total(channel, 0, epoch_s(at))


def row_values(house: Installed, start_s: int) -> dict[str, int]:
    """The cells of the load profile's row of an interval, by the name of the column."""
    row = house.meter.rows.of_interval(start_s)
    assert row is not None
    names = house.meter.profile.load_profile.columns
    return dict(zip(names, (cell.value for cell in decode_all(row).items), strict=True))


# ------------------------------------------------------------------ supply
def test_registers_stand_still_without_supply_and_go_on_with_it():
    house = Installed()
    session, led = house.visit(Role.CONTROL)
    led(set_control_mode(session, 4))  # remote reconnection closes the relay by itself
    house.now += timedelta(minutes=7, seconds=30)
    led(disconnect(session))
    stood = total_wh(house, house.now)
    assert stood > total_wh(house, ANCHOR)
    house.now += timedelta(hours=5)
    assert total_wh(house, house.now) == stood
    assert led(get(session, Attribute(3, CURRENT, 2))) == double_long_unsigned(0)
    assert led(reconnect(session)).state is ControlState.CONNECTED
    house.now += timedelta(hours=12)
    assert total_wh(house, house.now) > stood


@pytest.mark.parametrize("number", range(4))
def test_the_load_profile_shows_zero_with_a_good_status(number: int):
    house = Installed(number)
    before_s = START_S - QUARTER_S
    before = row_values(house, before_s)
    session, led = house.visit(Role.CONTROL)
    led(disconnect(session))
    house.now += timedelta(hours=2)
    after = row_values(house, START_S + QUARTER_S)
    energies = {
        found.name for found in house.meter.profile.objects
        if found.name in after and found.quantity not in {Quantity.STATUS, Quantity.VOLTAGE}
    }  # fmt: skip
    assert energies
    running = {name: row_values(house, START_S + 2 * QUARTER_S)[name] - after[name] for name in energies}
    assert set(running.values()) == {0}
    assert house.meter.truth_wh(IMPORT_INTERVAL, START_S + QUARTER_S) == 0
    assert house.meter.truth_wh(IMPORT_INTERVAL, before_s) > 0
    status = [found.name for found in house.meter.profile.objects if found.quantity is Quantity.STATUS]
    assert all(after[name] == before[name] == 0 for name in status if name in after)


@given(first=SPANS, off=SPANS, then=SPANS)
def test_no_watt_hour_is_lost_or_won_by_switching(first: int, off: int, then: int):
    house, whole = Installed(), Installed()
    opened, closed = (ANCHOR + timedelta(seconds=s) for s in (first, first + off))
    end = closed + timedelta(seconds=then)
    house.meter.switch_supply(opened, on=False)
    house.meter.switch_supply(closed, on=True)
    missing = total_wh(whole, end) - total_wh(house, end)
    assert abs(missing - (total_wh(whole, closed) - total_wh(whole, opened))) <= 3  # roundings of three parts
    shown = [total_wh(house, ANCHOR + timedelta(seconds=s)) for s in range(0, first + off + then + 1, 300)]
    assert shown == sorted(shown)


def test_switching_in_the_middle_of_an_interval_counts_its_parts():
    house = Installed()
    whole = house.meter.truth_wh(IMPORT_INTERVAL, START_S)
    house.meter.switch_supply(ANCHOR + timedelta(minutes=5), on=False)
    house.meter.switch_supply(ANCHOR + timedelta(minutes=10), on=True)
    assert house.meter.truth_wh(IMPORT_INTERVAL, START_S) == whole * 600 // 900


# ------------------------------------------------------------------ tariffs
def tariffs_wh(house: Installed, at: datetime) -> tuple[int, int]:
    day = total_wh(house, at, 4)
    return day, total_wh(house, at) - day


def test_the_factory_calendar_changes_nothing():
    house, untouched = Installed(), Installed()
    session, led = house.visit(Role.MANAGEMENT)
    assert led(read_calendar(session)).name == b"STANDARD"
    house.now += timedelta(days=3)
    led(get(session, Attribute(3, DAY_TARIFF, 2)))
    assert tariffs_wh(house, house.now) == tariffs_wh(untouched, house.now)
    assert not house.meter.element.ledger.switching.touched_before(START_S + 10 * 86_400)


def test_another_calendar_counts_in_other_registers():
    house = Installed()
    session, led = house.visit(Role.MANAGEMENT)
    night_only = Calendar.same_every_day(b"NIGHT", [DayAction(time(0), ScriptCall(TARIFF_SCRIPTS, 2))])
    led(prepare_calendar(session, night_only))
    led(activate_calendar(session))
    day, night = tariffs_wh(house, house.now)
    house.now += timedelta(days=1, hours=12)
    led(get(session, Attribute(3, NIGHT_TARIFF, 2)))
    assert tariffs_wh(house, house.now)[0] == day
    assert tariffs_wh(house, house.now)[1] > night
    mask = Attribute(6, REGISTER_ACTIVATION_OBIS, REGISTER_ACTIVATION.index_of("active_mask"))
    assert led(get(session, mask)) == octet_string(b"T2")


def test_a_mask_that_is_written_holds_until_the_calendar_says_otherwise():
    house = Installed()
    session, led = house.visit(Role.MANAGEMENT)
    led(write(session, REGISTER_ACTIVATION, REGISTER_ACTIVATION_OBIS, "active_mask", octet_string(b"T2")))
    day, _ = tariffs_wh(house, house.now)
    house.now += timedelta(hours=10)
    assert tariffs_wh(house, house.now)[0] == day
    house.now += timedelta(days=1)
    led(get(session, Attribute(3, DAY_TARIFF, 2)))
    assert tariffs_wh(house, house.now)[0] > day


# ------------------------------------------------------------------ what acts by a level or a clock
@pytest.mark.parametrize(("script", "day"), [(ScriptCall(TARIFF_SCRIPTS, 2), False), (OPEN, True)])
def test_a_monitor_runs_scripts_with_the_rights_of_management(script: ScriptCall, day: bool):
    house = Installed()
    session, led = house.visit(Role.MANAGEMENT)
    actions = ThresholdActions(script, NOTHING)
    total = house.meter.profile.object_named("import_total")
    level = house.meter.element.total(0, total.scaler, START_S) + 1
    monitored = MonitoredValue(total.class_id, total.obis, 2)
    led(set_monitor(session, monitored, [(double_long_unsigned(level), actions)]))
    house.now += timedelta(hours=1)
    assert led(read_supply(session)).output
    assert house.meter.element.ledger.switching.day_tariff.on(epoch_s(house.now)) is day


@pytest.mark.parametrize(("role", "obis", "supplied"), [
    (Role.CONTROL, DISCONNECT_SCHEDULE_OBIS, False), (Role.MANAGEMENT, ACTION_SCHEDULE_OBIS, True),
])  # fmt: skip
def test_a_schedule_opens_the_relay_at_its_time_where_it_is_of_control(role: Role, obis: Obis, supplied: bool):
    house = Installed()
    session, led = house.visit(role)
    led(set_schedule(session, OPEN, [ExecutionTime(time(13), CosemDate())], obis))
    local_noon = house.meter.profile.clock.standard_offset_min
    house.now = ANCHOR.replace(hour=12, minute=59) - timedelta(minutes=local_noon)
    assert led(read_supply(session)).output
    house.now += timedelta(minutes=1)
    assert led(read_supply(session)).output is supplied


def test_management_opens_the_relay_by_no_script_either():
    house = Installed()
    for role, allowed in ((Role.MANAGEMENT, False), (Role.CONTROL, True)):
        session, led = house.visit(role)
        execute = act(session, Method(9, DISCONNECT_SCRIPTS, 1), long_unsigned(1))
        if allowed:
            led(execute)
        else:
            with pytest.raises(MethodRefusedError, match="read-write-denied"):
                led(execute)
        assert led(read_supply(session)).output is not allowed


def test_management_writes_no_schedule_of_control():
    session, led = Installed().visit(Role.MANAGEMENT)
    with pytest.raises(WriteRefusedError, match="read-write-denied"):
        led(set_schedule(session, OPEN, [], DISCONNECT_SCHEDULE_OBIS))


def test_compact_data_hold_clock_and_register_of_the_same_instant():
    house = Installed()
    session, led = house.visit(Role.MANAGEMENT)
    read = led(capture_compact(session, COMPACT_DATA_OBIS))
    (_, clock), (captured, value) = read.values
    total = house.meter.profile.object_named("import_total")
    assert captured.obis == total.obis
    assert value.value == house.meter.element.instant(total, START_S)
    assert led(get(session, Attribute(8, Obis.parse("0.0.1.0.0.255"), 2))) == clock


# ------------------------------------------------------------------ the timeline itself
def test_a_timeline_is_as_usual_until_it_is_switched():
    line = Timeline(lambda at_s: at_s < 900)
    assert [line.on(at_s) for at_s in (0, 899, 900)] == [True, True, False]
    assert not line.switch(on=True, at_s=100)
    assert line.switch(on=False, at_s=200)
    assert line.switch(on=True, at_s=150)  # no earlier than the last one
    assert line.on(5_000)
    assert seconds_on(0, 900, line) == 900
    assert seconds_on(0, 900, line, Timeline(lambda at_s: at_s >= 200)) == 700
