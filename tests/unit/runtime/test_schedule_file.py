"""schedules.toml: every key arrives, everything wrong is named with its line, an edit holds at once."""

import re
from datetime import UTC, datetime, time, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from amity.domain.jobs import Blackout, GroupSelector, JobKind, MissedFires, Priority, ReadingSchedule
from amity.headend.jobs.plan import JobPlan
from amity.headend.jobs.throttle import Limit
from amity.kernel.errors import ConfigurationError
from amity.runtime.files.schedules import ScheduleFile, packaged_text, parse_plan

FULL = """
take_along = "90 s"
[[schedule]]
name = "night"
cron = "15 0 * * *"
zone = "Europe/Berlin"
read = ["profiles", "clock-check"]
meters = ["DK*"]
profiles = ["quillon_q5"]
networks = ["10.7.0.0/16"]
jitter = "2 h"
blackouts = ["mon-fri 07:00-09:00", "sat,sun 22:00-24:00"]
deadline = "6h"
priority = "bulk"
missed = "skip"
valid_from = 2026-11-20
valid_until = 2027-01-01T00:00:00+01:00
[[schedule]]
name = "often"
every = "15 min"
read = ["registers"]
[throttle.network]
sessions = 50
per_second = 2.5
burst = 5
[throttle.named."collector:DC.7"]
sessions = 4
[retry]
attempts = 9
[clock]
fine_s = 2
"""


def test_every_key_arrives() -> None:
    plan = parse_plan(FULL, "schedules.toml")
    night, often = plan.schedules
    assert night == ReadingSchedule(
        name="night", cron="15 0 * * *", zone="Europe/Berlin", kinds=(JobKind.PROFILES, JobKind.CLOCK_CHECK),
        group=GroupSelector(("DK*",), frozenset({"quillon_q5"}), (ip_network("10.7.0.0/16"),)),
        priority=Priority.BULK, jitter=timedelta(hours=2), deadline=timedelta(hours=6), missed=MissedFires.SKIP,
        blackouts=(Blackout(time(7), time(9), frozenset(range(5))), Blackout(time(22), time(0), frozenset({5, 6}))),
        valid_from=datetime(2026, 11, 20, tzinfo=UTC), valid_until=datetime(2026, 12, 31, 23, tzinfo=UTC),
    )  # fmt: skip
    assert (often.every, often.kinds) == (timedelta(minutes=15), (JobKind.REGISTERS,))
    assert plan.throttle.network == Limit(50, 2.5, 5)
    assert plan.throttle.named == {"collector:DC.7": Limit(4)}
    assert plan.retry.attempts_max == 9
    assert plan.clock.fine == timedelta(seconds=2)
    assert plan.take_along == timedelta(seconds=90)


def test_the_file_as_it_is_written_has_no_schedule_and_its_examples_are_right() -> None:
    assert parse_plan(packaged_text(), "schedules.toml") == JobPlan()
    examples = re.sub(r"(?m)^# (?=\[|\w+ = )", "", packaged_text())
    plan = parse_plan(examples, "schedules.toml")
    assert [one.name for one in plan.schedules] == ["night"]
    assert plan.retry is not None


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ('cron = "15 0 * * *"', 'cron = "99 0 * * *"', 3, "99.*minute"),
        ('cron = "15 0 * * *"', 'cron = "0 0 30 2 *"', 3, "never comes"),
        ('zone = "Europe/Berlin"', 'zone = "Europe/Bonn"', 3, "no time zone 'Europe/Bonn'"),
        ('jitter = "2 h"', 'jitter = "2 weeks"', 11, "jitter.*'2 weeks' is no span"),
        ('jitter = "2 h"', "jitter = 7200", 11, "7200 is no span"),
        ('"mon-fri 07:00-09:00"', '"mo-fr 07:00-09:00"', 12, "'mo-fr' is no day"),
        ('"mon-fri 07:00-09:00"', '"25:00-26:00"', 12, "blackouts.*hour"),
        ('networks = ["10.7.0.0/16"]', 'networks = ["10.7.0.1/16"]', 10, "networks"),
        ('priority = "bulk"', 'priority = "high"', 14, "no priority"),
        ('"profiles", "clock-check"', '"everything"', 7, "read"),
        ('every = "15 min"', 'every = "1 s"', 20, "every of number 2"),
        ('every = "15 min"', 'every = "15 min"\ncron = "* * * * *"', 18, "either cron or every"),
        ('name = "often"', 'name = "night"', 0, "two schedules are called 'night'"),
        ('name = "often"', 'nmae = "often"', 18, "required"),
        ("per_second = 2.5", "per_second = 0", 24, "throttle.network.per_second"),
        ("sessions = 4", "sessions = -4", 27, "sessions"),
        ("attempts = 9", "attempts = 0", 29, "retry.attempts"),
        ("fine_s = 2", "fine_s = 200", 30, "must not fall"),
        ("[retry]", "[rety]", 28, "rety"),
        ('name = "night"', 'name = "night', 4, "line 4"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, line: int, reason: str) -> None:
    assert old in FULL
    with pytest.raises(ConfigurationError) as caught:
        parse_plan(FULL.replace(old, new, 1), "schedules.toml")
    assert re.search(reason, caught.value.what), caught.value.what
    if line:
        assert f"line {line}" in caught.value.what, caught.value.what


def test_an_edit_holds_at_once_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "schedules.toml"
    file = ScheduleFile(path)
    assert (file.plan, path.exists()) == (JobPlan(), True)
    path.write_text(FULL)
    assert file.poll()
    assert len(file.plan.schedules) == 2
    path.write_text(FULL.replace("15 0", "15 99"))
    assert not file.poll()
    assert len(file.plan.schedules) == 2
    assert "line" in file.refusal.what
    assert len(ScheduleFile(path).plan.schedules) == 2, "a restart goes on with the last good one"
