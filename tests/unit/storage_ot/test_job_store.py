"""Jobs are taken in once, leased by meter, given back once; tests/services runs all of this on PostgreSQL too."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amity.domain.jobs import Firing, Job, JobKind, JobOutcome, JobRequest, JobState, Place, Priority, Rest
from amity.domain.spans import TimeSpan
from amity.headend.jobs.ports import Finished, JobQuery, LeaseTerms
from amity.headend.jobs.retry import RetryRules
from amity.headend.jobs.throttle import Limit, ThrottleRules
from amity.kernel.errors import NotFoundError, RequestError
from amity.storage.ot.database import OtDatabase
from tests.unit.headend.jobs.requests import NOW, request

TERMS = LeaseTerms("w1")
OTHER = LeaseTerms("w2")
_SALTS = count()
"""Examples of one property share a database: their keys differ."""


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def done(bundle: object, state: JobState = JobState.DONE, **changes: object) -> Finished:
    return Finished(bundle.lease, tuple(JobOutcome(job.job_id, state, **changes) for job in bundle.jobs))


def revoke_all(database: OtDatabase) -> None:
    """Whoever holds anything is gone."""
    database.jobs.revoke(database.jobs.leases())


def jobs(database: OtDatabase, **query: object) -> dict[str, Job]:
    return {job.job_id: job for job in database.job_book.find(JobQuery(**query))}


# ------------------------------------------------------------------ taking in
def test_what_is_enqueued_comes_out_as_it_was_asked_for(database: OtDatabase) -> None:
    span = TimeSpan(NOW - minutes(60), NOW)
    asked = request(
        "M1",
        JobKind.PROFILES,
        span=span,
        deadline=NOW + minutes(5),
        requested_by="ops",
        reason="why",
        correlation_id="c",
    )
    (job_id,) = database.jobs.enqueue([asked], NOW)
    (bundle,) = database.jobs.lease(TERMS, 1, NOW)
    (job,) = bundle.jobs
    assert job.job_id == job_id == asked.job_id
    for name in ("meter_id", "kind", "priority", "not_before", "deadline", "span", "requested_by", "reason"):
        assert getattr(job, name) == getattr(asked, name), name
    assert (job.correlation_id, job.attempts, job.state, job.worker) == ("c", 1, JobState.LEASED, "w1")
    assert (job.created_at, job.started_at, job.finished_at) == (NOW, NOW, None)


def test_the_same_key_is_the_same_job_also_after_it_ended(database: OtDatabase) -> None:
    first = database.jobs.enqueue([request("M1"), request("M1")], NOW)
    (bundle,) = database.jobs.lease(TERMS, 1, NOW)
    database.jobs.finish([done(bundle)], NOW)
    assert database.jobs.enqueue([request("M1")], NOW) == first[:1]
    assert len(set(first)) == 1
    assert database.jobs.lease(TERMS, 1, NOW) == []


def test_a_waiting_job_of_the_same_kind_does_the_new_one_too(database: OtDatabase) -> None:
    later = request("M1", not_before=NOW + minutes(60), deadline=NOW + minutes(70), key="schedule")
    (waiting,) = database.jobs.enqueue([later], NOW)
    wanted = request("M1", priority=Priority.ON_DEMAND, deadline=NOW + minutes(90), key="person", requested_by="ops")
    assert database.jobs.enqueue([wanted], NOW) == [waiting]
    (bundle,) = database.jobs.lease(TERMS, 1, NOW)
    (job,) = bundle.jobs
    assert (job.job_id, job.priority, job.not_before, job.deadline) == (
        waiting, Priority.ON_DEMAND, NOW, NOW + minutes(90),
    )  # fmt: skip
    record = database.job_book.job(wanted.job_id)
    assert (record.state, record.coalesced_into, record.requested_by) == (JobState.COALESCED, waiting, "ops")
    database.jobs.finish([done(bundle)], NOW)
    assert database.jobs.enqueue([wanted], NOW) == [waiting], "asked again it is still that job"


def test_a_job_that_has_no_deadline_keeps_none_when_one_is_coalesced(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1", key="a"), request("M1", key="b", deadline=NOW + minutes(1))], NOW)
    ((bundle),) = database.jobs.lease(TERMS, 1, NOW + minutes(2))
    assert [job.deadline for job in bundle.jobs] == [None]


def failed(database: OtDatabase, until: datetime, *, afresh: bool = False) -> str:
    """A job that was tried, or found no way to its meter, and waits until then."""
    (job_id,) = database.jobs.enqueue([request("M1", priority=Priority.BULK)], NOW)
    (bundle,) = database.jobs.lease(TERMS, 1, NOW)
    database.jobs.finish([done(bundle, JobState.WAITING, not_before=until, afresh=afresh)], NOW)
    return job_id


@pytest.mark.parametrize("afresh", [False, True])
def test_the_next_fire_does_not_pull_forward_a_job_that_backs_off(database: OtDatabase, *, afresh: bool) -> None:
    again = NOW + minutes(10)
    backs_off = failed(database, again, afresh=afresh)
    fire = request("M1", key="next fire", not_before=NOW + minutes(1), deadline=NOW + minutes(99))
    assert database.jobs.enqueue([fire], NOW) == [backs_off]
    job = database.job_book.job(backs_off)
    assert (job.not_before, job.priority) == (again, Priority.SCHEDULED)
    assert database.jobs.lease(TERMS, 1, again - minutes(1)) == []
    (bundle,) = database.jobs.lease(TERMS, 1, again)
    assert [one.job_id for one in bundle.jobs] == [backs_off]


def test_a_job_that_backs_off_keeps_its_place_by_the_more_urgent_class(database: OtDatabase) -> None:
    """Its rank is that of a scheduled job from its own beginning on: not the fire's, which would overtake others."""
    again = NOW + minutes(60)
    failed(database, again)
    database.jobs.enqueue([request("M1", key="next fire", not_before=NOW + minutes(1))], NOW)
    database.jobs.enqueue(
        [request("M2", not_before=again - minutes(1)), request("M3", not_before=again + minutes(1))], NOW
    )
    order = [one.meter_id for one in database.jobs.lease(TERMS, 5, again + minutes(2))]
    assert order == ["M2", "M1", "M3"]


