"""What was kept of what was promised, for one day: shares by group, percentiles, and the evidence against."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import ceil
from typing import Final, NamedTuple

from amity.domain.jobs import JobState
from amity.headend.sla.definition import Measure, MeasureKind, ServiceLevel
from amity.headend.sla.read_day import ReadDay
from amity.headend.sla.records import Completion, JobRecord, completions_of

EVERYBODY: Final = "all"
PERCENTILES: Final = (50, 90, 95, 99, 100)


class Evidence(NamedTuple):
    """What counts against a measure: a meter whose day came late or not, a job that was late or failed.

    `due` is until when it was in time, `done` when it was done if ever.
    """

    measure: str
    groups: tuple[str, ...]
    day: date
    meter_id: str
    due: datetime | None
    done: datetime | None
    job_id: str
    why: str


@dataclass(slots=True)
class Result:
    """One measure for one group: `met` of `counted`, and `open_` that may still be met. `took` in seconds, of the done.

    `excluded` were not counted: a person withdrew them.
    """

    measure: Measure
    group: str
    counted: int = 0
    met: int = 0
    open_: int = 0
    excluded: int = 0
    took: list[float] = field(default_factory=list)

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
    """All results of one day, and the evidence against; `remarks` say what the reader has to know to trust them."""

    level: ServiceLevel
    day: date
    made_at: datetime
    results: tuple[Result, ...]
    evidence: tuple[Evidence, ...]
    remarks: tuple[str, ...] = ()


GroupsOf = Mapping[str, tuple[str, ...]]
"""By meter id the groups it belongs to, beside that of all; its keys are the meters that are promised to be read."""


def report(
    level: ServiceLevel, day: date, groups: GroupsOf, records: Callable[[], Iterable[JobRecord]], now: datetime
) -> ServiceReport:
    """Judge one local day by the job log; `records` gives it anew for each pass, so that it need not be held."""
    read_day = ReadDay(day, level.zone)
    tallies = []
    for measure in level.measures:
        tally = _Tally(measure, groups, day)
        if measure.kind is MeasureKind.COMPLETENESS:
            completions = completions_of(records(), read_day.span, measure.jobs)
            _judge_completeness(tally, read_day.due(measure), completions, now)
        else:
            _judge_jobs(tally, read_day, records(), now)
        tallies.append(tally)
    return _report(level, day, now, tallies)


def completeness_report(
    level: ServiceLevel,
    day: date,
    groups: GroupsOf,
    completions: Mapping[str, Completion],
    now: datetime,
    remarks: Sequence[str] = (),
) -> ServiceReport:
    """Judge only the completeness of one local day, by whatever knows when each meter's day was complete."""
    read_day, tallies = ReadDay(day, level.zone), []
    for measure in level.measures:
        if measure.kind is MeasureKind.COMPLETENESS:
            tally = _Tally(measure, groups, day)
            _judge_completeness(tally, read_day.due(measure), completions, now)
            tallies.append(tally)
    return _report(level, day, now, tallies, tuple(remarks))


def _report(
    level: ServiceLevel, day: date, now: datetime, tallies: Sequence["_Tally"], remarks: tuple[str, ...] = ()
) -> ServiceReport:
    results = tuple(result for tally in tallies for result in tally.results())
    return ServiceReport(level, day, now, results, tuple(one for tally in tallies for one in tally.evidence), remarks)


class _Tally:
    """Counts one measure by group."""

    def __init__(self, measure: Measure, groups: GroupsOf, day: date) -> None:
        self.measure = measure
        self.groups = groups
        self.evidence: list[Evidence] = []
        self._day = day
        self._results = {EVERYBODY: Result(measure, EVERYBODY)}

    def results(self) -> Iterator[Result]:
        """All meters first, then the groups by name."""
        yield self._results[EVERYBODY]
        yield from (result for name, result in sorted(self._results.items()) if name != EVERYBODY)

    def add(self, meter_id: str, *, met: bool = False, open_: bool = False, took: timedelta | None = None) -> None:
        """Count one meter or job."""
        for result in self._of(meter_id):
            result.counted += 1
            result.met += met
            result.open_ += open_
            if took is not None:
                result.took.append(took.total_seconds())

    def exclude(self, meter_id: str) -> None:
        """Count one that is not judged."""
        for result in self._of(meter_id):
            result.excluded += 1

    def against(self, meter_id: str, due: datetime | None, done: datetime | None, job_id: str, why: str) -> None:
        """Keep what counts against the measure."""
        groups = self.groups.get(meter_id, ())
        self.evidence.append(Evidence(self.measure.name, groups, self._day, meter_id, due, done, job_id, why))

    def _of(self, meter_id: str) -> Iterator[Result]:
        for name in (EVERYBODY, *self.groups.get(meter_id, ())):
            yield self._results.setdefault(name, Result(self.measure, name))


# ------------------------------------------------------------------ meters and their day
def _judge_completeness(tally: _Tally, due: datetime, completions: Mapping[str, Completion], now: datetime) -> None:
    for meter_id in sorted(tally.groups):
        completion = completions.get(meter_id, Completion())
        in_time = completion.at is not None and completion.at < due
        still_open = completion.at is None and now < due
        tally.add(meter_id, met=in_time, open_=still_open)
        if not in_time and not still_open:
            why = completion.why or ("late" if completion.at else "nothing brought it")
            tally.against(meter_id, due, completion.at, completion.by, why)


# ------------------------------------------------------------------ jobs
def _judge_jobs(tally: _Tally, day: ReadDay, records: Iterable[JobRecord], now: datetime) -> None:
    start, end = day.span
    measure = tally.measure
    for one in records:
        if start <= one.asked_at < end and measure.counts(one.kind, one.priority):
            if one.state is JobState.CANCELLED:
                tally.exclude(one.meter_id)
            else:
                _judge_job(tally, one, now)


def _judge_job(tally: _Tally, one: JobRecord, now: datetime) -> None:
    within, took = tally.measure.within, one.took
    due = None if within is None else one.asked_at + within
    met = took is not None and (within is None or took <= within)
    still_open = not one.state.ended and (due is None or now <= due)
    tally.add(one.meter_id, met=met, open_=still_open, took=took)
    if not met and not still_open:
        tally.against(one.meter_id, due, one.finished_at, one.job_id, _why(one))


def _why(one: JobRecord) -> str:
    if one.state is JobState.DONE:
        return "late"
    return one.told or {JobState.WAITING: "not begun", JobState.LEASED: "not done"}.get(one.state, str(one.state))
