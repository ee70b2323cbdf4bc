"""A tariff calendar that acts (class 20) with its special days (class 11): scripts run at the times of the day."""

from collections.abc import Callable
from datetime import datetime, timedelta

from amity.devices.cosem import fields
from amity.devices.cosem.calendar import (
    ACTIVITY_CALENDAR_OBIS,
    SPECIAL_DAYS_OBIS,
    Calendar,
    DayProfile,
    Season,
    SpecialDay,
    WeekProfile,
    action_in_force,
    next_action,
)
from amity.devices.equipment.script_table import Run
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import ACTIVITY_CALENDAR, SPECIAL_DAYS_TABLE
from amity.devices.objects import NOT_SPECIFIED_TIME
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, array, octet_string
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.results import ActionResult

_CATCH_UP_MAX = timedelta(days=400)


class ActivityCalendar:
    """The calendar that holds and the one that waits; `ahead` is by how much the meter's own time is before UTC."""

    def __init__(self, active: Calendar, run: Run, started: datetime, *, ahead: timedelta = timedelta(0)) -> None:
        self.active = self.passive = active
        self.activates_at: datetime | None = None
        self.special_days: tuple[SpecialDay, ...] = ()
        self.ahead = ahead
        self._run = run
        self._done_until = started

    def advance(self, now: datetime) -> None:
        """Do what the calendar says until `now`; a passive calendar becomes the active one when its time comes."""
        self._done_until = max(self._done_until, now - _CATCH_UP_MAX)
        if self.activates_at is not None and self.activates_at <= now:
            self._follow_until(self.activates_at)
            self.activate(max(self.activates_at, self._done_until))
        self._follow_until(now)

    def activate(self, now: datetime) -> ActionResult:
        """Let the passive calendar hold, and what it says of this time of the day."""
        self.active, self.activates_at = self.passive, None
        self.apply(now)
        return ActionResult.SUCCESS

    def apply(self, now: datetime) -> None:
        """Run what is in force now."""
        action = action_in_force(self.active, self._own_time(now), self.special_days)
        if action is not None:
            self._run(action.script, now)

    def _follow_until(self, now: datetime) -> None:
        until = self._own_time(now)
        while found := next_action(self.active, self._own_time(self._done_until), until, self.special_days):
            at, action = found
            self._done_until = (at - self.ahead).replace(tzinfo=now.tzinfo)
            self._run(action.script, self._done_until)
        self._done_until = max(self._done_until, now)

    def _own_time(self, now: datetime) -> datetime:
        return (now + self.ahead).replace(tzinfo=None)


def activity_calendar(calendar: ActivityCalendar, obis: Obis = ACTIVITY_CALENDAR_OBIS) -> StoredObject:
    """Class 20: the calendar as the head-end sees it and prepares the next one."""

    def prepare(changed: Calendar) -> None:
        calendar.passive = changed

    def take_time(value: Data, _now: datetime) -> None:
        at = fields.date_time(value, "activation time")
        calendar.activates_at = None if at.year is None else at.to_utc(-int(calendar.ahead.total_seconds()) // 60)

    def activate(_value: Data, now: datetime) -> ActionResult:
        calendar.passive.check()
        return calendar.activate(now)

    def activation_time(_now: datetime) -> Data:
        at = calendar.activates_at
        return octet_string(NOT_SPECIFIED_TIME if at is None else CosemDateTime.from_utc(at, 0).to_octets())

    return StoredObject(
        ACTIVITY_CALENDAR,
        obis,
        _shown("active", lambda: calendar.active)
        | _shown("passive", lambda: calendar.passive)
        | {"activate_passive_calendar_time": activation_time},
        accept={
            "calendar_name_passive": lambda value, _: prepare(
                calendar.passive._replace(name=fields.octets(value, "calendar name"))
            ),
            "season_profile_passive": lambda value, _: prepare(
                calendar.passive._replace(seasons=fields.elements(value, Season.from_data, "season profile"))
            ),
            "week_profile_table_passive": lambda value, _: prepare(
                calendar.passive._replace(weeks=fields.elements(value, WeekProfile.from_data, "week profile table"))
            ),
            "day_profile_table_passive": lambda value, _: prepare(
                calendar.passive._replace(days=fields.elements(value, DayProfile.from_data, "day profile table"))
            ),
            "activate_passive_calendar_time": take_time,
        },
        methods={"activate_passive_calendar": activate},
    )


def special_days_table(calendar: ActivityCalendar, obis: Obis = SPECIAL_DAYS_OBIS) -> StoredObject:
    """Class 11: the special days of the calendar; an entry with a number that is there replaces the old one."""

    def take(value: Data, now: datetime) -> None:
        calendar.special_days = fields.elements(value, SpecialDay.from_data, "special days")
        calendar.apply(now)

    def insert(value: Data, now: datetime) -> None:
        entry = SpecialDay.from_data(value)
        calendar.special_days = (*_without(entry.number), entry)
        calendar.apply(now)

    def delete(value: Data, now: datetime) -> ActionResult:
        left = _without(fields.number(value, "special day index"))
        if len(left) == len(calendar.special_days):
            return ActionResult.OTHER_REASON
        calendar.special_days = left
        calendar.apply(now)
        return ActionResult.SUCCESS

    def _without(number: int) -> tuple[SpecialDay, ...]:
        return tuple(entry for entry in calendar.special_days if entry.number != number)

    return StoredObject(
        SPECIAL_DAYS_TABLE,
        obis,
        {"entries": lambda _now: array(entry.to_data() for entry in calendar.special_days)},
        accept={"entries": take},
        methods={"insert": insert, "delete": delete},
    )


def _shown(half: str, calendar: Callable[[], Calendar]) -> dict[str, Callable[[datetime], Data]]:
    return {
        f"calendar_name_{half}": lambda _now: octet_string(calendar().name),
        f"season_profile_{half}": lambda _now: array(season.to_data() for season in calendar().seasons),
        f"week_profile_table_{half}": lambda _now: array(week.to_data() for week in calendar().weeks),
        f"day_profile_table_{half}": lambda _now: array(day.to_data() for day in calendar().days),
    }
