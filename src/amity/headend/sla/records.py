"""What the job log says, reduced to what service levels are about: when a meter's day was complete, how jobs went."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from amity.domain.jobs import JobKind, JobState, Priority
from amity.domain.spans import TimeSpan, within, without
from amity.headend.jobs.lacking import lacking_kept, lacking_told


class JobRecord(NamedTuple):
    """A job as the log has it; of one that another job did, state, begin, end and words are those of the other.

    `priority` is that with which it was asked for, `asked_at` the first moment at which it might begin: neither moves
    when it is tried again, brought forward or retried by a person.
    `lacking` are the stretches of what a job that is done asked for, for which the meter had no rows.
    """

    job_id: str
    meter_id: str
    kind: JobKind
    priority: Priority
    state: JobState
    asked_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    span: TimeSpan | None = None
    told: str = ""
    lacking: tuple[TimeSpan, ...] = ()

    @property
    def took(self) -> timedelta | None:
        """From when it might begin to when it was done, all tries included; None for one that was not.

        Nothing for one that was done early, with another.
        """
        if self.state is not JobState.DONE or self.finished_at is None:
            return None
        return max(self.finished_at - self.asked_at, timedelta(0))

    def reads(self, day: TimeSpan) -> bool:
        """True when the job, done, asked for all that was still unread of that day.

        One without a span reads up to now and is not done before it has: it counts when it began after the day.
        """
        if self.state is not JobState.DONE or self.finished_at is None or self.started_at is None:
            return False
        if self.span is not None:
            return self.span.start <= day.start and day.end <= self.span.end and day.end <= self.started_at
        return self.started_at >= day.end

    def touches(self, day: TimeSpan) -> bool:
        """True when the job, done, changes what is known of that day: it read all of it, a part, or found a hole."""
        if self.state is not JobState.DONE or self.finished_at is None:
            return False
        about = self.lacking if self.span is None else (self.span,)
        return self.reads(day) or bool(within(about, day))


class JobLog(Protocol):
    """The jobs of the head-end, alive and ended."""

    def since(self, start: datetime) -> Iterator[JobRecord]:
        """Those that are alive or ended at or after this instant, in no order."""
        ...

    def begins(self) -> datetime | None:
        """When the oldest job that is still kept was made; None when there is none."""
        ...


class Completion(NamedTuple):
    """When a meter's day was complete, and what did it; `at` None and the reason of the last failure where none."""

    at: datetime | None = None
    by: str = ""
    why: str = ""


def completions_of(records: Iterable[JobRecord], day: TimeSpan, kinds: Collection[JobKind]) -> dict[str, Completion]:
    """By meter: the job with which the last interval of the day had come, else the last word on why none did."""
    found: dict[str, Completion] = {}
    touching: dict[str, list[JobRecord]] = defaultdict(list)
    for one in records:
        if one.kind not in kinds:
            continue
        if one.touches(day):
            touching[one.meter_id].append(one)
        elif one.asked_at >= day.end and one.told:
            found[one.meter_id] = Completion(None, one.job_id, one.told)
    return found | {meter: _completion(jobs, day) for meter, jobs in touching.items()}


def _completion(jobs: Iterable[JobRecord], day: TimeSpan) -> Completion:
    """Job after job as they were done: all of the day was asked for, and no hole that one found is left."""
    asked, holes, last = False, list[TimeSpan](), Completion(None, "", "only parts of it were read")
    for one in sorted(jobs, key=lambda job: (job.finished_at or day.end, job.job_id)):
        asked = asked or one.reads(day)
        if one.span is not None:
            holes = without(holes, one.span)
        holes += within(one.lacking, day)
        if asked and not holes:
            return Completion(one.finished_at, one.job_id)
        last = Completion(None, one.job_id, lacking_told(lacking_kept(holes)) or last.why)
    return last
