"""Tariff calendars: which day holds, what is done when, and the way from a prepared calendar to an active one."""

from datetime import date, datetime, time, timedelta

import pytest

from amity.devices.client import MethodRefusedError, WriteRefusedError
from amity.devices.client.named import write
from amity.devices.client.tariff_calendar import (
    activate_calendar,
    activate_calendar_at,
    add_special_day,
    prepare_calendar,
    read_calendar,
    read_special_days,
    remove_special_day,
)
from amity.devices.cosem.calendar import (
    ACTIVITY_CALENDAR_OBIS,
    TARIFF_SCRIPTS,
    Calendar,
    CosemDate,
    DayAction,
    DayProfile,
    Season,
    SpecialDay,
    WeekProfile,
    time_of,
)
from amity.devices.cosem.limits import ScriptCall
from amity.devices.equipment.activity_calendar import ActivityCalendar, activity_calendar, special_days_table
from amity.devices.interface_classes import ACTIVITY_CALENDAR
from amity.kernel.errors import ConfigurationError, RemoteProtocolError
from amity.protocols.dlms.data import array, octet_string
from amity.protocols.dlms.datetime import CosemDateTime
from tests.unit.devices.conversing import NOW
from tests.unit.devices.equipped import MANAGEMENT, READING, EquippedMeter

DAY, NIGHT, WEEKEND = (ScriptCall(TARIFF_SCRIPTS, number) for number in (1, 2, 3))
FACTORY = Calendar.same_every_day(b"FACTORY", [DayAction(time(22), NIGHT), DayAction(time(6), DAY)])
WINTER, SUMMER = CosemDateTime(None, 10, 1), CosemDateTime(None, 4, 1)
YEAR = Calendar(
    b"YEAR",
    (Season(b"WINTER", WINTER, b"W"), Season(b"SUMMER", SUMMER, b"S")),
    (WeekProfile(b"W", (1, 1, 1, 1, 1, 2, 2)), WeekProfile(b"S", (1,) * 7)),
    (
        DayProfile(1, (DayAction(time(7, 30), DAY), DayAction(time(21), NIGHT))),
        DayProfile(2, (DayAction(time(0), WEEKEND),)),
    ),
)
HOUR = timedelta(hours=1)


class Billed:
    """A meter whose scripts only note when they ran; NOW is a Friday, 0 h."""

    def __init__(self, ahead: timedelta = timedelta(0)) -> None:
        self.ran: list[tuple[datetime, int]] = []
        self.calendar = ActivityCalendar(
            FACTORY, lambda call, at: self.ran.append((at, call.selector)), NOW, ahead=ahead
        )
        objects = [activity_calendar(self.calendar), special_days_table(self.calendar)]
        self.meter = EquippedMeter(objects, [self.calendar])

    def hours(self, days: int = 1) -> list[tuple[float, int]]:
        self.calendar.advance(NOW + timedelta(days=days))
        return [((at - NOW) / HOUR, script) for at, script in self.ran]


def test_scripts_run_at_the_times_of_the_day_in_their_order():
    assert Billed().hours(2) == [(6, 1), (22, 2), (30, 1), (46, 2)]


def test_the_times_are_those_of_the_meters_own_clock():
    assert Billed(ahead=HOUR).hours() == [(5, 1), (21, 2)]


def test_looking_often_or_once_is_the_same():
    often, once = Billed(), Billed()
    for minute in range(0, 2 * 1440, 7):
        often.calendar.advance(NOW + timedelta(minutes=minute))
    assert often.hours(2) == once.hours(2)


@pytest.mark.parametrize(
    ("day", "scripts"),
    [
        (date(2026, 1, 2), (1, 2)),  # a Friday in the winter that began last October
        (date(2026, 1, 3), (3,)),
        (date(2026, 4, 4), (1, 2)),  # a Saturday in summer
        (date(2026, 10, 3), (3,)),
    ],
)
def test_season_and_week_say_which_day_holds(day: date, scripts: tuple[int, ...]):
    assert tuple(action.script.selector for action in YEAR.actions_on(day)) == scripts


