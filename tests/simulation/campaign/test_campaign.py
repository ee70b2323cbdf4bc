"""Worlds of the campaign in small: all holds in each, a seed tells the same story twice, and planted bugs are found."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from nats.aio.msg import Msg
from sqlalchemy import Connection, delete, select

from amity.collector.confirmations import Confirmations
from amity.collector.forwarder import Forwarder
from amity.collector.ports import Disk, HeldPush, PushStore
from amity.domain.collection import Outcome
from amity.domain.jobs import Bundle, Lease
from amity.headend.collectors.ports import ForwardedPushes
from amity.headend.jobs.ports import Finished, FiringStore, JobStore, LeaseTerms
from amity.headend.jobs.worker import Done, Worker
from amity.headend.ports import CollectionStore, Publisher, PushCounterStore, QueuedDelivery, Saving
from amity.headend.provisioning import Provision, read_fleet_document
from amity.kernel.errors import AmityError
from amity.messaging.broker import DeadLetter, Handler, JetStreamConsumer, JetStreamPublisher
from amity.protocols.relay.peer import Peer
from amity.simulation.campaign import field
from amity.simulation.campaign.disk import Workshop
from amity.simulation.campaign.parts import Parts
from amity.simulation.campaign.running import Choice, failure_lines, run_campaign
from amity.simulation.campaign.settings import settings_of
from amity.simulation.campaign.telling import Verdict, tell
from amity.simulation.campaign.witness import Invariant
from amity.storage.collector.pushes import SqlPushStore
from amity.storage.collector.tables import held_push
from amity.storage.ot.counters import SqlCounters
from amity.storage.ot.database import OtDatabase

SEEDS = (301, 304, 319)
"""Small worlds: without a collector, with two, and with one node alone."""
SMALL_STORE = 14
"""A world whose collector has a store for a few pushes, and drops some."""
FOUND_WITHIN = 6
"""So many seeds a planted bug may take, from the one that is named with it."""


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    made = Workshop()
    yield made
    made.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_holds_in_a_world(workshop: Workshop, seed: int) -> None:
    verdict = tell(settings_of(seed), workshop)
    assert not verdict.violations
    assert verdict.associations > 10, "a world in which nothing happens proves nothing"
    assert verdict.intervals > 20
    looked_at = {name for name, times in verdict.checks.items() if times}
    assert looked_at >= {str(one) for one in Invariant} - {str(one) for one in NOT_IN_EVERY_WORLD}


NOT_IN_EVERY_WORLD = (
    Invariant.NO_REPLAY,
    Invariant.PUSHES_ONCE,
    Invariant.PUSHES_ARRIVE,
    Invariant.ALARMS_ONCE,
    Invariant.ALARMS_SOON,
    Invariant.ALARMS_FIRST,
    Invariant.ROOM,
    Invariant.COUNTERS_RISE,
)


def test_a_seed_tells_the_same_story_twice_and_another_seed_another(workshop: Workshop) -> None:
    first, second, other = (tell(settings_of(seed), workshop) for seed in (319, 319, 301))
    assert first == second
    assert first.digest != other.digest


def test_the_order_of_sets_makes_no_difference(workshop: Workshop) -> None:
    """Another process with another seed of its hashes tells the same story."""
    here = tell(settings_of(304), workshop)
    told = subprocess.run(
        [sys.executable, "-m", "amity.simulation.campaign", "--seeds", "1", "--from", "304", "--trace"],
        env={**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = told.stdout.splitlines()
    assert lines[0].startswith("plan: ")
    assert len(lines) > 500
    assert lines[-1] == f"trace {here.digest}"


def test_a_meter_that_pushes_to_a_collector_in_datagrams_is_confirmed(workshop: Workshop) -> None:
    """World 413 has one behind DC1; nothing goes wrong in it here."""
    verdict = tell(replace(settings_of(413), faults=0), workshop, keep_trace=True)
    assert not verdict.violations
    heard_by = {line.split()[1] for line in verdict.trace if "hears datagram" in line}
    assert heard_by == {"DC1:", "QXN40104701:"}, "the push, and its confirmation"


def test_every_fiftieth_world_has_thousands_of_meters_and_four_collectors() -> None:
    large = [settings_of(seed) for seed in range(50, 1001, 50)]
    assert all(one.meters >= 2_000 and one.collectors == 4 for one in large)
    assert sum(settings_of(seed).meters >= 24 for seed in range(1, 101)) == 12
    assert any(settings_of(seed).collectors == 2 for seed in range(1, 20))


# ------------------------------------------------------------------ planted bugs
class LateCounters:
    """Gives invocation counters out of memory and writes them down a quarter of an hour later."""

    def __init__(self, real: SqlCounters) -> None:
        self._real = real
        self._next: dict[str, int] = {}

    def reserve(self, meter_id: str, count: int) -> int:
        first = self._next.get(meter_id) or self._real.reserve(meter_id, 1)
        self._next[meter_id] = first + count
        asyncio.get_running_loop().call_later(900.0, self._real.raise_to, meter_id, first + count)
        return first

    def reserve_all(self, meter_ids: Sequence[str], count: int) -> Mapping[str, int]:
        return {meter_id: self.reserve(meter_id, count) for meter_id in meter_ids}

    def raise_to(self, meter_id: str, minimum: int) -> None:
        self._next.pop(meter_id, None)
        self._real.raise_to(meter_id, minimum)


class CountersReservedAfterUse(Parts):
    def counters(self, database: OtDatabase) -> SqlCounters:
        return LateCounters(database.counters)  # type: ignore[return-value]


class EarlyPublisher:
    """Says that the broker has it as soon as it is on its way."""

    def __init__(self, real: JetStreamPublisher) -> None:
        self._real = real
        self._under_way: set[asyncio.Task[None]] = set()

    async def publish(self, subject: str, message_id: str, body: bytes) -> None:
        task = asyncio.create_task(self._real.publish(subject, message_id, body))
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()


class CourierAcknowledgesEarly(Parts):
    def publisher(self, publisher: JetStreamPublisher) -> Publisher:
        return EarlyPublisher(publisher)


class Wrapped:
    """Another object but for the methods of a subclass."""

    def __init__(self, real: object) -> None:
        self._real = real

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


LOOKS_LATER = 6


class ProgressFirst(Wrapped):
    """Moves a meter's progress at once, and stores the readings that it stands for some looks of the courier later."""

    def __init__(self, real: object) -> None:
        super().__init__(real)
        self._later: list[Saving] = []
        self._looks = 0

    def save_all(self, savings: Sequence[Saving]) -> None:
        bare = [replace(one.delivery, message_id=f"{one.delivery.message_id}-progress") for one in savings]
        self._real.save_all([one._replace(delivery=empty, body=b"") for one, empty in zip(savings, bare, strict=True)])
        self._later += savings

    def queued(self, limit: int) -> Sequence[object]:
        self._looks += 1
        if self._looks % LOOKS_LATER == 0:
            later, self._later = self._later, []
            self._real.save_all(later)
        waiting = self._real.queued(limit)
        self._real.sent([one.sequence for one in waiting if not one.body])
        return [one for one in waiting if one.body]


