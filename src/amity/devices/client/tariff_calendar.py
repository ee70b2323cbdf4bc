"""A meter's tariff calendar and its special days (classes 20 and 11; IEC 62056-6-2, 4.5.4 and 4.5.5)."""

from datetime import datetime

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.calendar import (
    ACTIVITY_CALENDAR_OBIS,
    SPECIAL_DAYS_OBIS,
    Calendar,
    DayProfile,
    Season,
    SpecialDay,
    WeekProfile,
)
from amity.devices.interface_classes import ACTIVITY_CALENDAR, SPECIAL_DAYS_TABLE
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, array, long_unsigned, octet_string

_PARTS = ("calendar_name", "season_profile", "week_profile_table", "day_profile_table")


def read_calendar(
    session: Session, *, passive: bool = False, obis: Obis = ACTIVITY_CALENDAR_OBIS
) -> Conversation[Calendar]:
    """The calendar that holds, or the one that waits to become it."""
    names = (f"{part}_{'passive' if passive else 'active'}" for part in _PARTS)
    name, seasons, weeks, days = yield from named.read(session, ACTIVITY_CALENDAR, obis, *names)
    return Calendar(
        fields.octets(name, "calendar name"),
        fields.elements(seasons, Season.from_data, "season profile"),
        fields.elements(weeks, WeekProfile.from_data, "week profile table"),
        fields.elements(days, DayProfile.from_data, "day profile table"),
    )


def prepare_calendar(session: Session, calendar: Calendar, obis: Obis = ACTIVITY_CALENDAR_OBIS) -> Conversation[None]:
    """Write the calendar that is to hold next; it changes nothing until it is activated.

    Raises ConfigurationError, before anything is written, for a calendar that refers to what is not in it, and
    WriteRefusedError. The name goes last: a calendar that was cut short does not bear it.
    """
    calendar.check()
    values = {
        "day_profile_table": array(day.to_data() for day in calendar.days),
        "week_profile_table": array(week.to_data() for week in calendar.weeks),
        "season_profile": array(season.to_data() for season in calendar.seasons),
        "calendar_name": octet_string(calendar.name),
    }
    for part, value in values.items():
        yield from named.write(session, ACTIVITY_CALENDAR, obis, f"{part}_passive", value)


def activate_calendar(session: Session, obis: Obis = ACTIVITY_CALENDAR_OBIS) -> Conversation[Data | None]:
    """Let the prepared calendar hold now."""
    return named.call(session, ACTIVITY_CALENDAR, obis, "activate_passive_calendar")


def activate_calendar_at(session: Session, at: datetime, obis: Obis = ACTIVITY_CALENDAR_OBIS) -> Conversation[None]:
    """Let the prepared calendar hold from an instant on."""
    return named.write(session, ACTIVITY_CALENDAR, obis, "activate_passive_calendar_time", fields.instant(at))


# ------------------------------------------------------------------ special days
def read_special_days(session: Session, obis: Obis = SPECIAL_DAYS_OBIS) -> Conversation[tuple[SpecialDay, ...]]:
    """The days with a day profile of their own."""
    (entries,) = yield from named.read(session, SPECIAL_DAYS_TABLE, obis, "entries")
    return fields.elements(entries, SpecialDay.from_data, "special days")


def add_special_day(session: Session, day: SpecialDay, obis: Obis = SPECIAL_DAYS_OBIS) -> Conversation[Data | None]:
    """Add a day; one with the same number is replaced."""
    return named.call(session, SPECIAL_DAYS_TABLE, obis, "insert", day.to_data())


def remove_special_day(session: Session, number: int, obis: Obis = SPECIAL_DAYS_OBIS) -> Conversation[Data | None]:
    """Remove a day by its number; raise MethodRefusedError when there is none."""
    return named.call(session, SPECIAL_DAYS_TABLE, obis, "delete", long_unsigned(number))