def test_a_special_day_comes_before_the_week():
    new_year = SpecialDay(1, CosemDate(None, 1, 2), 2)
    assert [action.script for action in YEAR.actions_on(date(2031, 1, 2), [new_year])] == [WEEKEND]
    assert len(YEAR.actions_on(date(2031, 1, 1), [new_year])) == 2


def test_a_calendar_is_prepared_read_back_and_activated():
    billed = Billed()
    visit = billed.meter.visit(MANAGEMENT)
    visit.lead(prepare_calendar(visit.session, YEAR))
    assert visit.lead(read_calendar(visit.session, passive=True)) == YEAR
    assert visit.lead(read_calendar(visit.session)) == FACTORY
    billed.meter.wait(hours=8)
    visit.lead(activate_calendar(visit.session))
    assert visit.lead(read_calendar(visit.session)) == YEAR
    assert billed.hours() == [(6, 1), (8, 1), (21, 2), (24, 3)]  # at 8 h what the new calendar says of 8 h


def test_a_calendar_that_is_to_hold_later_does_so_by_itself():
    billed = Billed()
    visit = billed.meter.visit(MANAGEMENT)
    visit.lead(prepare_calendar(visit.session, YEAR))
    visit.lead(activate_calendar_at(visit.session, NOW + 12 * HOUR))
    assert billed.hours() == [(6, 1), (12, 1), (21, 2), (24, 3)]
    assert billed.calendar.activates_at is None
    assert visit.lead(read_calendar(visit.session)).name == b"YEAR"


def test_special_days_are_added_replaced_and_removed():
    billed = Billed()
    visit = billed.meter.visit(MANAGEMENT)
    visit.lead(prepare_calendar(visit.session, YEAR))
    visit.lead(activate_calendar(visit.session))
    tomorrow = SpecialDay(7, CosemDate(2026, 1, 2), 2)
    visit.lead(add_special_day(visit.session, SpecialDay(7, CosemDate(1999), 1)))
    visit.lead(add_special_day(visit.session, tomorrow))
    assert visit.lead(read_special_days(visit.session)) == (tomorrow,)
    assert billed.ran[-1] == (NOW, WEEKEND.selector)
    visit.lead(remove_special_day(visit.session, 7))
    with pytest.raises(MethodRefusedError):
        visit.lead(remove_special_day(visit.session, 7))


def test_who_only_reads_changes_no_calendar():
    visit = Billed().meter.visit(READING)
    with pytest.raises(WriteRefusedError):
        visit.lead(prepare_calendar(visit.session, YEAR))


@pytest.mark.parametrize(
    "broken",
    [YEAR._replace(weeks=YEAR.weeks[:1]), YEAR._replace(days=YEAR.days[:1])],
    ids=["a week is missing", "a day is missing"],
)
def test_a_calendar_that_refers_to_nothing_is_not_even_written(broken: Calendar):
    billed = Billed()
    visit = billed.meter.visit(MANAGEMENT)
    asked = billed.meter.requests
    with pytest.raises(ConfigurationError, match="not there"):
        visit.lead(prepare_calendar(visit.session, broken))
    assert billed.meter.requests == asked


def test_a_meter_does_not_activate_half_a_calendar():
    visit = Billed().meter.visit(MANAGEMENT)
    visit.lead(prepare_calendar(visit.session, YEAR))
    visit.lead(write(visit.session, ACTIVITY_CALENDAR, ACTIVITY_CALENDAR_OBIS, "day_profile_table_passive",
                     array(())))  # fmt: skip
    with pytest.raises(MethodRefusedError):
        visit.lead(activate_calendar(visit.session))


@pytest.mark.parametrize("octets", [b"", bytes(3), bytes(5), b"\x18\x00\x00\x00", b"\x00\x00\x00\x64"])
def test_what_is_no_time_of_day_is_said_to_be_none(octets: bytes):
    with pytest.raises(RemoteProtocolError, match="start time"):
        time_of(octet_string(octets), "start time")
