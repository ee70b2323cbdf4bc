"""What the job log says, reduced to what service levels are about: when a meter's day was complete, how jobs went."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from amity.domain.jobs import JobKind, JobState, Priority, Span


class JobRecord(NamedTuple):
    """A job as the log has it; of one that another job did, state, times and words are those of the other."""

    job_id: str
    meter_id: str
    kind: JobKind
    priority: Priority
    state: JobState
    asked_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    span: Span | None = None
    told: str = ""

    @property
    def took(self) -> timedelta | None:
        """From when it might begin to when it was done; None for one that was not."""
        if self.state is not JobState.DONE or self.finished_at is None:
            return None
        return self.finished_at - self.asked_at

    def brings(self, day: Span) -> bool:
        """True when the job, done, leaves nothing of that day unread.

        One without a span reads up to now and is not done before it has: it counts when it began after the day.
        """
        if self.state is not JobState.DONE or self.finished_at is None or self.started_at is None:
            return False
        if self.span is not None:
            return self.span.start <= day.start and day.end <= self.span.end and day.end <= self.started_at
        return self.started_at >= day.end


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


def completions_of(records: Iterable[JobRecord], day: Span, kinds: Collection[JobKind]) -> dict[str, Completion]:
    """By meter: the first job that brought the day, else the last word on why none did."""
    found: dict[str, Completion] = {}
    for one in records:
        if one.kind not in kinds:
            continue
        before = found.get(one.meter_id, Completion())
        if one.brings(day):
            if before.at is None or (one.finished_at is not None and one.finished_at < before.at):
                found[one.meter_id] = Completion(one.finished_at, one.job_id)
        elif before.at is None and one.asked_at >= day.end and one.told:
            found[one.meter_id] = Completion(None, one.job_id, one.told)
    return found
