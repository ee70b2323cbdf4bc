"""Register monitors, action schedules and compact data: what the meter does, and the head-end's side of it."""

from datetime import datetime, time, timedelta

import pytest

from amity.devices.client import MethodRefusedError
from amity.devices.client.compact_data import capture_compact, read_compact, set_compact_objects
from amity.devices.client.monitoring import read_monitor, read_schedule, set_monitor, set_schedule
from amity.devices.cosem.calendar import CosemDate
from amity.devices.cosem.compact import CaptureMethod, decode_buffer, encode_buffer
from amity.devices.cosem.limits import NOTHING, MonitoredValue, ScriptCall
from amity.devices.cosem.monitoring import ExecutionTime, ScheduleType, ThresholdActions
from amity.devices.equipment.action_schedule import ActionSchedule, single_action_schedule
from amity.devices.equipment.compact_data import COMPACT_DATA_OBIS, CompactData, compact_data
from amity.devices.equipment.register_activation import ActiveRegisters, register_activation
from amity.devices.equipment.register_monitor import RegisterMonitor, register_monitor
from amity.devices.equipment.script_table import DISCONNECT_SCRIPTS, Run
from amity.devices.objects import CaptureObject
from amity.kernel.errors import ConfigurationError, RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import (
    Data,
    array,
    double_long_unsigned,
    enum,
    integer,
    long_unsigned,
    natural,
    octet_string,
    structure,
)
from amity.protocols.dlms.results import DataAccessResult
from tests.unit.devices.conversing import IMPORT, NOW, SERIAL
from tests.unit.devices.equipped import MANAGEMENT, EquippedMeter

VOLTAGE = MonitoredValue(3, Obis.parse("1.0.32.7.0.255"), 2)
OPEN, CLOSE = ScriptCall(DISCONNECT_SCRIPTS, 1), ScriptCall(DISCONNECT_SCRIPTS, 2)
Ran = list[tuple[int, int]]


