"""The job log as service levels read it, and what waits as metrics tell it; on PostgreSQL too."""

from dataclasses import replace
from datetime import timedelta

from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventKind, MeterEvent
from amity.domain.jobs import JobKind, JobOutcome, JobState, Priority
from amity.domain.spans import TimeSpan
from amity.headend.jobs.ports import Finished, LeaseTerms
from amity.headend.ports import Progress
from amity.headend.sla.records import JobRecord
from amity.headend.urgency import Urgency
from amity.storage.ot.database import OtDatabase
from amity.storage.ot.measures import JobQueue, Leases, OutboxLane
from tests.unit.headend.jobs.requests import NOW, request

MINUTE = timedelta(minutes=1)


def records(database: OtDatabase, since: object = NOW) -> dict[str, JobRecord]:
    return {one.job_id: one for one in database.job_log.since(since)}


def end(database: OtDatabase, at: object, **outcome: object) -> None:
    for bundle in database.jobs.lease(LeaseTerms("w"), 10, at):
        ended = tuple(JobOutcome(job.job_id, **{"state": JobState.DONE, **outcome}) for job in bundle.jobs)
        database.jobs.finish([Finished(bundle.lease, ended)], at)


def test_the_log_has_jobs_as_they_went(database: OtDatabase) -> None:
    assert database.job_log.begins() is None
    span = TimeSpan(NOW - MINUTE, NOW)
    asked = request("M1", JobKind.PROFILES, span=span, not_before=NOW + MINUTE)
    (job_id,) = database.jobs.enqueue([asked], NOW)
    waiting = JobRecord(job_id, "M1", JobKind.PROFILES, Priority.SCHEDULED, JobState.WAITING, NOW + MINUTE, span=span)
    assert records(database) == {job_id: waiting}
    holes = (TimeSpan(NOW - MINUTE, NOW - MINUTE / 2), TimeSpan(NOW - MINUTE / 3, NOW))
    end(database, NOW + 2 * MINUTE, told="so so", lacking=holes)
    then = NOW + 2 * MINUTE
    done = waiting._replace(state=JobState.DONE, started_at=then, finished_at=then, told="so so", lacking=holes)
    assert records(database) == {job_id: done}
    assert database.job_book.job(job_id).lacking == holes
    assert done.took == MINUTE
    assert records(database, NOW + 3 * MINUTE) == {}
    assert database.job_log.begins() == NOW


def test_a_job_that_another_did_has_its_times(database: OtDatabase) -> None:
    (first,) = database.jobs.enqueue([request("M1")], NOW)
    asked = request("M1", key="later", priority=Priority.ON_DEMAND)
    assert database.jobs.enqueue([asked], NOW + MINUTE) == [first]
    end(database, NOW + 2 * MINUTE)
    found = records(database)
    twin = found[asked.job_id]
    assert (twin.state, twin.finished_at, twin.priority) == (JobState.DONE, NOW + 2 * MINUTE, Priority.ON_DEMAND)
    assert twin.took == MINUTE
    assert found[first].took == 2 * MINUTE


def test_a_job_that_is_tried_again_was_asked_for_when_it_might_first_begin(database: OtDatabase) -> None:
    (job_id,) = database.jobs.enqueue([request("M1", not_before=NOW + MINUTE)], NOW)
    for minute in (1, 3):
        end(
            database, NOW + minute * MINUTE, state=JobState.WAITING, not_before=NOW + (minute + 2) * MINUTE, afresh=True
        )
    database.called_in.due_now("M1", NOW + 4 * MINUTE)
    assert database.job_book.job(job_id).not_before == NOW + 4 * MINUTE
    end(database, NOW + 6 * MINUTE)
    found = records(database)[job_id]
    assert (found.asked_at, found.took) == (NOW + MINUTE, 5 * MINUTE)


def test_what_a_person_retries_is_judged_as_it_was_asked_for(database: OtDatabase) -> None:
    (job_id,) = database.jobs.enqueue([request("M1", priority=Priority.BULK)], NOW)
    end(database, NOW + MINUTE, state=JobState.DEAD)
    assert database.job_book.retry(job_id, NOW + 9 * MINUTE).priority is Priority.ON_DEMAND, "done at once all the same"
    end(database, NOW + 10 * MINUTE)
    found = records(database)[job_id]
    assert (found.priority, found.asked_at, found.took) == (Priority.BULK, NOW, 10 * MINUTE)


def test_discarding_dead_letters_does_not_better_the_record(database: OtDatabase) -> None:
    """The second one settled the first: both had failed before a person put them aside."""
    ids = []
    for key in "ab":
        ids += database.jobs.enqueue([request("M1", key=key, priority=Priority.ON_DEMAND)], NOW)
        end(database, NOW + MINUTE, state=JobState.DEAD, told="refused")
    database.job_book.discard(ids[-1], "root", NOW + 2 * MINUTE)
    assert [records(database)[one].state for one in ids] == [JobState.FAILED] * 2


def test_a_scheduled_job_that_does_an_urgent_one_too_stays_a_scheduled_one(database: OtDatabase) -> None:
    (first,) = database.jobs.enqueue([request("M1", not_before=NOW + 9 * MINUTE)], NOW)
    urgent = request("M1", key="urgent", priority=Priority.ON_DEMAND)
    database.jobs.enqueue([urgent], NOW)
    end(database, NOW + MINUTE)
    found = records(database)
    scheduled = found[first]
    assert (scheduled.priority, scheduled.asked_at) == (Priority.SCHEDULED, NOW + 9 * MINUTE)
    assert scheduled.took == timedelta(0), "done before it was asked for"
    assert (found[urgent.job_id].priority, found[urgent.job_id].took) == (Priority.ON_DEMAND, MINUTE)


def test_what_waits_is_counted_by_priority_and_lane(database: OtDatabase) -> None:
    assert (database.measures.outbox(), database.measures.job_queues(NOW)) == ([], [])
    database.jobs.enqueue([request("M1"), request("M2"), request("M3", not_before=NOW + MINUTE)], NOW)
    database.jobs.enqueue([request("M4", priority=Priority.ON_DEMAND)], NOW)
    assert database.measures.job_queues(NOW) == [
        JobQueue(Priority.ON_DEMAND, 1, 1, 0),
        JobQueue(Priority.SCHEDULED, 3, 2, 0),
    ]
    leased = database.jobs.lease(LeaseTerms("w"), 2, NOW)
    assert database.measures.leases() == Leases(2, oldest=NOW, first_end=min(one.lease.until for one in leased))
    end(database, NOW, state=JobState.DEAD)
    assert database.measures.dead_letters() == 1


def test_the_outbox_is_counted_by_lane_with_its_oldest(database: OtDatabase) -> None:
    gasp = MeterEvent(EventKind.POWER_DOWN, 1, NOW)
    one = Delivery("a", "M1", "s", NOW, Outcome.COMPLETE)
    two = replace(one, message_id="b", collected_at=NOW + MINUTE)
    for each in (two, one, replace(two, message_id="c", outcome=Outcome.PUSHED, events=(gasp,))):
        database.collection.save(each, "d", b"", progress=Progress())
    assert database.measures.outbox() == [
        OutboxLane(Urgency.ALARM, 1, NOW + MINUTE),
        OutboxLane(Urgency.READINGS, 2, NOW),
    ]
