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
        ('cron = "15 0 * * *"', 'cron = "99 0 * * *"', 5, "cron of schedule 'night': .*99.*minute"),
        ('cron = "15 0 * * *"', 'cron = "0 0 30 2 *"', 5, "never comes"),
        (
            'zone = "Europe/Berlin"',
            'zone = "Europe/Bonn"',
            6,
            "zone of schedule 'night': .*no time zone 'Europe/Bonn'.*IANA",
        ),
        ('jitter = "2 h"', 'jitter = "2 weeks"', 11, "jitter of schedule 'night': '2 weeks' is no span"),
        ('jitter = "2 h"', "jitter = 7200", 11, "7200 is no span"),
        ('jitter = "2 h"', 'jitter = "900000 h"', 11, "jitter of schedule 'night': 37500 days.* longer than 1 day, "),
        (
            'every = "15 min"',
            'every = "15 min"\njitter = "16 min"',
            21,
            "jitter of schedule 'often': 0:16:00 is longer",
        ),
        ('"15 0 * * *"', '"0,30 0 * * *"', 11, "jitter of schedule 'night': 2:00:00 is longer than 0:30:00, "),
        ('"mon-fri 07:00-09:00"', '"mo-fr 07:00-09:00"', 12, "'mo-fr' is no day"),
        ('"mon-fri 07:00-09:00"', '"25:00-26:00"', 12, "25:00 is no time of day"),
        (
            'networks = ["10.7.0.0/16"]',
            'networks = ["10.7.0.1/16"]',
            10,
            "'10.7.0.1/16' is no address range.*10.7.0.0/16",
        ),
        ('priority = "bulk"', 'priority = "high"', 14, "'high' is none of alarm, on-demand"),
        ('"profiles", "clock-check"', '"everything"', 7, "'everything' is none of registers, profiles"),
        ('every = "15 min"', 'every = "1 s"', 20, "every of schedule 'often': '1 s' is too short.*5 s"),
        ('every = "15 min"', 'every = "15 min"\ncron = "* * * * *"', 18, "schedule 'often': .*either cron or every"),
        ('name = "often"', 'name = "night"', 19, "two schedules are called 'night'"),
        ('name = "often"', 'nmae = "often"', 19, "no key nmae in schedule number 2"),
        ("per_second = 2.5", "per_second = 0", 24, "throttle.network.per_second: 0 is too small: .* more than 0"),
        ("sessions = 4", "sessions = -4", 27, "sessions: -4 is too small: .* at least 0"),
        ("attempts = 9", "attempts = 0", 29, "retry.attempts: 0 is too small"),
        ("fine_s = 2", "fine_s = 200", 30, "must not fall"),
        ("[retry]", "[rety]", 28, "no key rety"),
        ('name = "often"', "", 18, "schedule number 2 has no name"),
        ('name = "often"', 'name = "of ten"', 19, "'of ten' is no name: .*letters"),
        ('read = ["registers"]', "read = []", 21, "read of schedule 'often': .*empty"),
        ('read = ["registers"]', 'read = "registers"', 21, "'registers' is no list"),
        ('read = ["registers"]', "read = [7]", 21, "7 is none of registers"),
        ('meters = ["DK*"]', "meters = []", 8, "meters of schedule 'night': .*selects no meter"),
        ('profiles = ["quillon_q5"]', "profiles = []", 9, "selects no meter"),
        ('networks = ["10.7.0.0/16"]', "networks = []", 10, "selects no meter"),
        ('meters = ["DK*"]', "meters = [7]", 8, "7 is no text"),
        ('missed = "skip"', 'missed = "never"', 15, "'never' is none of coalesce, each, skip"),
        (
            "valid_from = 2026-11-20",
            'valid_from = "20.11.2026"',
            16,
            "valid_from of schedule 'night': '20.11.2026' is no",
        ),
        ("2027-01-01T00:00:00+01:00", "2026-11-01", 17, "valid_until of schedule 'night': .*after valid_from"),
        ('["mon-fri 07:00-09:00", "sat,sun 22:00-24:00"]', '["00:00-24:00"]', 12, "leave no time to begin"),
        ('deadline = "6h"', 'deadline = "0 s"', 13, "'0 s' is too short"),
        ("sessions = 50", "sessions = 0", 23, "throttle.network.sessions: .*0 .*no meter"),
        ("sessions = 50", "sessions = true", 23, "throttle.network.sessions: true is no whole number"),
        ("sessions = 50", 'sessions = "many"', 23, "'many' is no whole number"),
        ("per_second = 2.5", 'per_second = "fast"', 24, "'fast' is no number"),
        ('"collector:DC.7"', '"DC.7"', 26, "'DC.7' is no gate: .*collector:"),
        ("[throttle.network]", "[throttle.netwrok]", 22, "no key netwrok in throttle"),
        ("attempts = 9", "base_s = 100\nlimit_s = 10", 30, "retry.limit_s: 10 is less than base_s, 100"),
        ("attempts = 9", "base_s = 5000", 28, "retry.limit_s: 3600 is less than base_s, 5000"),
        ("[retry]", "[[retry]]", 28, "retry: .*one pair of brackets"),
        ('name = "night"', 'name = "night', 4, "line 4"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, line: int, reason: str) -> None:
    assert old in FULL
    with pytest.raises(ConfigurationError) as caught:
        parse_plan(FULL.replace(old, new, 1), "schedules.toml")
    assert re.search(reason, caught.value.what), caught.value.what
    if line:
        assert f"schedules.toml, line {line}: " in caught.value.what, caught.value.what
    for raw in ("Input", "should be", "pydantic", "valid "):
        assert raw not in caught.value.what