class ProgressMovesBeforeTheReadings(Parts):
    def collection(self, database: OtDatabase) -> CollectionStore:
        self._made = getattr(self, "_made", None) or {}
        return self._made.setdefault(id(database), ProgressFirst(database.collection))


class HeardNothingBefore(Wrapped):
    def move_all(self, claims: Sequence[object]) -> Sequence[None]:
        return [None for _ in claims]


class PushesAreNotCompared(Parts):
    def push_counters(self, database: OtDatabase) -> PushCounterStore:
        return HeardNothingBefore(database.push_counters)  # type: ignore[return-value]


class OverAtOnce(Wrapped):
    """Its leases are over for others as soon as they see them, which nobody notices who holds one."""

    def leases(self) -> Collection[Lease]:
        return [replace(one, lasts=timedelta(0)) for one in self._real.leases()]


class LeasesHoldNobodyOff(Parts):
    def jobs(self, database: OtDatabase) -> JobStore:
        return OverAtOnce(database.jobs)  # type: ignore[return-value]


class PushesAreThrownAway(Parts):
    """Each push is confirmed and nobody has it."""

    def collection(self, database: OtDatabase) -> CollectionStore:
        return StoresNoPushes(database.collection)  # type: ignore[return-value]


class StoresNoPushes(Wrapped):
    def save_all(self, savings: Sequence[Saving]) -> None:
        self._real.save_all([one for one in savings if one.delivery.outcome is not Outcome.PUSHED])


