"""Tariff calendars (classes 11 and 20): which day profile holds on which day, and what happens when in it.

IEC 62056-6-2, 4.5.4 and 4.5.5. Dates and times are those of the meter's own clock; any field of a date may be left open
and then repeats.
"""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import NamedTuple, Self

from amity.devices.cosem import fields
from amity.devices.cosem.limits import ScriptCall
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, Tag, array, long_unsigned, octet_string, structure, unsigned
from amity.protocols.dlms.datetime import CosemDateTime

ACTIVITY_CALENDAR_OBIS = Obis.parse("0.0.13.0.0.255")
SPECIAL_DAYS_OBIS = Obis.parse("0.0.11.0.0.255")
TARIFF_SCRIPTS = Obis.parse("0.0.10.0.100.255")
"""The tariffication script table: script n makes tariff n the active one."""

_TIME_OCTETS, _DATE_OCTETS = 4, 5
_OPEN, _OPEN_YEAR = 0xFF, 0xFFFF
_DAYS_OF_WEEK = 7


class CosemDate(NamedTuple):
    """A date of which any field may be left open (None): it then repeats."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Read five octets."""
        year, *rest = int.from_bytes(octets[:2], "big"), *octets[2:_DATE_OCTETS]
        return cls(None if year == _OPEN_YEAR else year, *(None if field == _OPEN else field for field in rest))

    def to_octets(self) -> bytes:
        """The five octets."""
        year = _OPEN_YEAR if self.year is None else self.year
        return year.to_bytes(2, "big") + bytes(_OPEN if field is None else field for field in self[1:])

    def covers(self, day: date) -> bool:
        """True when every field that is given is that of the day."""
        shown = (day.year, day.month, day.day, day.isoweekday())
        return all(wanted is None or wanted == field for wanted, field in zip(self, shown, strict=True))


class DayAction(NamedTuple):
    """From `at` on the script is in force."""

    at: time
    script: ScriptCall

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        at, table, selector = fields.parts(data, 3, "day profile action")
        return cls(time_of(at, "start time"), ScriptCall.from_data(structure(table, selector)))

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(octet_string(time_octets(self.at)), *self.script.to_data().items)


class DayProfile(NamedTuple):
    """What happens in a day, by its number."""

    day_id: int
    actions: tuple[DayAction, ...]

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        day_id, actions = fields.parts(data, 2, "day profile")
        return cls(
            fields.number(day_id, "day id", Tag.UNSIGNED), fields.elements(actions, DayAction.from_data, "day schedule")
        )

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(unsigned(self.day_id), array(action.to_data() for action in self.actions))


class WeekProfile(NamedTuple):
    """The day profiles of a week from Monday to Sunday."""

    name: bytes
    days: tuple[int, ...]

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        name, *days = fields.parts(data, 1 + _DAYS_OF_WEEK, "week profile")
        return cls(fields.octets(name, "week name"), tuple(fields.number(day, "day id", Tag.UNSIGNED) for day in days))

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(octet_string(self.name), *(unsigned(day) for day in self.days))


class Season(NamedTuple):
    """From `start` on a week profile holds; a start without a year comes every year."""

    name: bytes
    start: CosemDateTime
    week: bytes

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        name, start, week = fields.parts(data, 3, "season")
        return cls(
            fields.octets(name, "season name"),
            fields.date_time(start, "season start"),
            fields.octets(week, "week name"),
        )

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(octet_string(self.name), octet_string(self.start.to_octets()), octet_string(self.week))

    def last_start(self, day: date) -> date | None:
        """When it began last, seen from a day; None when it has not begun yet, or names no day."""
        years = (day.year, day.year - 1) if self.start.year is None else (self.start.year,)
        for year in years:
            try:
                begun = date(year, self.start.month or 1, self.start.day or 1)
            except ValueError:
                continue
            if begun <= day:
                return begun
        return None


