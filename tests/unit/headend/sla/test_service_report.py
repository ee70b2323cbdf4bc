"""Reports worked by hand: who counts, what is in time, what is still open, and the evidence against."""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest

from amity.domain.jobs import JobKind, JobState, Priority
from amity.domain.spans import TimeSpan
from amity.headend.sla.definition import parse_service_level, preset
from amity.headend.sla.evidence_file import EvidenceFile
from amity.headend.sla.records import JobRecord, completions_of
from amity.headend.sla.report import PERCENTILES, Result, ServiceReport, Verdict, report

DAY = date(2026, 3, 28)  # the night after it loses an hour in London: 06:00 is 05:00Z, 24:00 is 23:00Z
START, END = datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 29, tzinfo=UTC)
SIX = datetime(2026, 3, 29, 5, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 29, 23, tzinfo=UTC)
LATER = datetime(2026, 4, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

LEVEL = parse_service_level(
    """
    title = "By hand"
    zone = "Europe/London"
    [[measure]]
    kind = "completeness"
    name = "six"
    by = "06:00"
    target = 0.5
    [[measure]]
    kind = "completeness"
    name = "midnight"
    by = "24:00"
    target = 0.8
    [[measure]]
    kind = "latency"
    name = "25 s"
    priorities = ["on-demand"]
    within_s = 25
    target = 0.6
    [[measure]]
    kind = "success"
    name = "clocks"
    jobs = ["clock-set"]
    """,
    "by-hand.toml",
)


def profile(meter: str, finished: datetime | None, started: datetime = END, **changes: object) -> JobRecord:
    state = JobState.WAITING if finished is None else JobState.DONE
    begun = None if finished is None else started
    one = JobRecord(f"p-{meter}", meter, JobKind.PROFILES, Priority.SCHEDULED, state, END, begun, finished)
    return one._replace(**changes)  # type: ignore[arg-type]


def on_demand(number: int, seconds: float | None, state: JobState = JobState.DONE, **changes: object) -> JobRecord:
    asked = START + timedelta(hours=9)
    done = None if seconds is None else asked + timedelta(seconds=seconds)
    one = JobRecord(f"d-{number}", "A", JobKind.REGISTERS, Priority.ON_DEMAND, state, asked, asked, done)
    return one._replace(**changes)  # type: ignore[arg-type]


def made(records: Iterable[JobRecord], meters: str = "ABCDE", now: datetime = LATER) -> ServiceReport:
    held = list(records)
    groups = {meter: ("vowels",) if meter in "AE" else ("consonants",) for meter in meters}
    return report(LEVEL, DAY, groups, lambda: held, now)


def result(of: ServiceReport, measure: str, group: str = "all") -> Result:
    (found,) = (one for one in of.results if (one.measure.name, one.group) == (measure, group))
    return found


NIGHT = [
    profile("A", SIX - SECOND),
    profile("B", SIX),  # at the stroke of six is late
    profile("C", MIDNIGHT - SECOND),
    profile("D", SIX - SECOND, started=END - SECOND),  # began before the day was over: its last interval is not there
    # E: nothing at all
]


def test_completeness_by_hand() -> None:
    night = made(NIGHT)
    six, midnight = result(night, "six"), result(night, "midnight")
    assert (six.met, six.counted, six.share, six.kept) == (1, 5, 0.2, False)
    assert (midnight.met, midnight.counted, midnight.share, midnight.kept) == (3, 5, 0.6, False)
    assert (result(night, "six", "vowels").share, result(night, "six", "vowels").kept) == (0.5, True)
    assert result(night, "midnight", "consonants").share == 2 / 3


def test_evidence_names_every_meter_that_counts_against() -> None:
    against = [one for one in made(NIGHT).against if one.measure == "six"]
    assert [(one.meter_id, one.due, one.done, one.why) for one in against] == [
        ("B", SIX, SIX, "late"),
        ("C", SIX, MIDNIGHT - SECOND, "late"),
        ("D", SIX, None, "nothing brought it"),
        ("E", SIX, None, "nothing brought it"),
    ]
    told = profile("E", None, state=JobState.DEAD, told="no answer in time")
    assert [one.why for one in made([*NIGHT, told]).against if one.meter_id == "E"] == ["no answer in time"] * 2


def test_what_may_still_be_met_is_open_and_not_judged() -> None:
    early = made(NIGHT[:1], now=SIX - SECOND)
    six = result(early, "six")
    assert (six.met, six.open_, six.share, six.kept) == (1, 4, 1.0, None)
    assert early.against == ()
    assert result(made(NIGHT[:1], now=SIX), "six").open_ == 0
    assert result(made([], "", LATER), "six").share is None


def test_the_first_job_that_brings_the_day_counts() -> None:
    later = profile("A", SIX + SECOND, job_id="late")
    for records in ([later, NIGHT[0]], [NIGHT[0], later]):
        assert completions_of(records, TimeSpan(START, END), {JobKind.PROFILES})["A"].at == SIX - SECOND


@pytest.mark.parametrize(
    ("span", "brings"),
    [
        (TimeSpan(START, END), True),
        (TimeSpan(START - SECOND, END + SECOND), True),
        (TimeSpan(START + SECOND, END), False),
        (TimeSpan(START, END - SECOND), False),
    ],
)
def test_a_stretch_that_was_made_up_counts_when_it_holds_the_whole_day(span: TimeSpan, brings: bool) -> None:
    assert result(made([profile("A", SIX - SECOND, span=span)]), "six").met == brings


def test_other_jobs_bring_no_day() -> None:
    assert result(made([profile("A", SIX - SECOND, kind=JobKind.PING)]), "six").met == 0


def test_latency_by_hand() -> None:
    seconds = [1, 2, 3, 4, 5, 6, 7, 8, 25, 25.001]
    records = [on_demand(number, one) for number, one in enumerate(seconds)]
    records += [
        on_demand(20, None, JobState.DEAD, told="no answer"),
        on_demand(21, None, JobState.EXPIRED),
        on_demand(22, None, JobState.WAITING),
        on_demand(23, 3, JobState.CANCELLED),
        on_demand(24, 3, asked_at=END),  # another day's
        on_demand(25, 3, priority=Priority.SCHEDULED),
    ]
    latency = result(made(records), "25 s")
    assert (latency.counted, latency.met, latency.excluded, latency.open_) == (13, 9, 1, 0)
    assert (latency.share, latency.kept) == (9 / 13, True)
    assert latency.percentiles() == {50: 5, 90: 25, 95: 25.001, 99: 25.001, 100: 25.001}
    against = [(one.by, one.why) for one in made(records).against if one.measure == "25 s"]
    assert against == [("d-9", "late"), ("d-20", "no answer"), ("d-21", "expired"), ("d-22", "not begun")]


def test_only_what_was_withdrawn_while_it_still_had_time_is_excluded() -> None:
    records = [
        on_demand(1, 25, JobState.CANCELLED, told="discarded by root"),
        on_demand(2, 25.001, JobState.CANCELLED, told="discarded by root"),  # its time had passed before
        on_demand(3, 3, JobState.FAILED, told="discarded by root; before: refused"),
    ]
    judged = made(records)
    latency = result(judged, "25 s")
    assert (latency.counted, latency.met, latency.excluded) == (2, 0, 1)
    against = [(one.by, one.why) for one in judged.against if one.measure == "25 s"]
    assert against == [("d-2", "discarded by root"), ("d-3", "discarded by root; before: refused")]
    commands = [one._replace(kind=JobKind.CLOCK_SET) for one in records]
    clocks = result(made(commands), "clocks")
    assert (clocks.counted, clocks.met, clocks.excluded) == (1, 0, 2)


def test_a_job_that_has_time_left_is_open() -> None:
    waiting = on_demand(1, None, JobState.WAITING)
    assert result(made([waiting], now=waiting.asked_at + 25 * SECOND), "25 s").open_ == 1
    assert result(made([waiting], now=waiting.asked_at + 26 * SECOND), "25 s").open_ == 0


def test_command_success_by_hand() -> None:
    states = [JobState.DONE, JobState.DONE, JobState.DEAD, JobState.WAITING]
    records = [on_demand(n, 100, state, kind=JobKind.CLOCK_SET) for n, state in enumerate(states)]
    clocks = result(made(records), "clocks")
    assert (clocks.counted, clocks.met, clocks.open_, clocks.share, clocks.kept) == (4, 2, 1, 2 / 3, None)


def written(records: Iterable[JobRecord], now: datetime = LATER) -> tuple[ServiceReport, str]:
    held, file = list(records), StringIO()
    groups = {meter: ("vowels", "=hers") if meter in "AE" else ("=hers",) for meter in "ABCDE"}
    return report(LEVEL, DAY, groups, lambda: held, now, tell=EvidenceFile(file).write), file.getvalue()


def test_evidence_as_csv_is_no_formula() -> None:
    _, text = written([profile("B", SIX)])
    assert text.splitlines()[:3] == [
        "measure,groups,day,meter,verdict,asked,due,done,took_s,by,why",
        "six,all;vowels;=hers,2026-03-28,A,missed,,2026-03-29T05:00:00Z,,,,nothing brought it",
        "six,all;=hers,2026-03-28,B,missed,,2026-03-29T05:00:00Z,2026-03-29T05:00:00Z,,p-B,late",
    ]


def seconds_between(asked: str, done: str) -> float:
    return (datetime.fromisoformat(done) - datetime.fromisoformat(asked)).total_seconds()


def test_an_auditor_computes_every_figure_again_from_the_evidence() -> None:
    """With nothing but the file: counting lines, and sorting seconds from what was asked to what was done."""
    states = [JobState.DONE, JobState.DEAD, JobState.WAITING, JobState.CANCELLED]
    commands = [on_demand(50 + n, 100, state, kind=JobKind.CLOCK_SET) for n, state in enumerate(states)]
    asked = [on_demand(n, 7 * n) for n in range(9)] + [on_demand(20, None, JobState.WAITING)]
    judged, text = written([*NIGHT, *asked, *commands])
    lines = list(csv.DictReader(text.splitlines()))
    for one in judged.results:
        mine = [
            line for line in lines
            if line["measure"] == one.measure.name and one.group in line["groups"].removeprefix("'").split(";")
        ]  # fmt: skip
        verdicts = Counter(line["verdict"] for line in mine)
        decided = verdicts["met"] + verdicts["missed"]
        assert one.share == (verdicts["met"] / decided if decided else None)
        assert (one.open_, one.excluded) == (verdicts["open"], verdicts["excluded"])
        took = sorted(seconds_between(line["asked"], line["done"]) for line in mine if line["took_s"])
        assert one.percentiles() == {p: took[-(-p * len(took) // 100) - 1] for p in PERCENTILES if took}
    assert {line["verdict"] for line in lines} == set(Verdict)
    assert len({one.group for one in judged.results}) == 3


def test_a_preset_judges_the_same_night_by_its_own_zone() -> None:
    level = replace(preset("india-rdss"), zone=LEVEL.zone)
    night = report(level, DAY, dict.fromkeys("ABCDE", ()), lambda: NIGHT, LATER)
    assert [(one.measure.name, one.met) for one in night.results if one.measure.kind == "completeness"] == [
        ("complete by 06:00", 1),
        ("complete within 8 h", 2),
        ("complete by 24:00", 3),
    ]


# ------------------------------------------------------------------ jobs that were done and did not bring all
HOLE = TimeSpan(START + timedelta(hours=3), START + timedelta(hours=5))


def gap(finished: datetime, span: TimeSpan = HOLE, name: str = "gap", **lacking: tuple[TimeSpan, ...]) -> JobRecord:
    return profile("A", finished, job_id=name, span=span, started=finished - SECOND, **lacking)


def completion(*records: JobRecord) -> tuple[datetime | None, str]:
    found = completions_of(records, TimeSpan(START, END), {JobKind.PROFILES})["A"]
    return found.at, found.by


def test_a_job_that_was_done_without_all_rows_does_not_make_the_day_complete() -> None:
    read = profile("A", END + 60 * SECOND, lacking=(HOLE,))
    assert completion(read) == (None, "p-A")
    later = END + timedelta(hours=1)
    assert completion(gap(later), read) == (later, "gap")  # the day is complete when its hole is, whatever the order
    still = TimeSpan(HOLE.end - timedelta(minutes=15), HOLE.end)
    assert completion(read, gap(later, lacking=(still,))) == (None, "gap")
    last = later + timedelta(hours=1)
    assert completion(read, gap(later, lacking=(still,)), gap(last, still, name="last")) == (last, "last")


def test_a_hole_that_was_found_during_the_day_counts_and_one_of_another_day_does_not() -> None:
    noon = START + timedelta(hours=12)
    early = profile("A", noon, started=noon, job_id="noon", lacking=(HOLE,))
    read = profile("A", END + 60 * SECOND)
    assert completion(early, read) == (None, "p-A")
    other = TimeSpan(START - timedelta(hours=2), START)
    assert completion(profile("A", noon, started=noon, job_id="noon", lacking=(other,)), read)[0] is not None


def test_parts_alone_do_not_make_a_day() -> None:
    found = completions_of([gap(END + SECOND)], TimeSpan(START, END), {JobKind.PROFILES})["A"]
    assert (found.at, found.why) == (None, "only parts of it were read")