CONFIRMED_EARLIER_S = 30.0


class StoresPushesLater(Wrapped):
    """Says of pushes that it has them and tries to store them later, once."""

    def save_all(self, savings: Sequence[Saving]) -> None:
        pushed = [one for one in savings if one.delivery.outcome is Outcome.PUSHED]
        self._real.save_all([one for one in savings if one not in pushed])
        asyncio.get_running_loop().call_later(CONFIRMED_EARLIER_S, self._store, pushed)

    def _store(self, pushed: Sequence[Saving]) -> None:
        with suppress(AmityError):
            self._real.save_all(pushed)


class PushesAreConfirmedBeforeTheyAreStored(Parts):
    def collection(self, database: OtDatabase) -> CollectionStore:
        return StoresPushesLater(database.collection)  # type: ignore[return-value]


class TakesForKept(Forwarder):
    """Deletes what was under way on a link that is lost."""

    def left(self, peer: Peer) -> None:
        self._kept.update(number for number, way in self._under_way.items() if way[0] is peer)
        super().left(peer)


class CollectorsForgetWhatWasUnderWay(Parts):
    def forwarder(self, store: PushStore, disk: Disk, confirmations: Confirmations) -> Forwarder:
        return TakesForKept(store, disk, confirmations)


class RemembersNoPush(Wrapped):
    def known(self, _push_id: str) -> bool:
        return False

    def first(self, _push_id: str, _at: datetime) -> AbstractContextManager[None]:
        return nullcontext()


class ForwardedPushesAreNotRemembered(Parts):
    def forwarded(self, database: OtDatabase) -> ForwardedPushes:
        return RemembersNoPush(database.forwarded_pushes)  # type: ignore[return-value]


class AnyLeaseWillDo(Wrapped):
    """Takes jobs back under a lease that others followed."""

    def __init__(self, real: object, newest: dict[str, Lease]) -> None:
        super().__init__(real)
        self._newest = newest

    def lease(self, terms: LeaseTerms, limit: int, now: datetime) -> Sequence[Bundle]:
        bundles = self._real.lease(terms, limit, now)
        self._newest.update((one.lease.meter_id, one.lease) for one in bundles)
        return bundles

    def finish(self, finished: Collection[Finished], now: datetime) -> frozenset[Lease]:
        self._real.finish([one._replace(lease=self._newest[one.lease.meter_id]) for one in finished], now)
        return frozenset(one.lease for one in finished)


class FencesAreNotCompared(Parts):
    def __init__(self) -> None:
        self._newest: dict[str, Lease] = {}

    def jobs(self, database: OtDatabase) -> JobStore:
        return AnyLeaseWillDo(database.jobs, self._newest)  # type: ignore[return-value]


