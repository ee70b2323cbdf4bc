"""What becomes of a job whose session failed: again later, given up for a person to look at, or too late."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Final, NamedTuple

from amity.domain.jobs import Job, JobOutcome, JobState, Lease
from amity.kernel.backoff import Backoff, Chance
from amity.kernel.errors import AmityError

_LOOK: Final = "see what the meter said with `amity jobs show`, mend it, then `amity jobs retry`"


@dataclass(frozen=True, slots=True)
class RetryRules:
    """A job is tried `attempts_max` times; a meter that does not answer `tries_a_day` times a day.

    Only urgent jobs call it again on such a day.
    """

    attempts_max: int = 6
    tries_a_day: int = 24
    backoff: Backoff = field(default_factory=lambda: Backoff(base_s=10.0, limit_s=3600.0))


class Failure(NamedTuple):
    """Why a step failed, what a person can do about it, and whether the same may succeed later (at `again_at`)."""

    told: str
    remedy: str
    passing: bool
    again_at: datetime | None = None


def failure_of(error: AmityError, *, passing: bool) -> Failure:
    """The failure that this error is."""
    return Failure("; ".join(filter(None, (error.what, error.answer))), error.next_step or _LOOK, passing)


def after_failure(job: Job, failure: Failure, now: datetime, rules: RetryRules, chance: Chance) -> JobOutcome:
    """The job waits with growing breaks as long as attempts and its deadline allow; `attempts` counts this one."""
    if not failure.passing or job.attempts >= rules.attempts_max:
        return JobOutcome(job.job_id, JobState.DEAD, told=failure.told, remedy=failure.remedy)
    again = failure.again_at or now + timedelta(seconds=rules.backoff.wait_s(job.attempts, chance))
    if job.deadline is not None and again >= job.deadline:
        return JobOutcome(job.job_id, JobState.EXPIRED, told=failure.told, remedy=failure.remedy)
    return JobOutcome(job.job_id, JobState.WAITING, again, told=failure.told, remedy=failure.remedy)


def rests_until(lease: Lease, now: datetime, rules: RetryRules) -> datetime | None:
    """The next UTC midnight when a meter that failed has used its budget of today; None while some is left."""
    if lease.tries < rules.tries_a_day:
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