class Calendar(NamedTuple):
    """One half of an activity calendar: the one that holds, or the one that waits."""

    name: bytes
    seasons: tuple[Season, ...]
    weeks: tuple[WeekProfile, ...]
    days: tuple[DayProfile, ...]

    @classmethod
    def same_every_day(cls, name: bytes, actions: Iterable[DayAction]) -> Self:
        """One season, one week, one day."""
        start = CosemDateTime(None, 1, 1, None, 0, 0, 0, 0)
        week = WeekProfile(b"W", (1,) * _DAYS_OF_WEEK)
        return cls(name, (Season(b"S", start, b"W"),), (week,), (DayProfile(1, tuple(actions)),))

    def check(self) -> None:
        """Raise ConfigurationError that names the week or day that is referred to and not there."""
        weeks, days = {week.name for week in self.weeks}, {day.day_id for day in self.days}
        for season in self.seasons:
            if season.week not in weeks:
                raise ConfigurationError(f"season {season.name!r} wants week {season.week!r}, which is not there")
        for week in self.weeks:
            if missing := set(week.days) - days:
                raise ConfigurationError(f"week {week.name!r} wants day {min(missing)}, which is not there")

    def actions_on(self, day: date, special: "Iterable[SpecialDay]" = ()) -> tuple[DayAction, ...]:
        """What happens on a day, in the order of time; special days come before the week."""
        day_id = next((entry.day_id for entry in special if entry.on.covers(day)), None)
        day_id = self._day_id(day) if day_id is None else day_id
        actions = next((profile.actions for profile in self.days if profile.day_id == day_id), ())
        return tuple(sorted(actions, key=lambda action: action.at))

    def _day_id(self, day: date) -> int | None:
        begun = [(start, season) for season in self.seasons if (start := season.last_start(day)) is not None]
        if not begun:
            return None
        _, season = max(begun, key=lambda pair: pair[0])
        week = next((week for week in self.weeks if week.name == season.week), None)
        return None if week is None else week.days[day.weekday()]


class SpecialDay(NamedTuple):
    """A day that has its own day profile; `number` is what it is removed by."""

    number: int
    on: CosemDate
    day_id: int

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        number, on, day_id = fields.parts(data, 3, "special day")
        return cls(
            fields.number(number, "special day index", Tag.LONG_UNSIGNED),
            date_of(on, "special day date"),
            fields.number(day_id, "day id", Tag.UNSIGNED),
        )

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(long_unsigned(self.number), octet_string(self.on.to_octets()), unsigned(self.day_id))


def time_octets(at: time) -> bytes:
    """Four octets: hour, minute, second, hundredths."""
    return bytes((at.hour, at.minute, at.second, at.microsecond // 10_000))


def time_of(data: Data, what: str) -> time:
    """A time of day; fields that are left open are zero. Raise RemoteProtocolError when it is none."""
    octets = fields.octets(data, what)
    if len(octets) != _TIME_OCTETS:
        raise fields.wrong(what, data)
    hour, minute, second, hundredths = (0 if field == _OPEN else field for field in octets)
    try:
        return time(hour, minute, second, hundredths * 10_000)
    except ValueError:
        raise fields.wrong(what, data) from None


def date_of(data: Data, what: str) -> CosemDate:
    """A date of five octets; raise RemoteProtocolError when it is none."""
    octets = fields.octets(data, what)
    if len(octets) != _DATE_OCTETS:
        raise fields.wrong(what, data)
    return CosemDate.from_octets(octets)


def next_action(
    calendar: Calendar, after: datetime, until: datetime, special: "Iterable[SpecialDay]" = ()
) -> tuple[datetime, DayAction] | None:
    """The first action in (after, until] of the meter's own, naive time; None when there is none."""
    special = tuple(special)
    day = after.date()
    while day <= until.date():
        for action in calendar.actions_on(day, special):
            at = datetime.combine(day, action.at)
            if after < at <= until:
                return at, action
        day += timedelta(days=1)
    return None


def action_in_force(calendar: Calendar, at: datetime, special: "Iterable[SpecialDay]" = ()) -> DayAction | None:
    """The last action until `at`, of that day or the one before; None when there was none."""
    special = tuple(special)
    before = [(datetime.combine(day, action.at), action)
              for day in (at.date() - timedelta(days=1), at.date())
              for action in calendar.actions_on(day, special)]  # fmt: skip
    begun = [action for start, action in before if start <= at]
    return begun[-1] if begun else None