class KeepsAllThatWasBrought(Worker):
    """Stores also what a session brought whose lease was lost meanwhile."""

    async def _save(self, ended: Sequence[Any]) -> None:
        self._held.update(one.held for one in ended)
        await super()._save(ended)

    def _keep(self, batch: Sequence[Any], finished: Sequence[Finished], now: datetime) -> frozenset[Lease]:
        accepted = super()._keep(batch, finished, now)
        lost = [one.result.saving for one in batch if one.held.bundle.lease not in accepted]
        self._reader.keep([saving for saving in lost if saving is not None])
        return accepted


class LostLeasesBringReadings(Parts):
    worker = KeepsAllThatWasBrought


class EachOnItsOwn(Wrapped):
    def transaction(self) -> AbstractContextManager[object]:
        return nullcontext()


class MarksMoveBeforeTheJobs(Parts):
    def firings(self, database: OtDatabase) -> FiringStore:
        return EachOnItsOwn(database.firings)  # type: ignore[return-value]


class BulkBeforeAlarms(Forwarder):
    async def _send(self, *, urgent: bool) -> bool:
        return await super()._send(urgent=not urgent)


class CollectorsSendAlarmsAfterBulk(Parts):
    def forwarder(self, store: PushStore, disk: Disk, confirmations: Confirmations) -> Forwarder:
        return BulkBeforeAlarms(store, disk, confirmations)


class OldestFirst(Wrapped):
    def queued(self, limit: int) -> Sequence[QueuedDelivery]:
        return sorted(self._real.queued(limit), key=attrgetter("sequence"))


class TheOutboxKnowsNoAlarms(Parts):
    def collection(self, database: OtDatabase) -> CollectionStore:
        return OldestFirst(database.collection)  # type: ignore[return-value]


class AcknowledgesOnArrival(JetStreamConsumer):
    async def _settle(self, message: Msg, handle: Handler, dead_letter: DeadLetter) -> None:
        await message.ack()
        message.ack = message.nak = message.in_progress = already_done  # type: ignore[method-assign]
        await super()._settle(message, handle, dead_letter)


async def already_done(*_: object, **__: object) -> None:
    """It was acknowledged before."""


class IngestAcknowledgesBeforeItsCommit(Parts):
    consumer = AcknowledgesOnArrival


