"""Bundles read on simulated meters: everything arrives, progress moves, gaps are made up, clocks are judged and set."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from amity.devices.interface_classes import Role
from amity.domain.collection import Outcome
from amity.domain.jobs import JobKind, JobState, Span
from amity.headend.jobs.clock_policy import ClockBands
from amity.headend.jobs.meter_sessions import MeterSessions
from amity.headend.jobs.ports import JobQuery, LeaseTerms
from amity.headend.jobs.retry import RetryRules
from amity.headend.jobs.worker import Worker
from amity.headend.ports import MeterSecrets
from amity.kernel.backoff import Backoff
from amity.kernel.time import epoch_s
from amity.simulation.device import role_clients
from tests.unit.headend.conftest import endpoint_of
from tests.unit.headend.jobs.requests import NOW, request

INTERVAL_OBIS = ("1.0.1.29.0.255", "1.0.2.29.0.255", "1.0.3.29.0.255")
RETRY = RetryRules(attempts_max=2, backoff=Backoff(0.0, 0.0))


async def drain(bench: object, *, bands: ClockBands | None = None, **changes: object) -> MeterSessions:
    surroundings = replace(bench.surroundings, **changes)
    database = bench.database
    sessions = MeterSessions(
        surroundings, database.meter_states, database.counters, bands=lambda: bands or ClockBands()
    )
    terms = LeaseTerms("w1", retry=RETRY)
    await Worker(
        database.jobs, sessions, terms=lambda: terms, concurrency=4,
        clock=bench.clock, disk=surroundings.disk, chance=Random(1).random,
    ).drain()  # fmt: skip
    return sessions


def enqueue(bench: object, *kinds: JobKind, **changes: object) -> None:
    ids = [meter.meter_id for meter in bench.simulated.meters]
    bench.database.jobs.enqueue([request(one, kind, **changes) for one in ids for kind in kinds], NOW)


async def test_a_fleet_is_read_completely_by_jobs(make_bench: Callable) -> None:
    bench = make_bench(10)
    enqueue(bench, JobKind.REGISTERS, JobKind.PROFILES, JobKind.EVENTS)
    await drain(bench)
    deliveries = bench.deliveries()
    assert len(deliveries) == 10
    for one in deliveries:
        assert (one.outcome, one.detail) == (Outcome.COMPLETE, ())
        assert sorted(str(series.reading_type.obis) for series in one.intervals) == sorted(INTERVAL_OBIS)
    assert set(bench.connector.sessions.values()) == {1}, "one association for the bundle"
    assert bench.database.job_book.counts(NOW).by_state == {JobState.DONE: 30}
    assert len(bench.database.collection.standings()) == 10


async def test_counters_are_reserved_for_all_meters_at_once_and_never_twice(make_bench: Callable) -> None:
    bench = make_bench(4, auth="hls-gmac")
    enqueue(bench, JobKind.PROFILES)
    reserved: list[str] = []
    counters = bench.database.counters

    class Watched:
        raise_to = staticmethod(counters.raise_to)

        def reserve(self, meter_id: str, count: int) -> int:
            reserved.append(meter_id)
            return counters.reserve(meter_id, count)

    await drain(bench, counters=Watched())
    assert reserved == [], "each meter's first chunk came with the lease"
    assert {one.outcome for one in bench.deliveries()} == {Outcome.COMPLETE}


async def test_a_wrong_key_is_a_dead_letter_with_its_remedy(make_bench: Callable) -> None:
    bench = make_bench(3, auth="hls-gmac")
    wrong = bench.simulated.meters[0].meter_id
    bench.keys.by_meter[wrong] = MeterSecrets(b"", bytes(16), bytes(16))
    enqueue(bench, JobKind.PROFILES)
    await drain(bench)
    (dead,) = bench.database.job_book.find(JobQuery(states=frozenset({JobState.DEAD})))
    assert dead.meter_id == wrong
    assert dead.remedy
    assert dead.attempts == 1, "the same key would fail again"


async def test_a_stretch_that_is_missing_is_made_up_and_nothing_else(make_bench: Callable) -> None:
    bench = make_bench(1)
    enqueue(bench, JobKind.PROFILES)
    await drain(bench)
    standing = bench.database.collection.standings()
    span = Span(NOW.replace(hour=1, minute=0, second=0), NOW.replace(hour=2, minute=0, second=0))
    enqueue(bench, JobKind.PROFILES, span=span, key="gap")
    await drain(bench)
    again = bench.deliveries()[-1]
    starts = {int(start) for series in again.intervals for start in series.starts}
    assert starts == set(range(epoch_s(span.start), epoch_s(span.end), 900))
    after = bench.database.collection.standings()
    assert [one.progress for one in after.values()] == [one.progress for one in standing.values()]


async def test_a_meter_that_is_not_known_is_a_dead_letter(make_bench: Callable) -> None:
    bench = make_bench(1)
    bench.database.jobs.enqueue([request("GONE")], NOW)
    await drain(bench)
    (dead,) = bench.database.job_book.find(JobQuery())
    assert (dead.state, "GONE" in dead.told) == (JobState.DEAD, True)


FINE = ClockBands(fine=timedelta(seconds=1))


async def test_a_clock_that_drifts_is_moved_by_a_job_and_a_meter_that_refuses_is_a_dead_letter(
    make_bench: Callable,
) -> None:
    """Our reading client may not touch the clocks of the simulated meters: the refusal is told with its remedy."""
    bench = make_bench(10)
    enqueue(bench, JobKind.CLOCK_CHECK)
    await drain(bench, bands=FINE)
    before = {one.meter_id: one.clock_offset_s for one in bench.deliveries()}
    off = {meter for meter, ahead_s in before.items() if abs(ahead_s) > 1}
    assert off, "some of them drift"
    moves = [job for job in bench.database.job_book.find(JobQuery()) if job.kind is JobKind.CLOCK_SET]
    assert {job.meter_id for job in moves} == off
    assert all(f"{before[job.meter_id]:+d} s from ours" in job.reason for job in moves)
    assert {job.state for job in moves} == {JobState.DEAD}
    assert all("denied" in job.told and job.remedy for job in moves)


async def test_a_clock_is_not_moved_at_the_end_of_an_interval(make_bench: Callable) -> None:
    """The check was early enough, the move comes too late: it waits until the interval has ended."""
    bench = make_bench(10)
    bench.clock.advance(minutes=12, seconds=5)  # 06:29:47
    enqueue(bench, JobKind.CLOCK_SET)
    await drain(bench, bands=FINE)
    moves = bench.database.job_book.find(JobQuery())
    waiting = [job for job in moves if job.state is JobState.WAITING]
    assert waiting
    assert all(job.not_before >= NOW.replace(minute=30, second=30) for job in waiting)
    assert all("too near the end of an interval" in job.told for job in waiting)


async def test_a_clock_that_is_hours_off_is_a_persons_decision(make_bench: Callable) -> None:
    bench = make_bench(10)
    enqueue(bench, JobKind.CLOCK_CHECK, JobKind.CLOCK_SET)
    narrow = ClockBands(*(timedelta(milliseconds=1) for _ in range(3)))
    await drain(bench, bands=narrow)
    dead = bench.database.job_book.find(JobQuery(states=frozenset({JobState.DEAD})))
    assert dead
    assert all("more than is set by itself" in job.told and job.remedy for job in dead)


def as_management(bench: object) -> None:
    """The head-end knows the meters by their management client, whom they let touch the clock."""
    for meter in bench.simulated.meters:
        client, keys = role_clients(meter)[Role.MANAGEMENT]
        bench.keys.by_meter[meter.meter_id] = MeterSecrets(b"", keys.guek, keys.gak)
        known = replace(
            endpoint_of(meter), client=client, auth="hls-gmac", ciphering="glo", protection="authenticated-encrypted"
        )
        bench.database.endpoints.put([known])


@pytest.mark.parametrize("adjust_s", [1.0, 600.0])
async def test_a_clock_is_set_or_shifted_and_then_shows_our_time(make_bench: Callable, adjust_s: float) -> None:
    bench = make_bench(10)
    as_management(bench)
    bands = ClockBands(timedelta(seconds=1), timedelta(seconds=adjust_s))
    offsets = []
    for key in ("before", "after"):
        checks = [request(one.meter_id, JobKind.CLOCK_CHECK, key=key + one.meter_id) for one in bench.simulated.meters]
        bench.database.jobs.enqueue(checks, NOW)
        told = len(bench.deliveries())
        await drain(bench, bands=bands)
        offsets.append({one.meter_id: one.clock_offset_s for one in bench.deliveries()[told:]})
    assert {job.told for job in bench.database.job_book.find(JobQuery())} == {""}
    before, after = offsets
    off = {meter for meter, ahead_s in before.items() if abs(ahead_s) > 1}
    assert off, "some of them drift"
    assert all(abs(after[meter]) <= 1 for meter in off)
