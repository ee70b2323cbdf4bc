"""What becomes of a job after a failure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from amity.devices.client import AssociationRejectedError
from amity.domain.jobs import Job, JobKind, JobState, Lease, Priority
from amity.headend.jobs.retry import Failure, RetryRules, after_failure, failure_of, rests_until
from amity.kernel.backoff import Backoff
from amity.kernel.errors import TransportError
from amity.protocols.dlms.acse import AssociationResult, SourceDiagnostic
from tests.unit.headend.jobs.requests import NOW

SILENT, KEY = Failure("silent", "look", True), Failure("wrong key", "mend it", False)
RULES = RetryRules(attempts_max=4, tries_a_day=10, backoff=Backoff(10.0, 60.0))


def job(attempts: int, deadline: datetime | None = None) -> Job:
    return Job("j", "M1", JobKind.PING, Priority.BULK, JobState.LEASED, NOW, NOW, deadline=deadline, attempts=attempts)


def test_breaks_grow_up_to_their_limit_and_then_it_is_given_up() -> None:
    outcomes = [after_failure(job(attempt), SILENT, NOW, RULES, lambda: 0.999) for attempt in (1, 2, 3, 4)]
    assert [one.state for one in outcomes] == [JobState.WAITING] * 3 + [JobState.DEAD]
    breaks = [(one.not_before - NOW).total_seconds() for one in outcomes[:3]]
    assert [round(one) for one in breaks] == [10, 20, 40]
    assert (outcomes[3].told, outcomes[3].remedy) == ("silent", "look")


def test_what_would_fail_again_is_given_up_at_once() -> None:
    assert after_failure(job(1), KEY, NOW, RULES, lambda: 0.5).state is JobState.DEAD


def test_a_job_whose_next_try_would_be_too_late_expires() -> None:
    soon = NOW + timedelta(seconds=5)
    assert after_failure(job(1, soon), SILENT, NOW, RULES, lambda: 0.9).state is JobState.EXPIRED
    assert after_failure(job(1, soon), SILENT, NOW, RULES, lambda: 0.1).state is JobState.WAITING


def test_a_failure_that_knows_when_to_come_again_is_heeded() -> None:
    later = NOW + timedelta(minutes=7)
    assert after_failure(job(1), SILENT._replace(again_at=later), NOW, RULES, lambda: 0.5).not_before == later


def test_a_meter_that_used_up_its_day_rests_until_midnight() -> None:
    lease = Lease("M1", "w", 1, NOW, tries=10)
    assert rests_until(lease, SILENT, NOW, RULES, lambda: 0.5) == datetime(2026, 11, 21, tzinfo=UTC)
    assert rests_until(replace(lease, tries=9), SILENT, NOW, RULES, lambda: 0.5) is None
    assert rests_until(lease, None, NOW, RULES, lambda: 0.5) is None


def test_a_failure_always_has_a_remedy() -> None:
    assert failure_of(TransportError("silent"), passing=True).remedy
    told = failure_of(TransportError("refused", answer="111", next_step="start it"), passing=True)
    assert told == Failure("refused; 111", "start it", True)


def rejected(result: AssociationResult) -> AssociationRejectedError:
    return AssociationRejectedError("no", remedy="wait", result=result, diagnostic=SourceDiagnostic.NO_REASON_GIVEN)


def test_a_meter_that_is_in_use_is_left_alone_longer_than_a_lease_lasts_and_each_time_longer() -> None:
    """A node that hangs keeps its association beyond its lease: three attempts must not be gone before that ends."""
    busy = failure_of(rejected(AssociationResult.REJECTED_TRANSIENT), passing=True)
    assert busy.busy
    rules = replace(RULES, backoff=Backoff(30.0, 900.0), busy_break=timedelta(seconds=60))
    for chance in (0.0, 0.999):
        outcomes = [after_failure(job(number), busy, NOW, rules, lambda drawn=chance: drawn) for number in (1, 2, 3)]
        breaks = [(one.not_before - NOW).total_seconds() for one in outcomes]
        assert breaks == [pytest.approx(one * (1 + chance)) for one in (60, 240, 900)]
    assert after_failure(job(4), busy, NOW, rules, lambda: 0.5).state is JobState.DEAD


def test_a_refusal_for_good_and_a_wrong_proof_are_not_for_the_meter_being_in_use() -> None:
    assert not failure_of(rejected(AssociationResult.REJECTED_PERMANENT), passing=False).busy
    wrong_key = AssociationRejectedError(
        "no", remedy="mend it",
        result=AssociationResult.REJECTED_TRANSIENT, diagnostic=SourceDiagnostic.AUTHENTICATION_FAILURE,
    )  # fmt: skip
    assert not failure_of(wrong_key, passing=False).busy
    assert not SILENT.busy