def noting(ran: Ran, unit: timedelta) -> Run:
    return lambda call, at: ran.append(((at - NOW) // unit, call.selector))


# ------------------------------------------------------------------ register monitor
class Watched:
    """A monitor over a voltage given minute by minute; `ran` is (minute, script)."""

    def __init__(self, volts: list[int]) -> None:
        self.ran: Ran = []

        def measure(_monitored: MonitoredValue, at: datetime) -> int | None:
            return volts[min((at - NOW) // timedelta(minutes=1), len(volts) - 1)]

        self.monitor = RegisterMonitor(VOLTAGE, measure, noting(self.ran, timedelta(minutes=1)), NOW)
        self.meter = EquippedMeter([register_monitor(self.monitor)], [self.monitor])
        self.visit = self.meter.visit(MANAGEMENT)

    def set(self, *levels: tuple[int, ThresholdActions]) -> None:
        typed = [(long_unsigned(level), actions) for level, actions in levels]
        self.visit.lead(set_monitor(self.visit.session, VOLTAGE, typed))


def test_a_script_runs_each_time_a_threshold_is_crossed_either_way():
    watched = Watched([230, 231, 255, 256, 240, 254, 253])
    watched.set((253, ThresholdActions(OPEN, CLOSE)))
    watched.monitor.advance(NOW + timedelta(minutes=6))
    assert watched.ran == [(2, 1), (4, 2), (5, 1)]


def test_every_threshold_has_its_own_actions_and_nothing_is_no_script():
    watched = Watched([230, 230, 300])
    watched.set((250, ThresholdActions(OPEN, NOTHING)), (280, ThresholdActions(CLOSE, NOTHING)))
    watched.monitor.advance(NOW + timedelta(minutes=2))
    assert watched.ran == [(2, 1), (2, 2)]
    read = watched.visit.lead(read_monitor(watched.visit.session))
    assert (read.monitored, read.thresholds) == (VOLTAGE, (250, 280))
    assert read.actions[0] == ThresholdActions(OPEN, NOTHING)


def test_a_value_that_was_above_before_the_threshold_came_has_not_crossed_it():
    watched = Watched([300, 300, 300, 200])
    watched.meter.wait(minutes=1)
    watched.set((250, ThresholdActions(OPEN, CLOSE)))
    watched.monitor.advance(NOW + timedelta(minutes=3))
    assert watched.ran == [(3, 2)]


# ------------------------------------------------------------------ schedule
class Scheduled:
    """A schedule that notes the hours in which its script ran."""

    def __init__(self) -> None:
        self.ran: Ran = []
        self.schedule = ActionSchedule(noting(self.ran, timedelta(hours=1)), NOW, ahead=timedelta(hours=1))
        self.visit = EquippedMeter([single_action_schedule(self.schedule)], [self.schedule]).visit(MANAGEMENT)

    def set(self, *times: ExecutionTime) -> None:
        self.visit.lead(set_schedule(self.visit.session, OPEN, times))


@pytest.mark.parametrize(
    ("times", "kind", "hours"),
    [
        ([(time(3), CosemDate())], ScheduleType.ONE_DATE_OPEN, [2, 26, 50]),
        ([(time(3), CosemDate(2026, 1, 3))], ScheduleType.ONE_DATE_OPEN, [26]),
        ([(time(3), CosemDate(weekday=7))], ScheduleType.ONE_DATE_OPEN, [50]),  # NOW is a Friday
        ([(time(3), CosemDate(2026, 1, 2)), (time(3), CosemDate(2026, 1, 4))], ScheduleType.ONE_TIME_MANY_DATES,
         [2, 50]),
        ([(time(3), CosemDate(2026, 1, 2)), (time(4), CosemDate(2026, 1, 2))], ScheduleType.MANY_TIMES_MANY_DATES,
         [2, 3]),
        ([(time(4), CosemDate()), (time(3), CosemDate(2026, 1, 2))], ScheduleType.MANY_TIMES_MANY_DATES_OPEN,
         [2, 3, 27, 51]),
        ([], ScheduleType.ONE_DATE_OPEN, []),
    ],
)  # fmt: skip
def test_the_script_runs_at_its_times_by_the_meters_clock(
    times: list[tuple[time, CosemDate]], kind: ScheduleType, hours: list[int]
):
    scheduled = Scheduled()
    scheduled.set(*(ExecutionTime(*given) for given in times))
    read = scheduled.visit.lead(read_schedule(scheduled.visit.session))
    assert (read.script, read.kind, read.times) == (OPEN, kind, tuple(ExecutionTime(*given) for given in times))
    scheduled.schedule.advance(NOW + timedelta(days=3))
    assert scheduled.ran == [(hour, 1) for hour in hours]


def test_a_time_that_is_there_twice_is_refused_before_anything_is_written():
    with pytest.raises(ConfigurationError, match="twice"):
        Scheduled().set(*[ExecutionTime(time(3), CosemDate())] * 2)


# ------------------------------------------------------------------ compact data
CAPTURED = (CaptureObject(3, IMPORT, 2), CaptureObject(1, SERIAL, 2))
VALUES = (double_long_unsigned(4711), octet_string(b"0815"))


class Compacting:
    """A meter with compact data whose register counts how often it was captured."""

    def __init__(self) -> None:
        self.count = 4710
        self.compact = CompactData(CAPTURED, self.read, template_id=9)
        self.visit = EquippedMeter([compact_data(self.compact)]).visit(MANAGEMENT)

    def read(self, wanted: CaptureObject, _now: datetime) -> Data | None:
        if wanted == CAPTURED[0]:
            self.count += 1
            return double_long_unsigned(self.count)
        return VALUES[1] if wanted == CAPTURED[1] else None


def test_what_is_captured_is_read_back_with_its_types():
    compacting = Compacting()
    session, lead = compacting.visit.session, compacting.visit.lead
    assert lead(read_compact(session, COMPACT_DATA_OBIS)).values == ()
    read = lead(capture_compact(session, COMPACT_DATA_OBIS))
    assert (read.template_id, read.values) == (9, tuple(zip(CAPTURED, VALUES, strict=True)))
    assert lead(read_compact(session, COMPACT_DATA_OBIS)) == read


def test_another_selection_has_another_template_and_captures_when_it_is_read():
    compacting = Compacting()
    session, lead = compacting.visit.session, compacting.visit.lead
    lead(capture_compact(session, COMPACT_DATA_OBIS))
    method = CaptureMethod.IMPLICIT
    lead(set_compact_objects(session, COMPACT_DATA_OBIS, CAPTURED[1:], template_id=10, method=method))
    read = lead(read_compact(session, COMPACT_DATA_OBIS))
    assert (read.template_id, [value for _, value in read.values]) == (10, [VALUES[1]])


def test_what_the_meter_does_not_have_cannot_be_captured():
    compacting = Compacting()
    session, lead = compacting.visit.session, compacting.visit.lead
    unknown = [CaptureObject(3, SERIAL, 2)]
    lead(
        set_compact_objects(session, COMPACT_DATA_OBIS, unknown, template_id=1, method=CaptureMethod.INVOKED)
    )  # fmt: skip
    with pytest.raises(MethodRefusedError):
        lead(capture_compact(session, COMPACT_DATA_OBIS))


def test_the_buffer_holds_values_without_types_and_the_description_types_without_values():
    buffer, description = encode_buffer(3, (*VALUES, structure(integer(-1), array((enum(7), enum(8))))))
    assert buffer == bytes([3]) + (4711).to_bytes(4, "big") + b"\x040815" + b"\xff\x07\x08"
    assert description == bytes([3, 2, 3, 6, 9, 2, 2, 15, 1, 0, 2, 22])
    assert [natural(value) for value in decode_buffer(buffer, description)] == [4711, b"0815", [-1, [7, 8]]]


@pytest.mark.parametrize(
    ("buffer", "description"),
    [("", "0106"), ("01", ""), ("0100000001", "0206"), ("01000000", "0106"), ("010000000000", "0106"), ("0100", "01"),
     ("0100", "0113"), ("0100", "01ee"), ("010000000100000002", "0106")],
)  # fmt: skip
def test_octets_that_do_not_fit_are_one_typed_error(buffer: str, description: str):
    with pytest.raises(RemoteProtocolError):
        decode_buffer(bytes.fromhex(buffer), bytes.fromhex(description))


# ------------------------------------------------------------------ register activation
def test_a_mask_is_activated_by_its_name_and_no_other():
    activated: list[bytes] = []
    active = ActiveRegisters({b"T1": IMPORT, b"T2": SERIAL}, b"T1", lambda mask, _: activated.append(mask))
    shown = register_activation(active)
    assert shown.set_attribute(4, None, octet_string(b"T2"), NOW) is DataAccessResult.SUCCESS
    assert shown.set_attribute(4, None, octet_string(b"T9"), NOW) is DataAccessResult.OTHER_REASON
    assert (activated, shown.attribute(4, None, NOW)) == ([b"T2"], octet_string(b"T2"))
    assert natural(shown.attribute(3, None, NOW)) == [[b"T1", [1]], [b"T2", [2]]]
