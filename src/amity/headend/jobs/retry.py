"""What becomes of a job whose session failed: again later, given up for a person to look at, or too late."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Final, NamedTuple

from amity.domain.jobs import Job, JobOutcome, JobState, Lease
from amity.headend.outcomes import in_use
from amity.headend.ports import NoWayHereError
from amity.kernel.backoff import Backoff, Chance
from amity.kernel.errors import AmityError, RemoteProtocolError, RemoteRefusalError, TransportError

_LOOKED_AFTER: Final = timedelta(hours=1)
_LOOK: Final = "see what the meter said with `amity jobs show`, mend it, then `amity jobs retry`"
_WHO: Final = "nothing where a stranger said the name: the meter is read when it calls; else check its keys"


@dataclass(frozen=True, slots=True)
class RetryRules:
    """A job is tried `attempts_max` times; a meter that does not answer `tries_a_day` times a day.

    Only urgent jobs call it again on such a day. A meter that is in use by somebody else is left alone for
    `busy_break` at least, and each time four times as long: who holds it may be a node of ours that hangs.
    Who asked for the jobs `told_at_once` stands waiting: one that fails has ended, and nobody else has to hear of it.
    """

    attempts_max: int = 6
    tries_a_day: int = 24
    backoff: Backoff = field(default_factory=lambda: Backoff(base_s=10.0, limit_s=3600.0))
    busy_break: timedelta = timedelta(0)
    told_at_once: frozenset[str] = frozenset()

    def break_s(self, attempts: int, chance: Chance, *, busy: bool = False) -> float:
        """Seconds until a job is tried again after so many attempts, the last of them at a meter that was `busy`."""
        usual_s = self.backoff.wait_s(attempts, chance)
        if not busy:
            return usual_s
        break_s = self.busy_break.total_seconds()
        four_times_each = Backoff(break_s, max(break_s, self.backoff.limit_s)).wait_s(2 * attempts - 1, lambda: 1.0)
        return max(usual_s, four_times_each * (1.0 + chance()))


class Failure(NamedTuple):
    """Why a step failed, what a person can do about it, and whether the same may succeed later (at `again_at`).

    `tried` is false where nobody could be called: the job waits for the line or the collector, and neither an attempt
    nor a try of the meter's day is spent. `busy`: the meter refused because it is in use by somebody else.
    `by_name_only`: whoever was spoken with had said the meter's name, and nothing showed that it was the meter.
    """

    told: str
    remedy: str
    passing: bool
    again_at: datetime | None = None
    tried: bool = True
    busy: bool = False
    by_name_only: bool = False


def failure_of(error: AmityError, *, passing: bool) -> Failure:
    """The failure that this error is."""
    told = "; ".join(filter(None, (error.what, error.answer)))
    tried = not isinstance(error, NoWayHereError)
    return Failure(told, error.next_step or _LOOK, passing, tried=tried, busy=in_use(error))


def by_name_only(error: AmityError, failure: Failure) -> Failure:
    """What this failure is on a line on which a meter was only named: anybody's, at no cost to the meter.

    What is wrong with ourselves, and what nobody was called for, stays what it is.
    """
    if not failure.tried or not isinstance(error, TransportError | RemoteProtocolError | RemoteRefusalError):
        return failure
    return Failure(f"whoever called in under this name: {failure.told}", _WHO, True, tried=False, by_name_only=True)


def after_failure(job: Job, failure: Failure, now: datetime, rules: RetryRules, chance: Chance) -> JobOutcome:
    """The job waits with growing breaks as long as attempts and its deadline allow; `attempts` counts this one."""
    if job.job_id in rules.told_at_once:
        return JobOutcome(job.job_id, JobState.FAILED, told=failure.told, remedy=failure.remedy)
    if not failure.tried:
        until = now + (_name_break(rules, chance) if failure.by_name_only else _LOOKED_AFTER)
        return _waits_for_a_way(job, failure, now, until)
    if not failure.passing or job.attempts >= rules.attempts_max:
        return JobOutcome(job.job_id, JobState.DEAD, told=failure.told, remedy=failure.remedy)
    again = failure.again_at or now + timedelta(seconds=rules.break_s(job.attempts, chance, busy=failure.busy))
    if job.deadline is not None and again >= job.deadline:
        return JobOutcome(job.job_id, JobState.EXPIRED, told=failure.told, remedy=failure.remedy)
    return JobOutcome(job.job_id, JobState.WAITING, again, told=failure.told, remedy=failure.remedy)


def _name_break(rules: RetryRules, chance: Chance) -> timedelta:
    """Short, and always the same: the meter itself may be the next to call."""
    return timedelta(seconds=rules.break_s(1, chance))


def _waits_for_a_way(job: Job, failure: Failure, now: datetime, again: datetime) -> JobOutcome:
    """Until a line or a collector is there, which brings the job forward, or its deadline; looked at now and then."""
    if job.deadline is not None and now >= job.deadline:
        return JobOutcome(job.job_id, JobState.EXPIRED, told=failure.told, remedy=failure.remedy)
    return JobOutcome(job.job_id, JobState.WAITING, again, told=failure.told, remedy=failure.remedy, afresh=True)


def tries_left_behind(lease: Lease, failure: Failure | None) -> int:
    """How many tries of the meter's day count as without an answer after this session."""
    if failure is None:
        return 0
    return lease.tries if failure.tried else lease.tries - 1


def rests_until(
    lease: Lease, failure: Failure | None, now: datetime, rules: RetryRules, chance: Chance
) -> datetime | None:
    """The next UTC midnight when a meter that failed has used its budget of today; None while some is left.

    After a line on which it was only named it rests for a short break: naming it again does not call it again.
    """
    if failure is not None and failure.by_name_only:
        return now + _name_break(rules, chance)
    if failure is None or not failure.tried or lease.tries < rules.tries_a_day:
        return None
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)


def given_up_by_workers(job: Job) -> JobOutcome:
    """A job under which every worker so far was lost: likely its cause."""
    return JobOutcome(
        job.job_id,
        JobState.DEAD,
        told=f"{job.attempts} workers were lost while they held this job",
        remedy="read the log of those workers; report it with the name of the meter's profile; then `amity jobs retry`",
    )
