"""What somebody waits for is read under a lease: beside workers, one after another, and never a second association."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from amity.domain.collection import Delivery, Outcome
from amity.domain.jobs import JobKind, JobState, Priority
from amity.headend.jobs.on_demand import WAIT_FOR_METER
from amity.headend.jobs.ports import JobQuery, LeaseTerms
from amity.headend.ports import MeterSecrets
from amity.headend.surroundings import SessionRules
from amity.kernel.backoff import Backoff
from amity.kernel.errors import RequestError, StorageError
from amity.kernel.obis import Obis
from amity.simulation.virtual_time import VirtualClock, run_virtually
from tests.unit.headend.jobs.requests import NOW, request
from tests.unit.headend.rounds import Rounds

PATIENT = SessionRules(attempts_max=3, backoff=Backoff(4.0, 4.0))


def on(bench: object, clock: VirtualClock, **changes: object) -> Rounds:
    bench.connector.clock = clock
    return Rounds(replace(bench.surroundings, clock=clock, chance=Random(1).random, **changes), bench.database)


def states(bench: object) -> list[JobState]:
    return [one.state for one in bench.database.job_book.find(JobQuery())]


def test_four_who_ask_at_once_are_served_one_after_another(make_bench: Callable) -> None:
    bench = make_bench(1)
    meter_id = bench.simulated.meters[0].meter_id

    async def story(clock: VirtualClock) -> list[Delivery]:
        desks = [on(bench, clock) for _ in range(4)]
        return await asyncio.gather(*(one.read_meter(meter_id) for one in desks))

    assert [one.outcome for one in run_virtually(story, NOW)] == [Outcome.COMPLETE] * 4
    assert (bench.connector.sessions[meter_id], bench.connector.open_most) == (4, 1)


def test_a_meter_that_a_worker_holds_is_waited_for_and_then_given_up_without_a_job(make_bench: Callable) -> None:
    bench = make_bench(1)
    meter_id = bench.simulated.meters[0].meter_id
    jobs = bench.database.jobs
    jobs.enqueue([request(meter_id, JobKind.PROFILES)], NOW)
    held = replace(LeaseTerms("serve"), duration=2 * WAIT_FOR_METER)
    assert jobs.lease(held, 1, NOW)
    with pytest.raises(RequestError, match="by somebody else"):
        run_virtually(lambda clock: on(bench, clock).read_meter(meter_id), NOW)
    assert bench.connector.sessions[meter_id] == 0
    assert states(bench) == [JobState.LEASED]


def test_the_lease_is_kept_between_tries_and_the_last_one_is_told(make_bench: Callable) -> None:
    bench = make_bench(1)
    meter_id = bench.simulated.meters[0].meter_id
    bench.connector.refused.add(meter_id)
    free: list[object] = []

    async def story(clock: VirtualClock) -> Delivery:
        async def another() -> None:
            while bench.connector.sessions[meter_id] < 3:
                free.extend(bench.database.jobs.lease(LeaseTerms("serve"), 1, clock.now()))
                await asyncio.sleep(0.5)

        looking = asyncio.create_task(another())
        try:
            return await on(bench, clock, session=PATIENT).read_meter(meter_id)
        finally:
            await looking

    one = run_virtually(story, NOW)
    assert (one.outcome, one.attempts, bench.connector.sessions[meter_id]) == (Outcome.REFUSED, 3, 3)
    assert free == []
    assert [told.attempts for told in bench.deliveries()] == [3], "of what was tried in vain only the last is told"


@pytest.mark.parametrize("why", ["wrong key", "refused"])
def test_who_stood_waiting_was_told_and_leaves_nobody_a_dead_letter(make_bench: Callable, why: str) -> None:
    bench = make_bench(1)
    meter_id = bench.simulated.meters[0].meter_id
    if why == "wrong key":
        bench.keys.by_meter[meter_id] = MeterSecrets(b"wrong", bytes(16), bytes(16))
    else:
        bench.connector.refused.add(meter_id)
    one = run_virtually(lambda clock: on(bench, clock).read_meter(meter_id), NOW)
    assert not one.outcome.answered
    (job,) = bench.database.job_book.find(JobQuery())
    assert (job.kind, job.state, bool(job.told)) == (JobKind.PING, JobState.FAILED, True)
    assert run_virtually(lambda clock: on(bench, clock).read_meter(meter_id), NOW).outcome == one.outcome
    assert bench.database.measures.dead_letters() == 0


def test_a_ping_is_one_job_that_brings_one_register(make_bench: Callable) -> None:
    bench = make_bench(1)
    one = run_virtually(lambda clock: on(bench, clock).read_meter(bench.simulated.meters[0].meter_id), NOW)
    assert [(job.kind, job.state) for job in bench.database.job_book.find(JobQuery())] == [
        (JobKind.PING, JobState.DONE)
    ]
    assert {register.reading_type.obis for register in one.registers} == {Obis.parse("1.0.1.8.0.255")}
    assert (one.intervals, one.events) == ((), ())
    assert one.clock_offset_s is not None


def test_a_job_that_was_there_before_is_no_less_a_dead_letter(make_bench: Callable) -> None:
    bench = make_bench(1)
    meter_id = bench.simulated.meters[0].meter_id
    bench.keys.by_meter[meter_id] = MeterSecrets(b"wrong", bytes(16), bytes(16))
    (scheduled,) = bench.database.jobs.enqueue([request(meter_id, JobKind.PING)], NOW)
    run_virtually(lambda clock: on(bench, clock).read_meter(meter_id), NOW)
    assert bench.database.job_book.job(scheduled).state is JobState.DEAD


def test_what_cannot_be_kept_is_raised(make_bench: Callable, full_disk: Callable) -> None:
    bench = make_bench(1)
    store = full_disk(bench.database.collection)
    meter_id = bench.simulated.meters[0].meter_id
    with pytest.raises(StorageError, match="full"):
        run_virtually(lambda clock: on(bench, clock, collection=store).read_meter(meter_id), NOW)


def test_what_waits_for_the_meter_comes_along(make_bench: Callable) -> None:
    bench = make_bench(1)
    meter_id = bench.simulated.meters[0].meter_id
    bench.database.jobs.enqueue([request(meter_id, JobKind.CLOCK_CHECK)], NOW)
    run_virtually(lambda clock: on(bench, clock).read_meter(meter_id), NOW)
    assert set(states(bench)) == {JobState.DONE}
    assert bench.connector.sessions[meter_id] == 1


def test_a_round_counts_what_another_worker_does_and_does_not_wait_for_who_has_no_way(make_bench: Callable) -> None:
    bench = make_bench(3)
    first = bench.simulated.meters[0].meter_id
    jobs = bench.database.jobs
    jobs.enqueue([request(first, kind) for kind in JobKind], NOW)
    (held,) = jobs.lease(LeaseTerms("other"), 1, NOW)

    async def story(clock: VirtualClock) -> float:
        reading = asyncio.create_task(on(bench, clock).read_fleet_once())
        await asyncio.sleep(20)
        assert not reading.done(), "the first one's jobs are somebody else's"
        assert held.lease in jobs.revoke(jobs.leases())
        await reading
        return clock.now().timestamp() - NOW.timestamp()

    assert run_virtually(story, NOW) < 60
    assert bench.connector.sessions == {one.meter_id: 1 for one in bench.simulated.meters}


def test_urgent_requests_are_those_of_a_person(make_bench: Callable) -> None:
    bench = make_bench(1)
    run_virtually(lambda clock: on(bench, clock).read_meter(bench.simulated.meters[0].meter_id), NOW)
    assert {(one.priority, one.requested_by) for one in bench.database.job_book.find(JobQuery())} == {
        (Priority.ON_DEMAND, "test")
    }
