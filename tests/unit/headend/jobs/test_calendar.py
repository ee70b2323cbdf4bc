"""Jitter that a replay repeats, windows in which nothing begins, schedules that hold for a time."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from amity.domain.jobs import Blackout, JobKind, MissedFires, Place, ReadingSchedule
from amity.headend.jobs.calendar import FIRES_AT_ONCE_MAX, Calendar, jitter
from amity.kernel.errors import ConfigurationError

NIGHT = ReadingSchedule("night", "0 2 * * *", "UTC", (JobKind.PROFILES,))
FIRE = datetime(2026, 11, 20, 2, tzinfo=UTC)  # a Friday
HOUR = timedelta(hours=1)


def test_jitter_is_the_same_in_every_replay_and_another_for_each_meter_fire_and_schedule() -> None:
    assert jitter("night", "M1", FIRE, HOUR) == timedelta(seconds=749)
    others = [("night", "M2", FIRE), ("night", "M1", FIRE + HOUR), ("day", "M1", FIRE)]
    assert jitter("night", "M1", FIRE, HOUR) not in {jitter(*other, HOUR) for other in others}


def test_jitter_spreads_evenly_and_stays_below_its_most() -> None:
    delays = [jitter("night", f"M{n}", FIRE, HOUR).total_seconds() for n in range(4000)]
    assert min(delays) >= 0
    assert max(delays) < 3600
    quarters = [sum(900 * n <= one < 900 * (n + 1) for one in delays) for n in range(4)]
    assert all(900 < quarter < 1100 for quarter in quarters)
    assert jitter("night", "M1", FIRE, timedelta(0)) == timedelta(0)


def test_a_window_pushes_to_its_end_and_spreads_there_again() -> None:
    calendar = Calendar(replace(NIGHT, blackouts=(Blackout(time(1), time(5)),), jitter=HOUR))
    begins = {calendar.begin(f"M{n}", FIRE) for n in range(50)}
    assert min(begins) >= FIRE.replace(hour=5)
    assert max(begins) < FIRE.replace(hour=6)
    assert len(begins) > 40


def test_what_jitter_carries_into_a_window_leaves_it() -> None:
    calendar = Calendar(replace(NIGHT, blackouts=(Blackout(time(2, 30), time(3)),), jitter=HOUR))
    begins = [calendar.begin(f"M{n}", FIRE) for n in range(200)]
    assert not [one for one in begins if FIRE + HOUR / 2 <= one < FIRE + HOUR]
    assert min(begins) < FIRE + HOUR / 2
    assert max(begins) >= FIRE + HOUR


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    thursday = frozenset({3})
    calendar = Calendar(replace(NIGHT, blackouts=(Blackout(time(22), time(4), thursday),)))
    assert calendar.begin("M1", FIRE) == FIRE.replace(hour=4)
    assert calendar.begin("M1", FIRE + timedelta(days=1)) == FIRE + timedelta(days=1)


def test_windows_that_touch_are_left_together() -> None:
    windows = (Blackout(time(1), time(3)), Blackout(time(3), time(4)), Blackout(time(2), time(3, 30)))
    assert Calendar(replace(NIGHT, blackouts=windows)).begin("M1", FIRE) == FIRE.replace(hour=4)


def test_a_window_is_local_time() -> None:
    berlin = replace(NIGHT, zone="Europe/Berlin", blackouts=(Blackout(time(3), time(4)),))
    assert Calendar(berlin).begin("M1", FIRE) == FIRE + HOUR


def test_windows_without_an_end_are_refused() -> None:
    always = (Blackout(time(0), time(12)), Blackout(time(12), time(0)))
    with pytest.raises(ConfigurationError, match="no time to begin"):
        Calendar(replace(NIGHT, blackouts=always)).check()


def test_a_schedule_fires_only_while_it_is_valid() -> None:
    calendar = Calendar(replace(NIGHT, valid_from=FIRE, valid_until=FIRE + timedelta(days=2)))
    assert calendar.next_fire(FIRE - timedelta(days=30)) == FIRE
    assert calendar.next_fire(FIRE) == FIRE + timedelta(days=1)
    assert calendar.next_fire(FIRE + timedelta(days=1)) is None


def test_an_interval_fires_at_its_multiples() -> None:
    calendar = Calendar(replace(NIGHT, every=timedelta(minutes=15)))
    assert calendar.next_fire(FIRE) == FIRE + timedelta(minutes=15)
    assert calendar.next_fire(FIRE - timedelta(seconds=1)) == FIRE
    assert calendar.starts_from(FIRE) == FIRE - timedelta(minutes=15)


def test_a_day_that_never_comes_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="never comes"):
        Calendar(replace(NIGHT, cron="0 0 30 2 *")).check()


def test_after_a_year_away_the_newest_fire_is_found_and_no_more_than_a_years_fires_are_made_up() -> None:
    minutely = replace(NIGHT, cron="* * * * *")
    last = FIRE - timedelta(days=365)
    assert Calendar(minutely).due_fires(last, FIRE) == [FIRE]
    assert Calendar(replace(NIGHT, cron="0 0 1 1 *")).due_fires(last, FIRE) == [datetime(2026, 1, 1, tzinfo=UTC)]
    each = Calendar(replace(minutely, missed=MissedFires.EACH)).due_fires(last, FIRE)
    assert len(each) == FIRES_AT_ONCE_MAX
    assert each[0] == last + timedelta(minutes=1)


def test_the_jobs_of_a_fire_carry_who_wanted_them_and_their_deadline() -> None:
    schedule = replace(NIGHT, kinds=(JobKind.PROFILES, JobKind.EVENTS), deadline=4 * HOUR)
    requests = list(Calendar(schedule).requests("M1", FIRE, Place(network="n")))
    assert [one.kind for one in requests] == [JobKind.PROFILES, JobKind.EVENTS]
    assert {(one.deadline, one.requested_by, one.place.network) for one in requests} == {
        (FIRE + 4 * HOUR, "schedule night", "n")
    }
    assert len({one.job_id for one in requests}) == 2
    assert [one.job_id for one in Calendar(schedule).requests("M1", FIRE, Place())] == [one.job_id for one in requests]
