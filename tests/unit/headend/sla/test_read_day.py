"""By when a day's readings are to be here, worked by hand, on ordinary days and those of a clock change."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from amity.headend.sla.definition import Measure, MeasureKind
from amity.headend.sla.read_day import ReadDay


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def by(minutes: int) -> Measure:
    return Measure(MeasureKind.COMPLETENESS, "", by_minute=minutes)


@pytest.mark.parametrize(
    ("zone", "day", "start", "end", "six", "eight", "midnight", "in_22_h"),
    [
        # an ordinary summer day: local is UTC+1
        ("Europe/London", "2026-06-10", "2026-06-09 23:00", "2026-06-10 23:00",
         "2026-06-11 05:00", "2026-06-11 07:00", "2026-06-11 23:00", "2026-06-11 21:00"),
        # the night after this day loses the hour from 01:00 to 02:00: 06:00 comes five hours after midnight
        ("Europe/London", "2026-03-28", "2026-03-28 00:00", "2026-03-29 00:00",
         "2026-03-29 05:00", "2026-03-29 07:00", "2026-03-29 23:00", "2026-03-29 22:00"),
        # a day of 23 hours
        ("Europe/London", "2026-03-29", "2026-03-29 00:00", "2026-03-29 23:00",
         "2026-03-30 05:00", "2026-03-30 07:00", "2026-03-30 23:00", "2026-03-30 21:00"),
        # the night after this day has 01:00 to 02:00 twice: 06:00 comes seven hours after midnight
        ("Europe/London", "2026-10-24", "2026-10-23 23:00", "2026-10-24 23:00",
         "2026-10-25 06:00", "2026-10-25 08:00", "2026-10-26 00:00", "2026-10-25 21:00"),
        # a day of 25 hours
        ("Europe/London", "2026-10-25", "2026-10-24 23:00", "2026-10-26 00:00",
         "2026-10-26 06:00", "2026-10-26 08:00", "2026-10-27 00:00", "2026-10-26 22:00"),
        ("America/Toronto", "2026-10-31", "2026-10-31 04:00", "2026-11-01 04:00",
         "2026-11-01 11:00", "2026-11-01 13:00", "2026-11-02 05:00", "2026-11-02 02:00"),
        ("Asia/Kolkata", "2026-11-19", "2026-11-18 18:30", "2026-11-19 18:30",
         "2026-11-20 00:30", "2026-11-20 02:30", "2026-11-20 18:30", "2026-11-20 16:30"),
    ],
)  # fmt: skip
def test_days_and_their_deadlines(
    zone: str, day: str, start: str, end: str, six: str, eight: str, midnight: str, in_22_h: str
) -> None:
    read_day = ReadDay(date.fromisoformat(day), ZoneInfo(zone))
    assert read_day.span == (utc(start), utc(end))
    assert [read_day.due(by(60 * hour)) for hour in (6, 8, 24)] == [utc(six), utc(eight), utc(midnight)]
    assert read_day.due(Measure(MeasureKind.COMPLETENESS, "", within=timedelta(hours=22))) == utc(in_22_h)


def test_a_time_that_is_skipped_or_shown_twice() -> None:
    london = ZoneInfo("Europe/London")
    assert ReadDay(date(2026, 3, 28), london).due(by(90)) == utc("2026-03-29 01:30")  # 01:30 is skipped
    assert ReadDay(date(2026, 10, 24), london).due(by(90)) == utc("2026-10-25 00:30")  # the first 01:30