class RemembersEverySession(Worker):
    """Keeps jobs and outcomes of every session for ever."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._done: list[tuple[object, object]] = []

    def _tell(self, done: Done) -> None:
        self._done.append((done.bundle.jobs, done.outcomes))
        super()._tell(done)


class WorkersForgetNothing(Parts):
    worker = RemembersEverySession


PLANTED = {
    CountersReservedAfterUse: (Invariant.COUNTERS_SENT, 1),
    CourierAcknowledgesEarly: (Invariant.WHOLE, 3),
    ProgressMovesBeforeTheReadings: (Invariant.WHOLE, 3),
    PushesAreNotCompared: (Invariant.PUSHES_ONCE, 4),
    LeasesHoldNobodyOff: (Invariant.ONE_ASSOCIATION, 3),
    PushesAreThrownAway: (Invariant.PUSHES_ARRIVE, 1),
    PushesAreConfirmedBeforeTheyAreStored: (Invariant.PUSHES_ARRIVE, 3),
    CollectorsForgetWhatWasUnderWay: (Invariant.PUSHES_ARRIVE, 1),
    ForwardedPushesAreNotRemembered: (Invariant.PUSHES_ONCE, 11),
    FencesAreNotCompared: (Invariant.FENCED, 26),
    LostLeasesBringReadings: (Invariant.NOTHING_OF_LOST_LEASES, 26),
    MarksMoveBeforeTheJobs: (Invariant.FIRES, 10),
    WorkersForgetNothing: (Invariant.MEMORY, 1),
    CollectorsSendAlarmsAfterBulk: (Invariant.ALARMS_FIRST, 12),
    TheOutboxKnowsNoAlarms: (Invariant.ALARMS_FIRST, 1),
    IngestAcknowledgesBeforeItsCommit: (Invariant.ALARMS_ONCE, 7),
}


def first_found(workshop: Workshop, parts: Callable[[], Parts], invariant: Invariant, first: int) -> Verdict | None:
    for seed in range(first, first + FOUND_WITHIN):
        verdict = tell(settings_of(seed), workshop, parts())
        if any(violation.invariant == invariant for violation in verdict.violations):
            return verdict
    return None


def test_clocks_that_are_moved_by_whoever_reads_are_found(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    def reading_alone(document: object) -> Provision:
        found = read_fleet_document(document)
        return replace(found, endpoints=tuple(replace(one, management=None) for one in found.endpoints))

    monkeypatch.setattr(field, "read_fleet_document", reading_alone)
    verdict = tell(settings_of(301), workshop)
    assert {violation.invariant for violation in verdict.violations} == {Invariant.CLOCKS}


def test_stores_that_drop_what_came_last_are_found(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    def newest_first(_store: SqlPushStore, connection: Connection, count: Any, _needed: int) -> None:
        newest = connection.execute(select(held_push).order_by(held_push.c.sequence.desc()).limit(1)).mappings().one()
        connection.execute(delete(held_push).where(held_push.c.sequence == newest["sequence"]))
        count.remove([HeldPush(0, newest["at"], newest["peer"], newest["urgent"], newest["frame"])])
        count.dropped += 1

    monkeypatch.setattr(SqlPushStore, "_make_room", newest_first)
    verdict = tell(settings_of(SMALL_STORE), workshop)
    assert Invariant.ROOM in {violation.invariant for violation in verdict.violations}


@pytest.mark.slow
@pytest.mark.parametrize("parts", PLANTED, ids=lambda parts: parts.__name__)
def test_a_planted_bug_is_found(workshop: Workshop, parts: type[Parts]) -> None:
    verdict = first_found(workshop, parts, *PLANTED[parts])
    assert verdict is not None
    lines = list(failure_lines(verdict, Choice(seeds=1)))
    assert f"replay: make simulate SEEDS=1 FROM={verdict.seed}" in lines[-1]


def test_the_replay_of_a_failure_is_the_failure(workshop: Workshop) -> None:
    first, again = (tell(settings_of(1), workshop, CountersReservedAfterUse()) for _ in range(2))
    assert first.violations
    assert again == first


# ------------------------------------------------------------------ the command
def test_a_campaign_ends_with_a_table() -> None:
    out = StringIO()
    assert run_campaign(Choice(seeds=1, first=319, processes=1), out) == 0
    lines = out.getvalue().splitlines()
    assert ["seeds", "1", "(319", "to", "319),", "0", "failed"] in [line.split() for line in lines]
    assert any(line.startswith("  one association per meter ") and line.split()[-1] != "0" for line in lines)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_campaign_leaves_neither_processes_nor_files(tmp_path: Path, how: signal.Signals) -> None:
    arguments = ["--seeds", "50", "--from", "50", "--processes", "2"]
    # A shell's background job, and all below it, ignores Ctrl-C: here it must not.
    hearing = ["env", "--default-signal=INT", sys.executable]
    with subprocess.Popen(  # noqa: S603 - ourselves
        [*hearing, "-m", "amity.simulation.campaign", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as campaign:
        until(lambda: len(folders_of(campaign.pid)) == 2)
        processes, folders = children_of(campaign.pid), folders_of(campaign.pid)
        campaign.send_signal(how)
        told, _ = campaign.communicate()
    until(lambda: not any(map(is_running, processes)))
    assert [folder for folder in folders if folder.exists()] == []
    if how is signal.SIGINT:
        assert told.splitlines()[-1] == "interrupted; go on with: make simulate SEEDS=50 FROM=50"


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def folders_of(pid: int) -> list[Path]:
    base = Path("/dev/shm")  # noqa: S108 - where the campaign has its disks
    return [folder for child in children_of(pid) for folder in base.glob(f"amity-campaign-{child}-*")]


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.05)
