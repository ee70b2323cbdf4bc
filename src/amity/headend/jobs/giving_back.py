"""What a session means for the jobs of its bundle: each is done, waits again, or has ended another way."""

from datetime import datetime

from amity.domain.jobs import Bundle, Job, JobKind, JobOutcome, JobState
from amity.headend.jobs.lacking import lacking_kept, lacking_told
from amity.headend.jobs.ports import Finished
from amity.headend.jobs.retry import RetryRules, after_failure, failure_of, rests_until, tries_left_behind
from amity.headend.jobs.sessions import SessionResult
from amity.headend.reader import defect
from amity.kernel.backoff import Chance
from amity.kernel.errors import AmityError, StorageError


def finished_of(bundle: Bundle, result: SessionResult, now: datetime, rules: RetryRules, chance: Chance) -> Finished:
    """What becomes of each job of a bundle after this session; those that wait again wait equally long."""
    drawn = chance()
    outcomes = tuple(_outcome(job, result, now, rules, lambda: drawn) for job in bundle.jobs)
    failure = result.failure
    rests = rests_until(bundle.lease, failure, now, rules, lambda: drawn)
    return Finished(bundle.lease, outcomes, tries_left_behind(bundle.lease, failure), rests)


def given_back(bundle: Bundle, now: datetime, rules: RetryRules) -> Finished:
    """Nothing was tried: the jobs wait as if they had not been taken, but for those that somebody stood waiting for."""
    outcomes = (
        JobOutcome(job.job_id, JobState.CANCELLED, told="whoever asked for it went away")
        if job.job_id in rules.told_at_once
        else JobOutcome(job.job_id, JobState.WAITING, now, afresh=True)
        for job in bundle.jobs
    )
    return Finished(bundle.lease, tuple(outcomes), bundle.lease.tries - 1)


def failed_session(error: Exception) -> SessionResult:
    """The result of a session that only brought this error; only what the disk refuses may pass by itself."""
    return SessionResult(failure=failure_of(told_of(error), passing=isinstance(error, StorageError)))


def told_of(error: Exception) -> AmityError:
    """The error as it is told; what nobody foresaw is a defect."""
    return error if isinstance(error, AmityError) else defect(error)


def _outcome(job: Job, result: SessionResult, now: datetime, rules: RetryRules, chance: Chance) -> JobOutcome:
    failure = result.failure or result.refused.get(job.job_id)
    if failure is not None:
        return after_failure(job, failure, now, rules, chance)
    if result.behind and job.kind is JobKind.PROFILES and job.span is None:
        return JobOutcome(job.job_id, JobState.WAITING, now, told="more of the past is to be read", afresh=True)
    lacking = lacking_kept(result.lacking.get(job.job_id, ()))
    told = result.remarks.get(job.job_id, "") or lacking_told(lacking)
    return JobOutcome(job.job_id, JobState.DONE, told=told, lacking=lacking)
