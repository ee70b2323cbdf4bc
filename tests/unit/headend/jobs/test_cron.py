"""Cron fields, and what becomes of local times that do not exist or exist twice."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amity.headend.jobs.cron import parse_cron
from amity.kernel.errors import ConfigurationError

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(expression: str, zone: str, after: str, count: int) -> list[str]:
    cron, instant, found = parse_cron(expression, zone), at(after), []
    for _ in range(count):
        instant = cron.after(instant)
        found.append(f"{instant:%Y-%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("15 2 * * *", "2026-11-20 02:14:59", ["2026-11-20 02:15", "2026-11-21 02:15"]),
        ("15 2 * * *", "2026-11-20 02:15:00", ["2026-11-21 02:15"]),
        ("*/20 23 * * *", "2026-11-20 23:00:00", ["2026-11-20 23:20", "2026-11-20 23:40", "2026-11-21 23:00"]),
        ("5,10-12 * * * *", "2026-11-20 00:05:00", ["2026-11-20 00:10", "2026-11-20 00:11", "2026-11-20 00:12"]),
        ("0 0 29 feb *", "2026-11-20 00:00:00", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("0 0 29 2 *", "2096-03-01 00:00:00", ["2104-02-29 00:00"]),
        ("0 6 * * mon-fri", "2026-11-20 06:00:00", ["2026-11-23 06:00"]),
        ("0 6 * * fri-sun", "2026-11-20 05:00:00", ["2026-11-20 06:00", "2026-11-21 06:00", "2026-11-22 06:00"]),
        ("0 6 * * 7", "2026-11-20 06:00:00", ["2026-11-22 06:00"]),
        ("0 6 1 * mon", "2026-11-20 06:00:00", ["2026-11-23 06:00", "2026-11-30 06:00", "2026-12-01 06:00"]),
        ("0 0 */10 * *", "2026-11-20 06:00:00", ["2026-11-21 00:00", "2026-12-01 00:00"]),
        ("@daily", "2026-11-20 06:00:00", ["2026-11-21 00:00"]),
        ("0 10-20/5 * JAN,Dec *", "2026-11-20 06:00:00", ["2026-12-01 10:00", "2026-12-01 15:00", "2026-12-01 20:00"]),
    ],
)
def test_the_next_fires(expression: str, after: str, expected: list[str]) -> None:
    assert fires(expression, "UTC", after, len(expected)) == expected


def test_local_time_moves_with_the_clocks() -> None:
    assert fires("0 6 * * *", BERLIN, "2026-03-28 00:00", 2) == ["2026-03-28 05:00", "2026-03-29 04:00"]


def test_a_time_that_is_skipped_fires_once_when_the_gap_ends() -> None:
    """Berlin, 29 March 2026: after 01:59:59 comes 03:00 (01:00Z)."""
    assert fires("30 2 * * *", BERLIN, "2026-03-28 12:00", 2) == ["2026-03-29 01:00", "2026-03-30 00:30"]
    assert fires("0,15,30 2 * * *", BERLIN, "2026-03-28 12:00", 2) == ["2026-03-29 01:00", "2026-03-30 00:00"]


def test_a_time_that_comes_twice_fires_the_first_time() -> None:
    """Berlin, 25 October 2026: 02:00 to 03:00 comes twice, from 00:00Z and from 01:00Z."""
    assert fires("30 2 * * *", BERLIN, "2026-10-24 12:00", 2) == ["2026-10-25 00:30", "2026-10-26 01:30"]


def test_every_so_many_minutes_keeps_to_elapsed_time_when_an_hour_comes_twice() -> None:
    found = fires("*/30 * * * *", BERLIN, "2026-10-24 23:59", 6)
    assert [one[-5:] for one in found] == ["00:00", "00:30", "01:00", "01:30", "02:00", "02:30"]


def test_every_so_many_minutes_fires_for_no_skipped_time() -> None:
    found = fires("*/30 */1 * * *", BERLIN, "2026-03-29 00:00", 3)
    assert [one[-5:] for one in found] == ["00:30", "01:00", "01:30"]


def test_a_half_hours_change_is_exact() -> None:
    """Lord Howe Island, 4 October 2026: after 01:59:59 comes 02:30 (15:30Z the day before)."""
    assert fires("10 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00", 1) == ["2026-10-03 15:30"]


def test_a_day_that_a_country_left_out_is_made_up_when_the_gap_ends() -> None:
    """Samoa had no 30 December 2011."""
    found = fires("0 12 * * *", "Pacific/Apia", "2011-12-29 23:00", 2)
    assert found == ["2011-12-30 10:00", "2011-12-30 22:00"]


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("* * * *", "4 fields"), ("60 * * * *", "minute"), ("* 24 * * *", "hour"), ("* * 0 * *", "day of month"),
        ("* * * 13 *", "month"), ("* * * * 8", "day of week"), ("*/0 * * * *", "minute"), ("5/2 * * * *", "step"),
        ("9-5 * * * *", "ends before"), ("1,,2 * * * *", "minute"), ("* * * foo *", "name"), ("-1 * * * *", "minute"),
        ("\u0661 * * * *", "minute"), ("1-2-3 * * * *", "minute"), ("", "0 fields"), ("*/x * * * *", "minute"),
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused_by_its_field(expression: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        parse_cron(expression, "UTC")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ConfigurationError, match="no time zone"):
        parse_cron("* * * * *", zone)


def test_a_day_that_never_comes_has_no_fire() -> None:
    assert parse_cron("0 0 30 2 *", "UTC").after(at("2026-01-01 00:00")) is None
    assert parse_cron("0 0 1 1 *", "UTC").after(at("9999-12-31 00:00")) is None


_NUMBERS = st.integers(0, 23).map(str) | st.just("*") | st.just("*/2")


@settings(max_examples=60)
@given(
    minute=st.integers(0, 59),
    hour=_NUMBERS,
    zone=st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    start=st.integers(0, 2 * 365 * 86_400).map(
        lambda second: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    ),
)
def test_fires_rise_and_none_is_passed_over(minute: int, hour: str, zone: str, start: datetime) -> None:
    """Asked from anywhere between two fires, the answer is the second; a fixed time fires once on each local day."""
    cron = parse_cron(f"{minute} {hour} * * *", zone)
    first = cron.after(start)
    second = cron.after(first)
    assert start < first < second
    assert cron.after(first + (second - first) / 2) == second
    assert cron.after(second - timedelta(microseconds=1)) == second
    if "*" not in hour:
        assert second.astimezone(cron.zone).date() - first.astimezone(cron.zone).date() == timedelta(days=1)


@pytest.mark.parametrize(
    ("expression", "gap"),
    [
        ("* * * * *", timedelta(minutes=1)), ("*/7 * * * *", timedelta(minutes=4)), ("0 * * * *", timedelta(hours=1)),
        ("15 0 * * *", timedelta(days=1)), ("0 6,22 * * *", timedelta(hours=8)), ("0 0 * * mon", timedelta(days=7)),
        ("0 0 1 * *", timedelta(days=28)), ("0 0 1 * mon", timedelta(days=1)), ("5 23 31 12 *", timedelta(days=365)),
        ("0 0 29 2 *", timedelta(days=1461)), ("0 0 30 2 *", None),
    ],
)  # fmt: skip
def test_the_shortest_time_between_two_fires_by_the_clock_on_the_wall(expression: str, gap: timedelta | None) -> None:
    assert parse_cron(expression, "Europe/Berlin").shortest_gap() == gap
