"""What was kept of what was promised, for one day: shares by group, percentiles, and the evidence."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import Final, NamedTuple

from amity.domain.jobs import JobState
from amity.headend.sla.definition import Measure, MeasureKind, ServiceLevel
from amity.headend.sla.read_day import ReadDay
from amity.headend.sla.records import Completion, JobRecord, completions_of

EVERYBODY: Final = "all"
PERCENTILES: Final = (50, 90, 95, 99, 100)


class Verdict(StrEnum):
    """How one meter's day or one job counts: for or against, not yet, or not at all."""

    MET = "met"
    MISSED = "missed"
    OPEN = "open"
    EXCLUDED = "excluded"


class Evidence(NamedTuple):
    """One meter's day or one job that a measure is about. A share is the MET among the MET and the MISSED.

    `asked` is when a job might first begin, None for a day; `due` until when it was in time, `done` when it was done if
    ever; `took` what the percentiles are of, None for a day and for a job that was not done. `by` is the job, or the
    delivery, that decided. `groups` begin with that of all.
    """

    measure: str
    groups: tuple[str, ...]
    day: date
    meter_id: str
    verdict: Verdict
    asked: datetime | None
    due: datetime | None
    done: datetime | None
    took: timedelta | None
    by: str
    why: str


Tell = Callable[[Evidence], object]
"""Where evidence goes, line by line: of a million meters it is not held."""


def _forget(_evidence: Evidence) -> None:
    """For those who want the figures only."""


@dataclass(slots=True)
class Result:
    """One measure for one group: `met` of `counted`, and `open_` that may still be met. `took` in seconds, of the done.

    `excluded` were not counted: a person withdrew them while they could still be met.
    """

    measure: Measure
    group: str
    counted: int = 0
    met: int = 0
    open_: int = 0
    excluded: int = 0
    took: list[float] = field(default_factory=list)

    def count(self, verdict: Verdict, took: timedelta | None) -> None:
        """One more."""
        self.excluded += verdict is Verdict.EXCLUDED
        self.counted += verdict is not Verdict.EXCLUDED
        self.met += verdict is Verdict.MET
        self.open_ += verdict is Verdict.OPEN
        if took is not None:
            self.took.append(took.total_seconds())

    @property
    def share(self) -> float | None:
        """Of what is decided; None where nothing is."""
        decided = self.counted - self.open_
        return self.met / decided if decided else None

    @property
    def kept(self) -> bool | None:
        """Whether the target was kept; None without one, without anything to judge, or as long as it may change."""
        if self.measure.target is None or self.share is None or self.open_:
            return None
        return self.share >= self.measure.target

    def percentiles(self) -> Mapping[int, float]:
        """Seconds within which so many in a hundred of the done were done, by nearest rank."""
        ordered = sorted(self.took)
        return {one: ordered[ceil(one * len(ordered) / 100) - 1] for one in PERCENTILES} if ordered else {}


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """All results of one day, and what was missed; `remarks` say what the reader has to know to trust them."""

    level: ServiceLevel
    day: date
    made_at: datetime
    results: tuple[Result, ...]
    against: tuple[Evidence, ...]
    remarks: tuple[str, ...] = ()


GroupsOf = Mapping[str, tuple[str, ...]]
"""By meter id the groups it belongs to, beside that of all; its keys are the meters that are promised to be read."""


def report(
    level: ServiceLevel,
    day: date,
    groups: GroupsOf,
    records: Callable[[], Iterable[JobRecord]],
    now: datetime,
    *,
    completions: Mapping[str, Completion] | None = None,
    tell: Tell = _forget,
) -> ServiceReport:
    """Judge one local day by the job log; `records` gives it anew for each pass, so that it need not be held.

    `completions`, where somebody knows better than the job log when each meter's day was complete, go before it.
    """
    read_day = ReadDay(day, level.zone)
    tallies = []
    for measure in level.measures:
        tally = _Tally(measure, groups, day, tell)
        if measure.kind is MeasureKind.COMPLETENESS:
            known = completions
            if known is None:
                known = completions_of(records(), read_day.span, measure.jobs)
            _judge_completeness(tally, read_day.due(measure), known, now)
        else:
            _judge_jobs(tally, read_day, records(), now)
        tallies.append(tally)
    results = tuple(result for tally in tallies for result in tally.results())
    return ServiceReport(level, day, now, results, tuple(one for tally in tallies for one in tally.against))


class _Tally:
    """Counts one measure by group."""

    def __init__(self, measure: Measure, groups: GroupsOf, day: date, tell: Tell) -> None:
        self.measure = measure
        self.groups = groups
        self.against: list[Evidence] = []
        self._tell = tell
        self._day = day
        self._results = {EVERYBODY: Result(measure, EVERYBODY)}

    def results(self) -> Iterator[Result]:
        """All meters first, then the groups by name."""
        yield self._results[EVERYBODY]
        yield from (result for name, result in sorted(self._results.items()) if name != EVERYBODY)

    def add(
        self,
        meter_id: str,
        verdict: Verdict,
        due: datetime | None,
        done: datetime | None,
        by: str,
        why: str,
        asked: datetime | None = None,
        took: timedelta | None = None,
    ) -> None:
        """Count one meter or job, and tell of it."""
        groups = (EVERYBODY, *self.groups.get(meter_id, ()))
        for name in groups:
            self._results.setdefault(name, Result(self.measure, name)).count(verdict, took)
        one = Evidence(self.measure.name, groups, self._day, meter_id, verdict, asked, due, done, took, by, why)
        self._tell(one)
        if verdict is Verdict.MISSED:
            self.against.append(one)


# ------------------------------------------------------------------ meters and their day
def _judge_completeness(tally: _Tally, due: datetime, completions: Mapping[str, Completion], now: datetime) -> None:
    for meter_id in sorted(tally.groups):
        completion = completions.get(meter_id, Completion())
        if completion.at is None:
            verdict, why = Verdict.OPEN if now < due else Verdict.MISSED, completion.why or "nothing brought it"
        elif completion.at < due:
            verdict, why = Verdict.MET, ""
        else:
            verdict, why = Verdict.MISSED, "late"
        tally.add(meter_id, verdict, due, completion.at, completion.by, why)


# ------------------------------------------------------------------ jobs
def _judge_jobs(tally: _Tally, day: ReadDay, records: Iterable[JobRecord], now: datetime) -> None:
    start, end = day.span
    measure = tally.measure
    for one in records:
        if start <= one.asked_at < end and measure.counts(one.kind, one.priority):
            _judge_job(tally, one, now)


def _judge_job(tally: _Tally, one: JobRecord, now: datetime) -> None:
    within, took = tally.measure.within, one.took
    due = None if within is None else one.asked_at + within
    if one.state is JobState.CANCELLED and not _passed(due, one.finished_at):
        verdict, why = Verdict.EXCLUDED, one.told or "withdrawn by a person"
    elif took is not None and (within is None or took <= within):
        verdict, why = Verdict.MET, ""
    elif not one.state.ended and (due is None or now <= due):
        verdict, why = Verdict.OPEN, ""
    else:
        verdict, why = Verdict.MISSED, _why(one)
    tally.add(one.meter_id, verdict, due, one.finished_at, one.job_id, why, one.asked_at, took)


def _passed(due: datetime | None, at: datetime | None) -> bool:
    return due is not None and at is not None and at > due


def _why(one: JobRecord) -> str:
    if one.state is JobState.DONE:
        return "late"
    return one.told or {JobState.WAITING: "not begun", JobState.LEASED: "not done"}.get(one.state, str(one.state))
