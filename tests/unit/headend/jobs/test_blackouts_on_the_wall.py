"""A blackout window holds whenever the clock on the wall shows a time in it, also in the nights when clocks change."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amity.domain.jobs import Blackout, JobKind, ReadingSchedule
from amity.headend.jobs.calendar import Calendar

ALWAYS = ReadingSchedule("always", "* * * * *", "UTC", (JobKind.PROFILES,))
MINUTE = timedelta(minutes=1)
WEEK = 7 * 1440

NIGHTS = [
    ("Europe/Berlin", "2027-03-28T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30"),  # half an hour
    ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("America/Santiago", "2026-09-06T04:00"),  # over midnight: no 00:00 to 01:00
    ("America/Santiago", "2026-04-05T03:00"),  # 23:00 comes twice
    ("Pacific/Apia", "2011-12-30T10:00"),  # no Friday
    ("UTC", "2026-06-01T00:00"),
]
"""Zones, and the instants (UTC) at which their clocks change."""


def beginning(zone: str, at: str, *windows: Blackout) -> str:
    """When a job of a fire at that instant begins, as the wall of the zone shows it."""
    calendar = Calendar(replace(ALWAYS, zone=zone, blackouts=windows))
    begin = calendar.begin("M1", datetime.fromisoformat(at).replace(tzinfo=UTC))
    return f"{begin.astimezone(ZoneInfo(zone)):%H:%M:%S%z}"


@pytest.mark.parametrize(
    ("start", "end", "at", "begins"),
    [
        (time(2, 30), time(3, 15), "2027-03-28T01:00", "03:15:00+0200"),
        (time(0), time(2, 30), "2027-03-28T00:10", "03:00:00+0200"),
        (time(2, 10), time(2, 50), "2027-03-28T01:00", "03:00:00+0200"),
        (time(2), time(2, 30), "2026-10-25T01:15", "02:30:00+0100"),
        (time(2, 30), time(3, 15), "2026-10-25T00:40", "02:00:00+0100"),
        (time(2, 30), time(3, 15), "2026-10-25T01:40", "03:15:00+0100"),
    ],
)
def test_in_the_nights_of_berlin(start: time, end: time, at: str, begins: str) -> None:
    assert beginning("Europe/Berlin", at, Blackout(start, end)) == begins


def minutes_of_week(window: Blackout) -> Iterator[int]:
    """The minutes of the wall's week, Monday first, that a window takes."""
    start, end = (60 * shown.hour + shown.minute for shown in (window.start, window.end))
    length = end - start if end > start else end - start + 1440
    for weekday in window.weekdays:
        yield from ((weekday * 1440 + start + minute) % WEEK for minute in range(length))


def walked(taken: set[int], zone: ZoneInfo, fire: datetime) -> datetime:
    """The first minute from the fire on that the wall shows outside of every window, found by looking at each."""
    while True:
        shown = fire.astimezone(zone)
        if shown.weekday() * 1440 + shown.hour * 60 + shown.minute not in taken:
            return fire
        fire += MINUTE


_TIMES = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))
_WINDOWS = st.builds(Blackout, _TIMES, _TIMES, st.just(frozenset(range(7))) | st.frozensets(st.integers(0, 6)))


@settings(max_examples=150, deadline=None)
@given(
    night=st.sampled_from(NIGHTS),
    windows=st.lists(_WINDOWS, min_size=1, max_size=3),
    start=st.integers(-1440, 720),
)
def test_nothing_begins_while_the_wall_shows_a_time_of_a_window_and_nothing_later_than_it_may(
    night: tuple[str, str], windows: list[Blackout], start: int
) -> None:
    """Minute by minute through an hour of such a night."""
    zone, change = night
    taken = {minute for window in windows for minute in minutes_of_week(window)}
    if len(taken) > WEEK - 1440:  # hardly a time left: the walk would be long
        return
    calendar = Calendar(replace(ALWAYS, zone=zone, blackouts=tuple(windows)))
    first = datetime.fromisoformat(change).replace(tzinfo=UTC) + start * MINUTE
    for fire in (first + minute * MINUTE for minute in range(0, 240, 7)):
        assert calendar.begin("M1", fire) == walked(taken, ZoneInfo(zone), fire)


def test_a_whole_working_week_of_windows_is_left_at_its_end() -> None:
    hours = tuple(Blackout(time(hour), time((hour + 1) % 24), frozenset(range(5))) for hour in range(24))
    assert beginning("Europe/Berlin", "2026-11-15T23:30", *hours) == "00:00:00+0100"
    calendar = Calendar(replace(ALWAYS, blackouts=hours))
    calendar.check()
    assert calendar.begin("M1", datetime(2026, 11, 16, tzinfo=UTC)) == datetime(2026, 11, 21, tzinfo=UTC)
