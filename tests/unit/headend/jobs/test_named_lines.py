"""Who merely says a meter's name costs that meter nothing: no attempts, no dead letters, no break cut short."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest

from amity.domain.jobs import Job, JobKind, JobOutcome, JobState, Lease, Priority
from amity.headend.jobs.giving_back import finished_of
from amity.headend.jobs.meter_sessions import MeterSessions
from amity.headend.jobs.ports import Finished, LeaseTerms
from amity.headend.jobs.retry import RetryRules, by_name_only, failure_of
from amity.headend.jobs.sessions import SessionResult
from amity.headend.jobs.ways import Ways, WaysFollowed
from amity.headend.jobs.worker import Worker
from amity.headend.ports import MeterSecrets
from amity.kernel.backoff import Backoff
from amity.kernel.errors import ConfigurationError, RemoteProtocolError, StorageError
from amity.simulation.virtual_time import VirtualClock, run_virtually
from amity.storage.ot.database import OtDatabase
from tests.unit.headend.jobs.requests import NOW, request

RULES = RetryRules(attempts_max=1, backoff=Backoff(30.0, 900.0))
MINUTE = timedelta(minutes=1)


def test_whoever_only_said_the_name_spends_nothing_and_is_not_called_again_at_once() -> None:
    lease = Lease("M1", "w", 1, NOW, tries=5)
    job = Job("j", "M1", JobKind.PING, Priority.BULK, JobState.LEASED, NOW, NOW, attempts=7)
    failure = by_name_only(RemoteProtocolError("garbage"), failure_of(RemoteProtocolError("garbage"), passing=False))
    finished = finished_of(_Bundle(lease, (job,)), SessionResult(failure=failure), NOW, RULES, lambda: 0.5)
    (outcome,) = finished.outcomes
    assert (outcome.state, outcome.afresh, finished.tries) == (JobState.WAITING, True, 4)
    assert NOW < outcome.not_before <= NOW + MINUTE
    assert finished.rests_until == outcome.not_before
    assert outcome.told == "whoever called in under this name: garbage"


def test_what_is_wrong_with_us_is_not_put_down_to_the_caller() -> None:
    ours = ConfigurationError("no key")
    failure = failure_of(ours, passing=False)
    assert by_name_only(ours, failure) == failure


class _Bundle:
    def __init__(self, lease: Lease, jobs: tuple[Job, ...]) -> None:
        self.lease, self.jobs = lease, jobs


@pytest.mark.parametrize(("named", "state"), [(True, JobState.WAITING), (False, JobState.DEAD)])
async def test_a_wrong_key_is_the_meters_only_where_it_proved_itself(
    make_bench: Callable, named: bool, state: JobState
) -> None:
    bench = make_bench(5)
    meter = bench.simulated.meters[2].meter_id
    bench.keys.by_meter[meter] = MeterSecrets(b"", bytes(16), bytes(16))
    (job_id,) = bench.database.jobs.enqueue([request(meter)], NOW)
    surroundings = replace(bench.surroundings, only_named=lambda _meter: named)
    sessions = MeterSessions(surroundings, bench.database.meter_states, bench.database.counters)
    await Worker(
        bench.database.jobs, sessions, terms=lambda: LeaseTerms("w", retry=RULES), concurrency=4,
        clock=bench.clock, disk=bench.surroundings.disk, chance=Random(1).random,
    ).drain()  # fmt: skip
    job = bench.database.job_book.job(job_id)
    assert job.state is state, job.told
    assert job.told.startswith("whoever called in under this name") is named


# ------------------------------------------------------------------ what a call brings forward
def given_back(database: OtDatabase, at: datetime, **more: object) -> None:
    rests = more.pop("rests_until", None)
    for bundle in database.jobs.lease(LeaseTerms("w"), 10, at):
        outcomes = tuple(JobOutcome(job.job_id, JobState.WAITING, at + 10 * MINUTE, **more) for job in bundle.jobs)
        database.jobs.finish([Finished(bundle.lease, outcomes, rests_until=rests)], at)


@pytest.mark.parametrize(("afresh", "due"), [(True, NOW + MINUTE), (False, NOW + 10 * MINUTE)])
def test_a_call_cuts_short_no_break_that_follows_a_failure(database: OtDatabase, afresh: bool, due: datetime) -> None:
    (job_id,) = database.jobs.enqueue([request("M1")], NOW)
    given_back(database, NOW, afresh=afresh)
    database.called_in.due_now("M1", NOW + MINUTE)
    assert database.job_book.job(job_id).not_before == due


def test_a_call_does_not_wake_a_meter_that_rests(database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1")], NOW)
    given_back(database, NOW, afresh=True, rests_until=NOW + 5 * MINUTE)
    database.called_in.due_now("M1", NOW + MINUTE)
    assert not database.jobs.lease(LeaseTerms("w"), 10, NOW + 2 * MINUTE)
    database.jobs.enqueue([request("M1", JobKind.PING, key="now", priority=Priority.ON_DEMAND)], NOW + 2 * MINUTE)
    assert database.jobs.lease(LeaseTerms("w"), 10, NOW + 2 * MINUTE), "somebody waits"


def test_a_call_sets_no_clock_before_its_own_time(database: OtDatabase) -> None:
    (job_id,) = database.jobs.enqueue([request("M1", JobKind.CLOCK_SET, not_before=NOW + MINUTE)], NOW)
    assert not database.called_in.put_off(["M1"], [], NOW, 10)
    database.called_in.due_now("M1", NOW)
    assert database.job_book.job(job_id).not_before == NOW + MINUTE


def test_a_clock_whose_time_went_by_without_a_way_is_set_when_the_meter_calls(database: OtDatabase) -> None:
    """Who calls for a minute each hour would be missed again and again by who looks once an hour."""
    (job_id,) = database.jobs.enqueue([request("M1", JobKind.CLOCK_SET)], NOW)
    given_back(database, NOW, afresh=True)
    assert database.job_book.job(job_id).not_before > NOW + MINUTE
    assert database.called_in.put_off(["M1"], [], NOW + MINUTE, 10) == ["M1"]
    database.called_in.due_now("M1", NOW + MINUTE)
    assert database.job_book.job(job_id).not_before == NOW + MINUTE


# ------------------------------------------------------------------ the disk is full
class Stuck:
    """Many jobs are put off, and nothing can be written."""

    def __init__(self) -> None:
        self.looks = 0

    def put_off(self, meter_ids: Collection[str], collectors: Collection[str], now: datetime, limit: int) -> Sequence:
        del meter_ids, collectors, now
        self.looks += 1
        assert self.looks < 50, "it spins"
        return [f"M{number}" for number in range(limit)]

    def due_now(self, meter_id: str, now: datetime) -> None:
        del meter_id, now
        raise StorageError("the disk is full")


def test_a_full_disk_makes_nobody_spin() -> None:
    jobs = Stuck()

    class Idle:
        async def take(self, meters: Callable[[], object]) -> None:
            meters()

    async def main(clock: VirtualClock) -> None:
        async def disk(work: Callable[[], object]) -> object:
            return work()

        followed = WaysFollowed(lambda: Ways(frozenset({"M1"})), jobs, Idle(), clock=clock, disk=disk)
        running = asyncio.create_task(followed.run())
        await asyncio.sleep(12)
        running.cancel()
        (ended,) = await asyncio.gather(running, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended

    run_virtually(main, NOW)
    assert jobs.looks == 3, "one look every 5 s"