@pytest.mark.parametrize(
    ("old", "new", "meant"),
    [
        ("jitter =", "jiter =", "jitter"),
        ("[retry]", "[rety]", "retry"),
        ("per_second =", "per_secnd =", "per_second"),
        ("[throttle.network]", "[throttle.netwrok]", "network"),
        ('"profiles", "clock-check"', '"profile", "clock-check"', "profiles"),
        ('missed = "skip"', 'missed = "skipp"', "skip"),
        ('priority = "bulk"', 'priority = "bulky"', "bulk"),
    ],
)
def test_what_was_meant_is_guessed(old: str, new: str, meant: str) -> None:
    assert old in FULL
    with pytest.raises(ConfigurationError) as caught:
        parse_plan(FULL.replace(old, new, 1), "schedules.toml")
    assert f"did you mean {meant}?" in caught.value.next_step


@pytest.mark.parametrize("most", ["24 h", "0 s"])
def test_a_fire_may_be_spread_over_all_the_time_until_the_next(most: str) -> None:
    night = parse_plan(FULL.replace('jitter = "2 h"', f'jitter = "{most}"'), "schedules.toml").schedules[0]
    assert night.jitter in {timedelta(days=1), timedelta(0)}


def test_one_pair_of_brackets_around_a_schedule_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"line 2: schedule: .*\[\[schedule\]\]"):
        parse_plan('\n[schedule]\nname = "night"\n', "schedules.toml")


def test_a_date_in_quotes_is_a_date() -> None:
    quoted = FULL.replace("2026-11-20", '"2026-11-20"').replace("2027-01-01T00:00:00+01:00", '"2027-01-01T00:00+01:00"')
    assert parse_plan(quoted, "schedules.toml") == parse_plan(FULL, "schedules.toml")


def test_a_gate_of_its_own_name_may_be_shut() -> None:
    plan = parse_plan(FULL.replace("sessions = 4", "sessions = 0"), "schedules.toml")
    assert plan.throttle.named == {"collector:DC.7": Limit(0)}


_ODD = (
    "[7]",
    "{}",
    "[[]]",
    "{ a = 1 }",
    "7",
    "-1",
    "true",
    '"x"',
    "nan",
    "inf",
    "1e400",
    "07:32:00",
    "0001-01-01T00:00:00+09:00",
)


def told_of(text: str) -> str:
    """Why it is refused; empty when it is taken. Any other error is a fault of ours."""
    try:
        parse_plan(text, "schedules.toml")
    except ConfigurationError as refusal:
        return refusal.what
    return ""


@pytest.mark.parametrize("odd", _ODD)
def test_whatever_stands_behind_a_key_is_taken_or_refused_with_its_line(odd: str) -> None:
    for number, line in enumerate(FULL.splitlines(), start=1):
        if " = " in line:
            told = told_of(FULL.replace(line, f"{line.partition(' = ')[0]} = {odd}", 1))
            assert not told or told.startswith(f"schedules.toml, line {number}: "), (line, told)


@pytest.mark.parametrize("odd", _ODD)
@pytest.mark.parametrize("key", ["schedule", "throttle", "retry", "clock", "throttle.named", "throttle.all", "other"])
def test_whatever_stands_where_a_table_should_is_refused(key: str, odd: str) -> None:
    empty_table = key not in {"schedule", "other"} and odd == "{}"
    assert bool(told_of(f"{key} = {odd}\n")) is not empty_table


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


NESTED = "a=" + "[" * 5000 + "]" * 5000


def test_what_is_nested_too_deeply_changes_nothing_and_a_restart_goes_on_with_the_last_good(tmp_path: Path) -> None:
    path = tmp_path / "schedules.toml"
    path.write_text(FULL)
    schedules = ScheduleFile(path)
    before = schedules.plan
    path.write_text(NESTED)
    assert not schedules.poll()
    assert "nested too deeply" in str(schedules.refusal)
    again = ScheduleFile(path)
    assert (again.plan, schedules.plan) == (before, before)
    assert "nested too deeply" in str(again.refusal)
