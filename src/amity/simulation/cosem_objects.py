"""The COSEM objects of a simulated meter: what its profile says, and what every meter of the town has besides."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

import numpy as np

from amity.devices import objects
from amity.devices.equipment.clock import AdjustableClock, clock_object
from amity.devices.equipment.push_setup import Push, push_setup_object, to_tcp
from amity.devices.objects import Answer, CaptureObject, CosemObject
from amity.devices.profile_generic import ProfileGeneric
from amity.devices.profiles import CLOCK_COLUMN, CLOCK_OBIS, MeasuredObject, Selector
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY, epoch_s
from amity.kernel.units import Unit
from amity.protocols.dlms.data import Data, Tag, long_unsigned, octet_string, unsigned
from amity.protocols.dlms.datetime import STATUS_INVALID_CLOCK
from amity.simulation.faults import FaultKind
from amity.simulation.measuring import OCTETS_OF, REACTIVE_EXPORT_CHANNEL, wrapped
from amity.simulation.meter import SimulatedMeter
from amity.simulation.records import DAILY_COLUMNS, daily_rows, event_rows
from amity.simulation.stamps import date_times, deviation_min
from amity.simulation.timeline import DAY_TARIFF_CHANNEL

LOGICAL_DEVICE_NAME = Obis.parse("0.0.42.0.0.255")
SERIAL_NUMBER = Obis.parse("0.0.96.1.0.255")
LAST_EVENT_CODE = Obis.parse("0.0.96.11.0.255")
PUSH_ON_ALARM = Obis.parse("0.4.25.9.0.255")
PUSH_ON_INTERVAL = Obis.parse("0.1.25.9.0.255")
REACTIVE_EXPORT = Obis.parse("1.0.4.8.0.255")
DAY_TARIFF, NIGHT_TARIFF = Obis.parse("1.0.1.8.1.255"), Obis.parse("1.0.1.8.2.255")
CURRENT = Obis.parse("1.0.31.7.0.255")

_CLASS_DATA, _CLASS_CLOCK, _CLASS_EXTENDED_REGISTER = 1, 8, 4
_VOLTS = 231

_CLOCK = CaptureObject(_CLASS_CLOCK, CLOCK_OBIS, 2)


def cosem_objects(meter: SimulatedMeter, push_to: str, push: Push | None = None) -> Iterator[CosemObject]:
    """Every object but those that the server has itself (name, association, security).

    `push_to` is `host:port`, where pushes go; `push` sends what a push set-up says when it is told to.
    """
    yield objects.data_object(SERIAL_NUMBER, octet_string(meter.serial.encode("ascii")))
    yield _clock(meter)
    yield from (_measured(meter, measured) for measured in meter.profile.objects)
    yield from _other_registers(meter)
    yield from _profiles(meter)
    yield objects.data_object(LAST_EVENT_CODE, _last_event_code(meter))
    yield push_setup_object(to_tcp(alarm_captures(), push_to, push), PUSH_ON_ALARM)
    yield push_setup_object(to_tcp(interval_captures(meter), push_to, push), PUSH_ON_INTERVAL)


def alarm_captures() -> tuple[CaptureObject, ...]:
    """What an alarm holds: who, when, which code of the maker."""
    return (
        CaptureObject(_CLASS_DATA, LOGICAL_DEVICE_NAME, 2),
        _CLOCK,
        CaptureObject(_CLASS_DATA, LAST_EVENT_CODE, 2),
    )


def interval_captures(meter: SimulatedMeter) -> tuple[CaptureObject, ...]:
    """What the push at the end of an interval holds: who, and the newest row of the load profile."""
    return (CaptureObject(_CLASS_DATA, LOGICAL_DEVICE_NAME, 2), *_row_captures(meter))


def cell(value: int, tag: Tag) -> bytes:
    """One integer with its tag, wrapped to its width."""
    return bytes([tag]) + wrapped(value, tag).to_bytes(OCTETS_OF[tag], "big")


def _clock(meter: SimulatedMeter) -> CosemObject:
    rules = meter.profile.clock

    def render(shows: datetime, now: datetime) -> Answer:
        shown_s = np.array([epoch_s(shows)], np.int64)
        return octet_string(date_times(shown_s, rules, _clock_status(meter, now)).tobytes())

    return clock_object(
        AdjustableClock(meter.clock_now, measuring_period_s=meter.profile.load_profile.capture_period_s),
        CLOCK_OBIS,
        render,
        deviation_min=deviation_min(rules),
        status=lambda now: unsigned(_clock_status(meter, now)),
    )


def _clock_status(meter: SimulatedMeter, now: datetime) -> int:
    jumped = FaultKind.CLOCK_JUMP in meter.kinds and meter.element.faults.clock_offset_s(epoch_s(now))
    return STATUS_INVALID_CLOCK if jumped else 0


def _measured(meter: SimulatedMeter, measured: MeasuredObject) -> CosemObject:
    def value(now: datetime) -> Answer:
        return cell(meter.element.instant(measured, epoch_s(now)), measured.tag)

    if measured.class_id == _CLASS_DATA:
        return objects.data_object(measured.obis, value)
    if measured.class_id == _CLASS_EXTENDED_REGISTER:
        captured = _capture_time(meter)
        return objects.extended_register(
            measured.obis, value, measured.scaler, measured.unit, status=unsigned(0), capture_time=captured
        )
    return objects.register(measured.obis, value, measured.scaler, measured.unit)


def _capture_time(meter: SimulatedMeter) -> Callable[[datetime], Data]:
    def time(now: datetime) -> Data:
        return octet_string(date_times(np.array([epoch_s(now)], np.int64), meter.profile.clock).tobytes())

    return time


def _other_registers(meter: SimulatedMeter) -> Iterator[CosemObject]:
    """Reactive export, the two tariffs (they add up to the total to the last digit) and the current."""
    total = meter.profile.object_named("import_total")
    channel_of_import, ledger_total = 0, meter.element.total

    def count(channel: int, now: datetime) -> int:
        return ledger_total(channel, total.scaler, epoch_s(now))

    def night(now: datetime) -> bytes:
        return cell(count(channel_of_import, now) - count(DAY_TARIFF_CHANNEL, now), total.tag)

    yield objects.register(
        REACTIVE_EXPORT,
        lambda now: cell(count(REACTIVE_EXPORT_CHANNEL, now), total.tag),
        total.scaler,
        Unit.VAR_HOUR,
    )
    yield objects.register(
        DAY_TARIFF, lambda now: cell(count(DAY_TARIFF_CHANNEL, now), total.tag), total.scaler, total.unit
    )
    yield objects.register(NIGHT_TARIFF, night, total.scaler, total.unit)
    yield objects.register(CURRENT, _milliamperes(meter), -3, Unit.AMPERE)


def _milliamperes(meter: SimulatedMeter) -> Callable[[datetime], bytes]:
    def value(now: datetime) -> bytes:
        watts = sum(meter.element.power_w(channel, epoch_s(now)) for channel in (0, 1))
        return cell(watts * 1000 // _VOLTS, Tag.DOUBLE_LONG_UNSIGNED)

    return value


def _profiles(meter: SimulatedMeter) -> Iterator[CosemObject]:
    """Load profile, daily registers and event log; a meter understands the same selective access for all of them."""
    rules, daily, log = meter.profile.load_profile, meter.profile.daily_profile, meter.profile.event_log
    profile = partial(
        ProfileGeneric,
        sort_object=_CLOCK,
        default_deviation_min=meter.profile.clock.default_deviation_min,
        ranges=Selector.RANGE in rules.access,
        by_entry=Selector.ENTRY in rules.access,
    )
    yield profile(
        obis=rules.obis,
        rows=meter.rows,
        capture_objects=_row_captures(meter),
        capture_period_s=rules.capture_period_s,
        entries_max=rules.entries_max,
    )
    yield profile(
        obis=daily.obis,
        rows=daily_rows(meter),
        capture_objects=(_CLOCK, *(_capture(meter.profile.object_named(name)) for name in DAILY_COLUMNS)),
        capture_period_s=SECONDS_PER_DAY,
        entries_max=daily.entries_max,
    )
    yield profile(
        obis=log.obis,
        rows=event_rows(meter),
        capture_objects=(_CLOCK, CaptureObject(_CLASS_DATA, LAST_EVENT_CODE, 2)),
        capture_period_s=0,  # captured when something happens
        entries_max=log.entries_max,
    )


def _row_captures(meter: SimulatedMeter) -> tuple[CaptureObject, ...]:
    return tuple(
        _CLOCK if name == CLOCK_COLUMN else _capture(meter.profile.object_named(name))
        for name in meter.profile.load_profile.columns
    )


def _capture(measured: MeasuredObject) -> CaptureObject:
    return CaptureObject(measured.class_id, measured.obis, 2)


def _last_event_code(meter: SimulatedMeter) -> Callable[[datetime], Data]:
    def code(now: datetime) -> Data:
        codes = (meter.profile.event_log.code_of(event.kind) for event in meter.happenings.until(epoch_s(now)))
        known = [found for found in codes if found is not None]
        return long_unsigned(known[-1] if known else 0)

    return code
