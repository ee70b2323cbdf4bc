"""Bundles read on simulated meters: everything arrives, progress moves, gaps are made up, clocks are judged and set."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from amity.devices.server import MeterServer
from amity.domain.collection import Outcome
from amity.domain.jobs import JobKind, JobState, Priority
from amity.domain.spans import TimeSpan
from amity.headend.counter_bank import CHUNK
from amity.headend.jobs.clock_policy import ClockBands
from amity.headend.jobs.meter_sessions import MeterSessions
from amity.headend.jobs.ports import JobQuery, LeaseTerms
from amity.headend.jobs.retry import RetryRules
from amity.headend.jobs.worker import Worker
from amity.headend.plan import ReadingRules
from amity.headend.ports import MeterSecrets
from amity.kernel.backoff import Backoff
from amity.kernel.time import epoch_s, isoformat
from amity.protocols.wrapper.frame import Reader
from amity.simulation.campaign.wire import counted
from amity.simulation.faults import FaultKind
from tests.unit.headend.conftest import endpoint_of
from tests.unit.headend.jobs.requests import NOW, request

INTERVAL_OBIS = ("1.0.1.29.0.255", "1.0.2.29.0.255", "1.0.3.29.0.255")
RETRY = RetryRules(attempts_max=2, backoff=Backoff(0.0, 0.0))


def sessions_of(bench: object, *, bands: ClockBands | None = None, **changes: object) -> MeterSessions:
    surroundings, database = replace(bench.surroundings, **changes), bench.database
    return MeterSessions(surroundings, database.meter_states, database.counters, bands=lambda: bands or ClockBands())


TERMS = LeaseTerms("w1", retry=RETRY)


async def drain(
    bench: object, *, sessions: MeterSessions | None = None, terms: LeaseTerms = TERMS, **changes: object
) -> None:
    await Worker(
        bench.database.jobs, sessions or sessions_of(bench, **changes), terms=lambda: terms, concurrency=4,
        clock=bench.clock, disk=bench.surroundings.disk, chance=Random(1).random,
    ).drain()  # fmt: skip


def enqueue(bench: object, *kinds: JobKind, turn: int = 0, **changes: object) -> None:
    """Of every meter; another `turn` is other jobs."""
    ids = [meter.meter_id for meter in bench.simulated.meters]
    named = [{"key": f"{one}/{kind}/{turn}", **changes} for one in ids for kind in kinds]
    pairs = [(one, kind) for one in ids for kind in kinds]
    bench.database.jobs.enqueue([request(*pair, **more) for pair, more in zip(pairs, named, strict=True)], NOW)


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


async def test_a_meter_that_is_in_use_says_so_and_is_read_once_it_is_free(
    make_bench: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(1)
    monkeypatch.setattr(MeterServer, "take", lambda *_: False)
    enqueue(bench, JobKind.REGISTERS)
    terms = LeaseTerms("w1", retry=replace(RETRY, busy_break=timedelta(seconds=60)))
    await drain(bench, terms=terms)
    (waiting,) = bench.database.job_book.find(JobQuery(states=frozenset({JobState.WAITING})))
    assert waiting.not_before - NOW >= timedelta(seconds=60), "not before a hung node's lease is over"
    monkeypatch.undo()
    bench.clock.instant = waiting.not_before
    await drain(bench, terms=terms)
    assert bench.database.job_book.counts(NOW).by_state == {JobState.DONE: 1}


async def test_the_words_of_all_who_asked_are_on_the_delivery_the_most_urgent_first(make_bench: Callable) -> None:
    bench = make_bench(1)
    enqueue(bench, JobKind.PROFILES, correlation_id="default@2026-11-20T06:00:00Z")
    enqueue(bench, JobKind.REGISTERS, correlation_id="3f9c", priority=Priority.ON_DEMAND)
    enqueue(bench, JobKind.EVENTS, correlation_id="3f9c")
    await drain(bench)
    (one,) = bench.deliveries()
    assert one.correlation_id == "3f9c,default@2026-11-20T06:00:00Z"


async def test_a_stretch_that_is_made_up_has_the_word_of_its_job(make_bench: Callable) -> None:
    bench = make_bench(1)
    span = TimeSpan(NOW - timedelta(hours=5), NOW - timedelta(hours=4))
    enqueue(bench, JobKind.PROFILES, correlation_id="gap", span=span)
    await drain(bench)
    (one,) = bench.deliveries()
    assert one.correlation_id == "gap"


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


async def test_nodes_that_take_turns_never_fall_behind_each_other_s_counters(make_bench: Callable) -> None:
    """A meter in the field refuses a counter below one that it has seen: what a node has left of its chunk is stale."""
    bench = make_bench(3, auth="hls-gmac")
    nodes = [sessions_of(bench), sessions_of(bench)]
    for turn in range(4):
        enqueue(bench, JobKind.REGISTERS, turn=turn)
        await drain(bench, sessions=nodes[turn % 2])
    assert [one.outcome for one in bench.deliveries()] == [Outcome.COMPLETE] * 12
    assert bench.database.counters.reserve(bench.simulated.meters[0].meter_id, 1) == 4 * CHUNK + 1


async def test_a_node_that_reads_alone_uses_its_counters_up(make_bench: Callable) -> None:
    bench = make_bench(1, auth="hls-gmac")
    node = sessions_of(bench)
    for turn in range(3):
        enqueue(bench, JobKind.REGISTERS, turn=turn)
        await drain(bench, sessions=node)
    assert bench.database.counters.reserve(bench.simulated.meters[0].meter_id, 1) == CHUNK + 1


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
    span = TimeSpan(NOW.replace(hour=1, minute=0, second=0), NOW.replace(hour=2, minute=0, second=0))
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


def without_management(bench: object) -> None:
    bench.database.endpoints.put([replace(endpoint_of(one), management=None) for one in bench.simulated.meters])


async def test_a_meter_without_management_that_refuses_is_a_dead_letter_which_says_what_to_do(
    make_bench: Callable,
) -> None:
    """The reading client may not touch the clocks of the simulated meters, as in the field."""
    bench = make_bench(10)
    without_management(bench)
    enqueue(bench, JobKind.CLOCK_CHECK)
    await drain(bench, bands=FINE)
    before = {one.meter_id: one.clock_offset_s for one in bench.deliveries()}
    off = {meter for meter, ahead_s in before.items() if abs(ahead_s) > 1}
    assert off, "some of them drift"
    checks = bench.database.job_book.find(JobQuery())
    assert {job.kind for job in checks} == {JobKind.CLOCK_CHECK}, "looked at and moved in one association"
    refused = [job for job in checks if job.state is JobState.DEAD]
    assert {job.meter_id for job in refused} == off
    assert all("denied" in job.told for job in refused)
    assert all("management association" in job.remedy and job.meter_id in job.remedy for job in refused)
    assert set(bench.connector.sessions.values()) == {1}


async def test_a_check_at_the_end_of_an_interval_leaves_the_move_to_a_job_after_it(make_bench: Callable) -> None:
    bench = make_bench(10)
    bench.clock.advance(minutes=12, seconds=5)  # 06:29:47
    enqueue(bench, JobKind.CLOCK_CHECK)
    await drain(bench, bands=FINE)
    offsets = {one.meter_id: one.clock_offset_s for one in bench.deliveries()}
    jobs = bench.database.job_book.find(JobQuery())
    checks = [job for job in jobs if job.kind is JobKind.CLOCK_CHECK]
    assert {job.state for job in checks} == {JobState.DONE}
    assert all(f"the clock was {offsets[job.meter_id]:+d} s from ours: " in job.told for job in checks)
    moves = [job for job in jobs if job.kind is JobKind.CLOCK_SET]
    later = {job.meter_id: f", not before {isoformat(job.not_before)}" for job in moves}
    assert all(job.told.endswith(later.get(job.meter_id, ": left")) for job in checks), [job.told for job in checks]
    assert {job.meter_id for job in moves} == {meter for meter, ahead_s in offsets.items() if abs(ahead_s) > 1}
    assert all(f"{offsets[job.meter_id]:+d} s from ours" in job.reason for job in moves)
    assert all(job.not_before >= NOW.replace(minute=30, second=30) for job in moves)


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


@pytest.mark.parametrize("adjust_s", [1.0, 600.0])
async def test_a_clock_is_set_or_shifted_by_the_management_client_and_then_shows_our_time(
    make_bench: Callable, adjust_s: float
) -> None:
    bench = make_bench(10)
    bands = ClockBands(timedelta(seconds=1), timedelta(seconds=adjust_s))
    offsets = []
    for turn in range(2):
        enqueue(bench, JobKind.CLOCK_CHECK, turn=turn)
        told = len(bench.deliveries())
        await drain(bench, bands=bands)
        offsets.append({one.meter_id: one.clock_offset_s for one in bench.deliveries()[told:]})
    before, after = offsets
    off = {meter for meter, ahead_s in before.items() if abs(ahead_s) > 1}
    assert off, "some of them drift"
    assert all(abs(after[meter]) <= 1 for meter in off)
    checks = bench.database.job_book.find(JobQuery())
    assert {job.state for job in checks} == {JobState.DONE}
    assert {job.meter_id for job in checks if "now +0 s" in job.told} == off
    left = [job for job in checks if "now" not in job.told]
    assert {job.meter_id for job in left} == set(before), "those that were right, and all of them the second time"
    assert {job.told for job in left} <= {f"the clock was {ahead_s:+d} s from ours: left" for ahead_s in (-1, 0, 1)}
    sessions = bench.connector.sessions
    assert {meter: sessions[meter] for meter in off} == dict.fromkeys(off, 3), "read, moved, read again"
    assert {sessions[meter] for meter in before.keys() - off} == {2}, "a clock that is right needs no second one"
    assert bench.connector.open_most_of_one == 1


async def test_the_frames_of_both_associations_are_in_one_delivery_and_their_counters_in_one_series(
    make_bench: Callable,
) -> None:
    bench = make_bench(10, auth="hls-gmac")
    enqueue(bench, JobKind.CLOCK_CHECK, correlation_id="3f9c")
    await drain(bench, bands=FINE)
    moved = [one for one in bench.deliveries() if abs(one.clock_offset_s) > 1]
    assert moved, "some of them drift"
    for one in moved:
        requests = [frame for exchange in one.exchanges for frame in Reader().feed(exchange.request)]
        clients = list(dict.fromkeys(frame.source for frame in requests))
        known = endpoint_of(bench.simulated.meter(one.meter_id))
        assert clients == [known.client, known.management.client]
        counters = [found.counter for frame in requests if (found := counted(frame.payload)) is not None]
        assert counters == sorted(set(counters)), "no number twice, whatever keys the two have"
        assert (one.outcome, one.correlation_id) == (Outcome.COMPLETE, "3f9c")


async def one_whose_clock_is_off(make_bench: Callable) -> tuple[object, str]:
    """A bench, and a meter of it whose clock is to be moved; nobody knows that yet."""
    bench = make_bench(10, auth="hls-gmac")
    enqueue(bench, JobKind.PING)
    await drain(bench)
    off = next(one.meter_id for one in bench.deliveries() if abs(one.clock_offset_s) > 1)
    bench.connector.sessions.clear()
    return bench, off


async def test_a_move_by_itself_takes_the_management_client_alone(make_bench: Callable) -> None:
    """Where a released association stands for a while, as over UDP, a second one would be refused again and again."""
    bench, off = await one_whose_clock_is_off(make_bench)
    bench.database.jobs.enqueue([request(off, JobKind.CLOCK_SET, key="set")], NOW)
    await drain(bench, bands=FINE)
    job = next(one for one in bench.database.job_book.find(JobQuery(meter_id=off)) if one.kind is not JobKind.PING)
    assert (job.state, "now +0 s" in job.told) == (JobState.DONE, True)
    assert bench.connector.sessions[off] == 1


async def test_a_check_that_was_refused_its_second_association_is_finished_in_the_next_session(
    make_bench: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, off = await one_whose_clock_is_off(make_bench)
    opened, take = bench.connector.sessions, MeterServer.take
    monkeypatch.setattr(MeterServer, "take", lambda *which: opened[off] != 2 and take(*which))
    bench.database.jobs.enqueue([request(off, JobKind.CLOCK_CHECK, key="check")], NOW)
    await drain(bench, bands=FINE)
    job = next(one for one in bench.database.job_book.find(JobQuery(meter_id=off)) if one.kind is not JobKind.PING)
    assert (job.state, job.attempts, "now +0 s" in job.told) == (JobState.DONE, 2, True)
    assert opened[off] == 3, "looked at, refused, moved"


async def test_a_wrong_management_key_fails_the_clock_alone(make_bench: Callable) -> None:
    bench, off = await one_whose_clock_is_off(make_bench)
    wrong = MeterSecrets(guek=bytes(16), gak=bytes(16))
    bench.keys.by_meter[off] = replace(bench.keys.by_meter[off], management=wrong)
    jobs = [request(off, kind, key=kind) for kind in (JobKind.REGISTERS, JobKind.CLOCK_CHECK)]
    bench.database.jobs.enqueue(jobs, NOW)
    await drain(bench, bands=FINE)
    states = {job.kind: job.state for job in bench.database.job_book.find(JobQuery()) if job.kind is not JobKind.PING}
    assert states == {JobKind.REGISTERS: JobState.DONE, JobKind.CLOCK_CHECK: JobState.DEAD}
    assert bench.deliveries()[-1].outcome is Outcome.COMPLETE


async def test_a_meter_that_knows_higher_counters_of_the_management_client_is_followed(make_bench: Callable) -> None:
    bench, off = await one_whose_clock_is_off(make_bench)
    known = endpoint_of(bench.simulated.meter(off))
    bench.connector.servers[off].received(known.management.client).counter = 70_000
    bench.database.jobs.enqueue([request(off, JobKind.CLOCK_CHECK, key="check")], NOW)
    await drain(bench, bands=FINE)
    (job,) = bench.database.job_book.find(JobQuery(states=frozenset({JobState.DONE}), limit=1, meter_id=off))
    assert (job.kind, job.attempts) == (JobKind.CLOCK_CHECK, 2)
    assert "now +0 s" in job.told
    assert bench.database.counters.reserve(off, 1) > 70_000
    assert bench.connector.open_most_of_one == 1


async def test_a_lease_that_runs_out_under_a_session_makes_no_second_association(make_bench: Callable) -> None:
    """Its lease is revoked: the meter is leased again before anybody has seen that its session is to end."""
    bench = make_bench(1)
    sessions, reading = sessions_of(bench), []
    for turn in range(2):
        enqueue(bench, JobKind.REGISTERS, turn=turn)
        (bundle,) = bench.database.jobs.lease(TERMS, 1, bench.clock.now())
        await sessions.announce([bundle])
        reading.append(asyncio.create_task(sessions.read(bundle)))
        while not bench.connector.open_now.total():  # noqa: ASYNC110 - the connector of the bench tells nobody
            await asyncio.sleep(0)
        bench.clock.advance(minutes=20)
        bench.database.jobs.revoke(bench.database.jobs.leases())
    assert [result.failure for result in await asyncio.gather(*reading)] == [None, None]
    assert (bench.connector.sessions.total(), bench.connector.open_most_of_one) == (2, 1)


async def test_every_kind_reads_only_what_it_names(make_bench: Callable) -> None:
    bench = make_bench(1)
    brought = {}
    for kind in (JobKind.PING, JobKind.REGISTERS, JobKind.PROFILES, JobKind.EVENTS, JobKind.CLOCK_CHECK):
        enqueue(bench, kind)
        await drain(bench, bands=ClockBands(*(timedelta(hours=1) for _ in range(3))))
        brought[kind] = bench.deliveries()[-1]
    assert {str(one.reading_type.obis) for one in brought[JobKind.PING].registers} == {"1.0.1.8.0.255"}
    assert len(brought[JobKind.REGISTERS].registers) > 3
    assert brought[JobKind.PROFILES].intervals
    assert [kind for kind, one in brought.items() if one.intervals] == [JobKind.PROFILES]
    assert {kind for kind, one in brought.items() if one.events} <= {JobKind.EVENTS}
    assert all(one.outcome is Outcome.COMPLETE and one.clock_offset_s is not None for one in brought.values())
    assert len(brought[JobKind.PING].exchanges) < len(brought[JobKind.REGISTERS].exchanges)


async def test_several_stretches_and_registers_come_over_one_association(make_bench: Callable) -> None:
    bench = make_bench(1)
    at = NOW.replace(minute=0, second=0)
    spans = [TimeSpan(at.replace(hour=hour), at.replace(hour=hour, minute=30)) for hour in (1, 3)]
    for span in spans:
        enqueue(bench, JobKind.PROFILES, span=span, key=str(span))
    enqueue(bench, JobKind.REGISTERS)
    await drain(bench)
    (delivery,) = bench.deliveries()
    starts = {int(start) for series in delivery.intervals for start in series.starts}
    assert starts == {at for span in spans for at in range(epoch_s(span.start), epoch_s(span.end), 900)}
    assert delivery.registers
    assert set(bench.connector.sessions.values()) == {1}


async def test_what_a_meter_had_no_row_for_is_asked_for_once_more_later(make_bench: Callable) -> None:
    bench = make_bench(1, fault_of={0: FaultKind.GAP})
    whole_week = ReadingRules(first_read=timedelta(days=7))
    enqueue(bench, JobKind.PROFILES)
    await drain(bench, reading=whole_week)
    waiting = JobQuery(states=frozenset({JobState.WAITING}))
    gaps = bench.database.job_book.find(waiting)
    assert gaps
    (read,) = bench.database.job_book.find(JobQuery(states=frozenset({JobState.DONE})))
    lacking = read.lacking
    assert all(any(gap.span.start <= one.start and one.end <= gap.span.end for gap in gaps) for one in lacking)
    assert lacking
    assert read.told.startswith("the meter had no rows for 2026-")
    assert {(gap.kind, gap.priority, gap.requested_by) for gap in gaps} == {(JobKind.PROFILES, Priority.BULK, "gaps")}
    bench.clock.advance(hours=2)
    await drain(bench, reading=whole_week)
    assert "intervals are missing" in " ".join(bench.deliveries()[-1].detail)
    assert not bench.database.job_book.find(waiting), "once, not for ever"
    done = bench.database.job_book.find(JobQuery(states=frozenset({JobState.DONE})))
    assert {one for job in done if job.span for one in job.lacking} == set(lacking), "none of it came"
    assert bench.connector.sessions.total() == 2, "all of them in one association"