def test_who_waits_does_not_wait_for_the_end_of_a_break(database: OtDatabase) -> None:
    backs_off = failed(database, NOW + minutes(10))
    database.jobs.enqueue([request("M1", priority=Priority.ON_DEMAND, key="person", not_before=NOW)], NOW)
    (bundle,) = database.jobs.lease(TERMS, 1, NOW)
    assert [(one.job_id, one.not_before, one.attempts) for one in bundle.jobs] == [(backs_off, NOW, 2)]


def test_an_ended_job_coalesces_nothing(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1", key="a")], NOW)
    (bundle,) = database.jobs.lease(TERMS, 1, NOW)
    database.jobs.finish([done(bundle)], NOW)
    again, new = database.jobs.enqueue([request("M1", key="a"), request("M1", key="b")], NOW)
    assert again != new
    assert jobs(database)[new].state is JobState.WAITING


def test_what_runs_does_not_do_what_is_asked_meanwhile(database: OtDatabase) -> None:
    """The register may have been read before the request came."""
    database.jobs.enqueue([request("M1", key="a")], NOW)
    (bundle,) = database.jobs.lease(TERMS, 1, NOW)
    (new,) = database.jobs.enqueue([request("M1", key="b")], NOW)
    assert database.jobs.lease(OTHER, 1, NOW) == [], "one association per meter"
    database.jobs.finish([done(bundle)], NOW)
    ((second),) = database.jobs.lease(OTHER, 1, NOW)
    assert [job.job_id for job in second.jobs] == [new]


def test_stretches_of_the_past_are_coalesced_only_when_they_are_the_same(database: OtDatabase) -> None:
    one, other = TimeSpan(NOW - minutes(60), NOW), TimeSpan(NOW - minutes(90), NOW)
    ids = database.jobs.enqueue(
        [
            request("M1", JobKind.PROFILES, span=span, key=key)
            for span, key in [(None, "new"), (one, "a"), (other, "b"), (one, "c")]
        ],
        NOW,
    )
    assert ids[1] == ids[3]
    assert len(set(ids)) == 3


# ------------------------------------------------------------------ leases
def test_all_that_is_due_for_a_meter_is_one_bundle(database: OtDatabase) -> None:
    database.jobs.enqueue(
        [request("M1"), request("M1", JobKind.EVENTS), request("M1", JobKind.PING, not_before=NOW + minutes(1))], NOW
    )
    (bundle,) = database.jobs.lease(TERMS, 5, NOW)
    assert bundle.kinds == {JobKind.REGISTERS, JobKind.EVENTS}


def test_what_is_due_soon_is_taken_along(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1"), request("M1", JobKind.PING, not_before=NOW + minutes(1))], NOW)
    (bundle,) = database.jobs.lease(replace(TERMS, take_along=minutes(2)), 5, NOW)
    assert bundle.kinds == {JobKind.REGISTERS, JobKind.PING}


def test_nothing_that_is_not_due_is_leased(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1", not_before=NOW + minutes(1), priority=Priority.ALARM)], NOW)
    assert database.jobs.lease(TERMS, 5, NOW) == []
    assert len(database.jobs.lease(TERMS, 5, NOW + minutes(1))) == 1


def test_a_meter_is_leased_to_one_worker_until_it_is_given_back(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1")], NOW)
    (bundle,) = database.jobs.lease(TERMS, 5, NOW)
    database.jobs.enqueue([request("M1", JobKind.EVENTS, priority=Priority.ALARM)], NOW)
    assert database.jobs.lease(OTHER, 5, NOW + minutes(0.9)) == []
    assert database.jobs.finish([done(bundle)], NOW) == {bundle.lease}
    assert [one.kinds for one in database.jobs.lease(OTHER, 5, NOW)] == [{JobKind.EVENTS}]


def test_a_lease_that_was_revoked_is_another_workers_and_the_first_changes_nothing_more(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1")], NOW)
    (lost,) = database.jobs.lease(TERMS, 5, NOW)
    assert database.jobs.lease(OTHER, 5, NOW + minutes(999)) == [], "whatever a clock says"
    assert database.jobs.revoke(database.jobs.leases()) == {lost.lease}
    assert [job.state for job in jobs(database).values()] == [JobState.WAITING]
    assert database.jobs.renew([lost.lease], NOW) == frozenset()
    (taken,) = database.jobs.lease(OTHER, 5, NOW)
    assert taken.lease.fence > lost.lease.fence
    assert [job.attempts for job in taken.jobs] == [2]
    assert database.jobs.renew([lost.lease], NOW) == frozenset()
    assert database.jobs.finish([done(lost, JobState.DEAD)], NOW) == frozenset()
    assert [job.state for job in jobs(database).values()] == [JobState.LEASED]
    assert database.jobs.finish([done(taken)], NOW) == {taken.lease}
    assert database.jobs.finish([done(taken, JobState.DEAD)], NOW) == frozenset(), "given back is given back"


def test_a_lease_is_seen_as_it_was_last_renewed(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1"), request("M2", not_before=NOW + minutes(5))], NOW)
    assert database.jobs.leases() == []
    (bundle,) = database.jobs.lease(replace(TERMS, duration=minutes(2)), 5, NOW)
    assert database.jobs.leases() == [bundle.lease]
    assert database.jobs.renew([bundle.lease], NOW + minutes(5)) == {bundle.lease}
    assert database.jobs.leases() == [replace(bundle.lease, until=NOW + minutes(7))]


def test_a_lease_that_was_renewed_meanwhile_is_not_revoked(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1")], NOW)
    (bundle,) = database.jobs.lease(TERMS, 5, NOW)
    seen = database.jobs.leases()
    database.jobs.renew([bundle.lease], NOW + minutes(0.3))
    assert database.jobs.revoke(seen) == frozenset()
    assert database.jobs.finish([done(bundle)], NOW) == {bundle.lease}


def test_a_meter_whose_lease_was_given_back_or_taken_anew_is_not_revoked(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1")], NOW)
    (bundle,) = database.jobs.lease(TERMS, 5, NOW)
    seen = database.jobs.leases()
    database.jobs.finish([done(bundle, JobState.WAITING, not_before=NOW)], NOW)
    assert database.jobs.revoke(seen) == frozenset()
    (again,) = database.jobs.lease(TERMS, 5, NOW)
    assert database.jobs.revoke(seen) == frozenset(), "the same worker, the same end, another fence"
    assert database.jobs.finish([done(again)], NOW) == {again.lease}


def test_what_was_revoked_past_its_deadline_expires(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1", deadline=NOW + minutes(1))], NOW)
    database.jobs.lease(TERMS, 5, NOW)
    assert database.jobs.expire(NOW + minutes(2)) == 0, "it may yet be done"
    revoke_all(database)
    assert database.jobs.expire(NOW + minutes(2)) == 1


def test_a_job_that_waits_again_comes_at_its_time_with_its_attempts_counted(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1"), request("M1", JobKind.EVENTS)], NOW)
    (bundle,) = database.jobs.lease(TERMS, 5, NOW)
    again, ended = bundle.jobs
    outcomes = (
        JobOutcome(again.job_id, JobState.WAITING, NOW + minutes(3), told="silent", remedy="look"),
        JobOutcome(ended.job_id, JobState.DONE),
    )
    database.jobs.finish([Finished(bundle.lease, outcomes)], NOW)
    assert database.jobs.lease(TERMS, 5, NOW + minutes(2)) == []
    (second,) = database.jobs.lease(TERMS, 5, NOW + minutes(3))
    assert [(job.job_id, job.attempts, job.told) for job in second.jobs] == [(again.job_id, 2, "silent")]


def test_a_job_that_starts_afresh_has_all_its_attempts(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1")], NOW)
    for _ in range(9):
        (bundle,) = database.jobs.lease(TERMS, 5, NOW)
        assert [job.attempts for job in bundle.jobs] == [1]
        database.jobs.finish([done(bundle, JobState.WAITING, not_before=NOW, afresh=True)], NOW)


def test_a_job_under_which_workers_die_is_dead_in_the_end(database: OtDatabase) -> None:
    terms = replace(TERMS, retry=RetryRules(attempts_max=2))
    database.jobs.enqueue([request("M1")], NOW)
    now = NOW
    for _ in range(2):
        assert len(database.jobs.lease(terms, 5, now)) == 1
        now += minutes(2)
        revoke_all(database)
    assert database.jobs.lease(terms, 5, now) == []
    (job,) = jobs(database).values()
    assert (job.state, "workers were lost" in job.told) == (JobState.DEAD, True)
    assert database.jobs.lease(terms, 5, now + minutes(9)) == []


def test_what_is_past_its_deadline_expires_instead_of_being_leased(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1", deadline=NOW + minutes(1)), request("M1", JobKind.EVENTS)], NOW)
    (bundle,) = database.jobs.lease(TERMS, 5, NOW + minutes(1))
    assert bundle.kinds == {JobKind.EVENTS}
    assert Counter(job.state for job in jobs(database).values()) == {JobState.EXPIRED: 1, JobState.LEASED: 1}


def test_a_meter_whose_every_job_expired_is_not_called_and_spends_no_try(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1", deadline=NOW + minutes(1))], NOW)
    assert database.jobs.lease(TERMS, 5, NOW + minutes(2)) == []
    database.jobs.enqueue([request("M1", JobKind.EVENTS)], NOW)
    (bundle,) = database.jobs.lease(TERMS, 5, NOW + minutes(2))
    assert bundle.lease.tries == 1


def test_expired_jobs_are_ended_without_anybody_leasing(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1", deadline=NOW + minutes(1)), request("M2")], NOW)
    assert (database.jobs.expire(NOW), database.jobs.expire(NOW + minutes(1))) == (0, 1)


def test_tries_without_an_answer_are_counted_by_the_utc_day(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1")], NOW)
    tries, now = [], NOW
    for step, answered in ((0, False), (60, False), (60, True), (60, False), (24 * 60, False)):
        now += minutes(step)
        (bundle,) = database.jobs.lease(TERMS, 5, now)
        tries.append(bundle.lease.tries)
        again = done(bundle, JobState.WAITING, not_before=now)
        database.jobs.finish([again._replace(tries=0 if answered else bundle.lease.tries)], now)
    assert tries == [1, 2, 3, 1, 1]


def test_a_meter_that_rests_is_called_for_urgent_jobs_only(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1")], NOW)
    (bundle,) = database.jobs.lease(TERMS, 5, NOW)
    rest = done(bundle, JobState.WAITING, not_before=NOW)._replace(rests_until=NOW + minutes(600))
    database.jobs.finish([rest], NOW)
    assert database.jobs.lease(TERMS, 5, NOW + minutes(1)) == []
    database.jobs.enqueue([request("M1", JobKind.EVENTS)], NOW)
    assert database.jobs.lease(TERMS, 5, NOW + minutes(1)) == [], "neither for new ones that can wait"
    database.jobs.enqueue([request("M1", JobKind.PING, priority=Priority.ON_DEMAND)], NOW)
    (urgent,) = database.jobs.lease(TERMS, 5, NOW + minutes(1))
    assert urgent.kinds == {JobKind.REGISTERS, JobKind.EVENTS, JobKind.PING}, "the association is open anyway"


def test_a_rest_is_told_and_what_rests_is_not_due(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1"), request("M2")], NOW)
    bundles = {one.meter_id: one for one in database.jobs.lease(TERMS, 5, NOW)}
    until, later = NOW + minutes(600), NOW + minutes(1)
    rest = done(bundles["M1"], JobState.WAITING, not_before=NOW)._replace(tries=2, rests_until=until)
    database.jobs.finish([rest, done(bundles["M2"], JobState.WAITING, not_before=NOW)], NOW)
    database.jobs.enqueue([request("M1", JobKind.PING, priority=Priority.ON_DEMAND, not_before=later)], NOW)
    assert database.job_book.rests({"M1", "M2", "M3"}, NOW) == {"M1": Rest(until, 2)}
    assert database.job_book.rests({"M1"}, until) == {}
    held = {(job.meter_id, job.kind) for job in jobs(database).values() if Rest(until, 2).holds(job)}
    assert held == {("M1", JobKind.REGISTERS), ("M2", JobKind.REGISTERS)}, "not the urgent one"
    counts = database.job_book.counts(later)
    assert (counts.due, counts.resting, counts.oldest_due) == (2, 1, NOW)
    assert [(one.priority, one.due, one.resting) for one in database.measures.job_queues(later)] == [
        (Priority.ON_DEMAND, 1, 0),
        (Priority.SCHEDULED, 1, 1),
    ]
    counts = database.job_book.counts(until)
    assert (counts.due, counts.resting) == (3, 0)


def test_the_rest_ends(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1")], NOW)
    (bundle,) = database.jobs.lease(TERMS, 5, NOW)
    rest = done(bundle, JobState.WAITING, not_before=NOW)._replace(rests_until=NOW + minutes(600))
    database.jobs.finish([rest], NOW)
    assert len(database.jobs.lease(TERMS, 5, NOW + minutes(600))) == 1


# ------------------------------------------------------------------ priority
def test_urgent_work_goes_first_and_nothing_starves(database: OtDatabase) -> None:
    """However much is asked for on demand: what waited for longer than its patience goes ahead of what comes then."""
    database.jobs.enqueue([request("OLD", priority=Priority.BULK)], NOW)
    now, served_at = NOW, None
    for minute in range(400):
        now = NOW + minutes(minute)
        database.jobs.enqueue([request(f"D{minute}", priority=Priority.ON_DEMAND, not_before=now)], now)
        (bundle,) = database.jobs.lease(TERMS, 1, now)
        database.jobs.finish([done(bundle)], now)
        if bundle.meter_id == "OLD":
            served_at = minute
            break
    patience = Priority.BULK.patience - Priority.ON_DEMAND.patience
    assert served_at is not None
    assert patience <= minutes(served_at) <= patience + minutes(1)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(list(Priority)), st.integers(0, 600)), min_size=1, max_size=12))
def test_jobs_leave_in_the_order_of_their_rank(database: OtDatabase, asked: list[tuple[Priority, int]]) -> None:
    salt = next(_SALTS)
    requests = [
        request(f"{salt}-{n}", priority=priority, not_before=NOW + minutes(minute), key=f"{salt}-{n}")
        for n, (priority, minute) in enumerate(asked)
    ]
    database.jobs.enqueue(requests, NOW)
    rank = {one.meter_id: one.not_before + one.priority.patience for one in requests}
    bundles = database.jobs.lease(TERMS, 100, NOW + minutes(600))
    taken = [one.meter_id for one in bundles]
    assert sorted(taken) == sorted(rank)
    assert [rank[one] for one in taken] == sorted(rank.values())
    database.jobs.finish([done(one) for one in bundles], NOW)


# ------------------------------------------------------------------ throttles
def placed(meters: int, **place: str) -> list[JobRequest]:
    name = "-".join(place.values())
    return [request(f"{name}-{n:03}", place=Place(**place)) for n in range(meters)]


def throttled(**limits: object) -> LeaseTerms:
    return replace(TERMS, throttle=ThrottleRules(**limits))


def test_sessions_behind_one_collector_are_limited_and_the_others_are_not_held_up(database: OtDatabase) -> None:
    database.jobs.enqueue(placed(200, collector="A") + placed(3, collector="B"), NOW)
    terms = throttled(collector=Limit(sessions=2))
    first = database.jobs.lease(terms, 10, NOW)
    assert Counter(one.meter_id[0] for one in first) == {"A": 2, "B": 2}
    assert database.jobs.lease(terms, 10, NOW) == []
    database.jobs.finish([done(first[0])], NOW)
    assert [one.meter_id[0] for one in database.jobs.lease(terms, 10, NOW)] == [first[0].meter_id[0]]


def test_a_lease_that_was_revoked_counts_no_longer(database: OtDatabase) -> None:
    database.jobs.enqueue(placed(4, cell="A"), NOW)
    terms = throttled(cell=Limit(sessions=2))
    assert len(database.jobs.lease(terms, 10, NOW)) == 2
    assert database.jobs.lease(terms, 10, NOW + minutes(9)) == []
    revoke_all(database)
    assert len(database.jobs.lease(terms, 10, NOW)) == 2


def test_new_associations_keep_to_their_rate(database: OtDatabase) -> None:
    database.jobs.enqueue(placed(100, network="10.0.0.0/24"), NOW)
    terms = throttled(network=Limit(per_second=2, burst=5))
    taken = [len(database.jobs.lease(terms, 50, NOW + timedelta(seconds=second))) for second in range(10)]
    assert taken[0] == 5
    assert taken[1:] == [2] * 9


def test_the_whole_head_end_has_a_limit_too(database: OtDatabase) -> None:
    database.jobs.enqueue(placed(20, network="n"), NOW)
    assert len(database.jobs.lease(throttled(all=Limit(sessions=7)), 50, NOW)) == 7


def test_a_gate_of_its_own_name_has_its_own_limit(database: OtDatabase) -> None:
    database.jobs.enqueue(placed(5, collector="A") + placed(5, collector="B"), NOW)
    terms = throttled(collector=Limit(sessions=1), named={"collector:B": Limit(sessions=4)})
    assert Counter(one.meter_id[0] for one in database.jobs.lease(terms, 50, NOW)) == {"A": 1, "B": 4}


def test_a_request_that_knows_no_place_leaves_the_meter_where_it_is(database: OtDatabase) -> None:
    database.jobs.enqueue(placed(2, cell="A"), NOW)
    database.jobs.enqueue([request("A-001", JobKind.PING, priority=Priority.ALARM)], NOW)
    assert len(database.jobs.lease(throttled(cell=Limit(sessions=1)), 50, NOW)) == 1


# ------------------------------------------------------------------ what people do
def test_a_dead_letter_is_tried_again_with_all_its_attempts(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1", deadline=NOW + minutes(1))], NOW)
    (bundle,) = database.jobs.lease(TERMS, 1, NOW)
    database.jobs.finish([done(bundle, JobState.DEAD, told="wrong key", remedy="mend the key")], NOW)
    (job,) = database.job_book.find(JobQuery(states=frozenset({JobState.DEAD})))
    assert (job.told, job.remedy, job.finished_at) == ("wrong key", "mend the key", NOW)
    again = database.job_book.retry(job.job_id[:8], NOW + minutes(60))
    assert (again.state, again.attempts, again.deadline) == (JobState.WAITING, 0, None)
    (bundle,) = database.jobs.lease(TERMS, 1, NOW + minutes(60))
    assert [one.job_id for one in bundle.jobs] == [job.job_id]
    with pytest.raises(RequestError, match="leased already"):
        database.job_book.retry(job.job_id, NOW)


def test_a_job_that_is_discarded_is_not_done(database: OtDatabase) -> None:
    (job_id,) = database.jobs.enqueue([request("M1")], NOW)
    assert database.job_book.discard(job_id, "ops", NOW).state is JobState.CANCELLED
    assert database.jobs.lease(TERMS, 1, NOW) == []
    with pytest.raises(RequestError, match="nothing to discard"):
        database.job_book.discard(job_id, "ops", NOW)


def test_a_dead_letter_that_is_discarded_has_failed_and_nobody_looks_at_it_any_more(database: OtDatabase) -> None:
    (job_id,) = database.jobs.enqueue([request("M1")], NOW)
    (bundle,) = database.jobs.lease(TERMS, 1, NOW)
    database.jobs.finish([done(bundle, JobState.DEAD, told="wrong key", remedy="mend the key")], NOW)
    discarded = database.job_book.discard(job_id, "ops", NOW + minutes(1))
    assert (discarded.state, discarded.told) == (JobState.FAILED, "discarded by ops; before: wrong key")
    assert database.measures.dead_letters() == 0
    with pytest.raises(RequestError, match="nothing to discard"):
        database.job_book.discard(job_id, "ops", NOW)
    assert database.job_book.retry(job_id, NOW).state is JobState.WAITING


def test_a_job_whose_deadline_has_passed_expired_before_it_was_discarded(database: OtDatabase) -> None:
    (job_id,) = database.jobs.enqueue([request("M1", deadline=NOW + minutes(1))], NOW)
    assert database.job_book.discard(job_id, "ops", NOW + minutes(1)).state is JobState.EXPIRED


def test_a_job_that_is_discarded_while_it_runs_stays_discarded(database: OtDatabase) -> None:
    (job_id,) = database.jobs.enqueue([request("M1")], NOW)
    (bundle,) = database.jobs.lease(TERMS, 1, NOW)
    database.job_book.discard(job_id, "ops", NOW)
    database.jobs.finish([done(bundle)], NOW)
    assert database.job_book.job(job_id).state is JobState.CANCELLED


def test_a_success_settles_the_dead_letter_before_it(database: OtDatabase) -> None:
    for key, state in (("a", JobState.DEAD), ("b", JobState.DEAD), ("c", JobState.DONE)):
        database.jobs.enqueue([request("M1", key=key)], NOW)
        (bundle,) = database.jobs.lease(TERMS, 1, NOW)
        database.jobs.finish([done(bundle, state)], NOW)
        assert len(jobs(database, states=frozenset({JobState.DEAD}))) == (state is JobState.DEAD)


def test_an_id_that_several_begin_with_names_none(database: OtDatabase) -> None:
    database.jobs.enqueue([request(f"M{n}") for n in range(40)], NOW)
    with pytest.raises(NotFoundError, match="several"):
        database.job_book.job(next(iter(jobs(database)))[:0] or _common_first_digit(jobs(database)))
    with pytest.raises(NotFoundError, match="no job"):
        database.job_book.job("zz")


def _common_first_digit(ids: dict[str, Job]) -> str:
    ((digit, count),) = Counter(one[0] for one in ids).most_common(1)
    assert count > 1
    return digit


def test_history_is_kept_and_then_forgotten_dead_letters_apart(database: OtDatabase) -> None:
    for meter, state in (("M1", JobState.DONE), ("M2", JobState.DEAD), ("M3", JobState.CANCELLED)):
        database.jobs.enqueue([request(meter)], NOW)
        (bundle,) = database.jobs.lease(TERMS, 1, NOW)
        database.jobs.finish([done(bundle, state)], NOW)
    assert (database.jobs.prune(NOW), len(jobs(database))) == (0, 3)
    assert database.jobs.prune(NOW + minutes(1)) == 2
    assert [job.state for job in jobs(database).values()] == [JobState.DEAD]


def test_a_dead_letter_whose_deadline_is_long_past_is_forgotten_too(database: OtDatabase) -> None:
    """A stretch that its meter no longer keeps: nobody can act on it, and there is one for each stretch."""
    for meter, deadline in (("M1", NOW + minutes(5)), ("M2", None)):
        database.jobs.enqueue([request(meter, deadline=deadline)], NOW)
        (bundle,) = database.jobs.lease(TERMS, 1, NOW)
        database.jobs.finish([done(bundle, JobState.DEAD)], NOW)
    assert database.jobs.prune(NOW + minutes(5)) == 0
    assert database.jobs.prune(NOW + minutes(6)) == 1
    assert [job.meter_id for job in jobs(database).values()] == ["M2"]


def test_counts_say_what_waits_and_since_when(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1"), request("M2", not_before=NOW + minutes(5))], NOW)
    counts = database.job_book.counts(NOW + minutes(1))
    assert (counts.by_state, counts.due, counts.oldest_due) == ({JobState.WAITING: 2}, 1, NOW)


# ------------------------------------------------------------------ transactions and several at once
def test_jobs_and_what_is_saved_with_them_are_committed_together_or_not_at_all(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1")], NOW)
    (bundle,) = database.jobs.lease(TERMS, 1, NOW)

    def fail() -> None:
        with database.jobs.transaction():
            database.jobs.finish([done(bundle)], NOW)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [job.state for job in jobs(database).values()] == [JobState.LEASED]
    assert database.jobs.finish([done(bundle)], NOW) == {bundle.lease}


def test_many_workers_at_once_lease_each_meter_to_one(database: OtDatabase) -> None:
    database.jobs.enqueue([request(f"M{n:03}", kind) for n in range(120) for kind in JobKind], NOW)

    def work(name: str) -> list[str]:
        held = []
        while bundles := database.jobs.lease(LeaseTerms(name), 7, NOW):
            held += [one.meter_id for one in bundles for _ in one.jobs]
            database.jobs.enqueue([request(one.meter_id, JobKind.PING, key=f"{name}{one}") for one in bundles], NOW)
            assert len(database.jobs.finish([done(one) for one in bundles], NOW)) == len(bundles)
            if len(held) > 120 * 12:
                break
        return held

    with ThreadPoolExecutor(4) as threads:
        per_worker = list(threads.map(work, ["a", "b", "c", "d"]))
    first_jobs = Counter(job.state for job in jobs(database, limit=100_000).values() if "M" in job.meter_id)
    assert first_jobs[JobState.LEASED] == 0
    assert sum(map(len, per_worker)) >= 120 * len(JobKind)
    assert all(job.attempts <= 1 for job in jobs(database, limit=100_000).values()), "nothing was leased twice"


def test_workers_that_lease_at_once_keep_to_the_limit_together(database: OtDatabase) -> None:
    database.jobs.enqueue(placed(200, collector="A"), NOW)
    terms = throttled(collector=Limit(sessions=25))
    with ThreadPoolExecutor(4) as threads:
        leased = list(threads.map(lambda n: database.jobs.lease(replace(terms, worker=f"w{n}"), 10, NOW), range(8)))
    assert sum(map(len, leased)) == 25


# ------------------------------------------------------------------ firings
def test_of_several_schedulers_one_moves_the_mark(database: OtDatabase) -> None:
    first = Firing("night", NOW)
    assert database.firings.firing("night") is None
    assert (database.firings.moved(None, first), database.firings.moved(None, first)) == (True, False)
    begun = Firing("night", NOW, NOW + minutes(60), "M5")
    assert (database.firings.moved(first, begun), database.firings.moved(first, begun)) == (True, False)
    assert database.firings.firing("night") == begun


def test_schedulers_that_move_at_once_are_one(database: OtDatabase) -> None:
    database.firings.moved(None, Firing("night", NOW))

    def race(at: datetime) -> bool:
        return database.firings.moved(Firing("night", NOW), Firing("night", at))

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(race, [NOW + minutes(n + 1) for n in range(8)])) == 1


def test_counters_of_many_meters_are_reserved_at_once(database: OtDatabase) -> None:
    database.counters.reserve("M1", 7)
    first = database.counters.reserve_all(["M2", "M1"], 10)
    assert first == {"M1": 8, "M2": 1}
    assert [database.counters.reserve(one, 1) for one in ("M1", "M2")] == [18, 11]


def test_a_meter_without_enough_counters_is_left_out(database: OtDatabase) -> None:
    database.counters.raise_to("M1", 0xFFFF_FFFF)
    assert database.counters.reserve_all(["M1", "M2"], 10) == {"M2": 1}
