"""The tariffs of a simulated meter and what else in it acts by a clock or a level: classes 6, 11, 20, 21, 22 and 62."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from amity.devices.cosem.calendar import TARIFF_SCRIPTS, Calendar, DayAction
from amity.devices.cosem.limits import MonitoredValue, ScriptCall
from amity.devices.equipment.action_schedule import ActionSchedule, single_action_schedule
from amity.devices.equipment.activity_calendar import ActivityCalendar, activity_calendar, special_days_table
from amity.devices.equipment.compact_data import CompactData, compact_data
from amity.devices.equipment.living import Part
from amity.devices.equipment.register_activation import (
    REGISTER_ACTIVATION_OBIS,
    ActiveRegisters,
    register_activation,
)
from amity.devices.equipment.register_monitor import RegisterMonitor, register_monitor
from amity.devices.equipment.script_table import Action, Run, Service
from amity.devices.interface_classes import REGISTER_ACTIVATION
from amity.devices.objects import CaptureObject, CosemObject, ObjectModel, value_in
from amity.devices.profiles import CLOCK_OBIS
from amity.kernel.time import epoch_s
from amity.protocols.dlms.data import Data, octet_string
from amity.simulation.cosem_objects import CURRENT, DAY_TARIFF, NIGHT_TARIFF
from amity.simulation.meter import DAY_TARIFF_HOURS, SimulatedMeter

_DAY, _NIGHT = 1, 2
_MASKS = {_DAY: b"T1", _NIGHT: b"T2"}
_REGISTER, _CLOCK = 3, 8


@dataclass
class Tariffs:
    """Calendar, register activation, monitor, schedule and compact data of one meter; `run` is of management."""

    meter: SimulatedMeter
    started: datetime
    daily: ObjectModel
    run: Run

    def __post_init__(self) -> None:
        """Wire them; the calendar from the factory does what the registers do anyway."""
        ahead = timedelta(minutes=self.meter.profile.clock.standard_offset_min)
        self.calendar = ActivityCalendar(_factory_calendar(), self.run, self.started, ahead=ahead)
        self.monitor = RegisterMonitor(MonitoredValue(_REGISTER, CURRENT, 2), self.level, self.run, self.started)
        self.schedule = ActionSchedule(self.run, self.started, ahead=ahead)
        in_day = self.meter.element.ledger.switching.day_tariff.on(epoch_s(self.started))
        self.active = ActiveRegisters(
            {_MASKS[_DAY]: DAY_TARIFF, _MASKS[_NIGHT]: NIGHT_TARIFF},
            _MASKS[_DAY if in_day else _NIGHT],
            self._activated,
        )

    @property
    def parts(self) -> tuple[Part, ...]:
        """What goes on while nobody looks."""
        return self.calendar, self.schedule, self.monitor

    def scripts(self) -> Mapping[int, Action]:
        """Script n makes tariff n the active one, by writing the active mask."""
        return {tariff: self._script(mask) for tariff, mask in _MASKS.items()}

    def objects(self) -> Iterator[CosemObject]:
        """All of it as COSEM objects."""
        yield register_activation(self.active)
        yield activity_calendar(self.calendar)
        yield special_days_table(self.calendar)
        yield register_monitor(self.monitor)
        yield single_action_schedule(self.schedule)
        total = self.meter.profile.object_named("import_total")
        captured = (CaptureObject(_CLOCK, CLOCK_OBIS, 2), CaptureObject(total.class_id, total.obis, 2))
        yield compact_data(CompactData(captured, self.value))

    def value(self, wanted: CaptureObject, now: datetime) -> Data | None:
        """The value of an attribute of what the meter shows every day, None when it shows none."""
        return value_in(self.daily, wanted, now)

    def level(self, monitored: MonitoredValue, at: datetime) -> int | None:
        """A monitored value as a number, None when there is none."""
        data = self.value(CaptureObject(*monitored), at)
        return data.value if data is not None and isinstance(data.value, int) else None

    def _script(self, mask: bytes) -> Action:
        return Action(
            Service.WRITE, REGISTER_ACTIVATION.class_id, REGISTER_ACTIVATION_OBIS,
            REGISTER_ACTIVATION.index_of("active_mask"), octet_string(mask),
            lambda now: self.active.activate(mask, now),
        )  # fmt: skip

    def _activated(self, mask: bytes, now: datetime) -> None:
        self.meter.switch_tariff(now, day=mask == _MASKS[_DAY])


def _factory_calendar() -> Calendar:
    """Tariff 1 in the hours of the day tariff, tariff 2 in the others, every day of the year."""
    first_h, end_h = DAY_TARIFF_HOURS
    by_day, by_night = ScriptCall(TARIFF_SCRIPTS, _DAY), ScriptCall(TARIFF_SCRIPTS, _NIGHT)
    return Calendar.same_every_day(b"STANDARD", (DayAction(time(first_h), by_day), DayAction(time(end_h), by_night)))
