"""The processes of the utility: head-end nodes and the MDM side's ingest, joined as `amity.runtime` joins them.

The code that runs is that of the head-end; what differs is the loop below it, the disk port (in line, no threads), and
how often idle parts look for work, so that a quiet night costs nothing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Final

from amity.domain.jobs import JobKind, MissedFires, ReadingSchedule
from amity.headend.delivery import Courier
from amity.headend.jobs.calendar import Calendar
from amity.headend.jobs.meter_sessions import MeterSessions
from amity.headend.jobs.ports import JobStore, LeaseTerms
from amity.headend.jobs.retry import RetryRules
from amity.headend.jobs.scheduler import Scheduler
from amity.headend.jobs.worker import Worker
from amity.headend.plan import ReadingRules
from amity.headend.ports import CollectionStore, MeterSecrets, Publisher, PushCounterStore
from amity.headend.push_listener import PushListener
from amity.headend.surroundings import SessionRules, Surroundings
from amity.kernel.backoff import Backoff
from amity.kernel.errors import AmityError
from amity.messaging.access import SUBJECT
from amity.messaging.broker import JetStreamConsumer, JetStreamPublisher, Received
from amity.messaging.codec import ProtobufCodec
from amity.simulation.campaign.broker import StandInBroker, link_of_head_end, link_of_mdm
from amity.simulation.campaign.disk import DiskState, Workshop, Zone
from amity.simulation.campaign.field import PORT
from amity.simulation.campaign.machine import Machine, SimulatedDisk
from amity.simulation.campaign.settings import TITLE, WorldSettings
from amity.simulation.chance import stream
from amity.storage.it.database import ItDatabase
from amity.storage.ot.counters import SqlCounters
from amity.storage.ot.database import OtDatabase
from amity.transports.meter_connector import MeterConnector
from amity.usecases.ingest import ingest

LOOK_EVERY_S: Final = 41.0
LEASE: Final = timedelta(seconds=60)
_TIDY_EVERY_S: Final = 60.0
_KINDS: Final = (JobKind.PROFILES, JobKind.REGISTERS, JobKind.EVENTS)


class Parts:
    """Which parts a head-end is built of; a test puts a broken one in."""

    def counters(self, database: OtDatabase) -> SqlCounters:
        """Where invocation counters come from."""
        return database.counters

    def jobs(self, database: OtDatabase) -> JobStore:
        """Where jobs are kept."""
        return database.jobs

    def collection(self, database: OtDatabase) -> CollectionStore:
        """Progress and outbox."""
        return database.collection

    def push_counters(self, database: OtDatabase) -> PushCounterStore:
        """What was heard before."""
        return database.push_counters

    def publisher(self, publisher: JetStreamPublisher) -> Publisher:
        """The courier's way to the broker."""
        return publisher


class HeldKeys:
    """The `Keys` port in memory."""

    def __init__(self, secrets: Mapping[str, MeterSecrets]) -> None:
        self._secrets = secrets

    def secrets(self, meter_id: str) -> MeterSecrets:
        """Those of one meter."""
        return self._secrets[meter_id]


@dataclass(frozen=True, slots=True)
class Utility:
    """What all processes of the utility are given."""

    settings: WorldSettings
    workshop: Workshop
    broker: StandInBroker
    secrets: Mapping[str, MeterSecrets]
    ot_disk: DiskState
    it_disk: DiskState
    parts: Parts
    schedules: Callable[[], Sequence[Calendar]]


def schedule_of(settings: WorldSettings) -> Calendar:
    """Everything of every meter, every period; a job that has not begun an hour later expires."""
    return Calendar(
        ReadingSchedule(
            "campaign",
            "* * * * *",
            "UTC",
            _KINDS,
            every=settings.period,
            jitter=timedelta(minutes=2),
            deadline=timedelta(hours=1),
            missed=MissedFires.COALESCE,
        )
    )


class HeadEndNode:
    """One head-end process: scheduler, worker, push listener, courier."""

    def __init__(self, machine: Machine, utility: Utility, number: int) -> None:
        settings, parts = utility.settings, utility.parts
        chance = Random(stream(settings.seed, machine.name, number))
        disk = SimulatedDisk(machine, chance, lambda: utility.ot_disk.slowness)
        self.database = OtDatabase(utility.workshop.engine(Zone.OT, machine, utility.ot_disk))
        surroundings = self._surroundings(utility, machine, disk, chance)
        self.listener = PushListener(surroundings, parts.push_counters(self.database))
        self.sessions = MeterSessions(
            surroundings,
            self.database.meter_states,
            parts.counters(self.database),
            on_unsolicited=self.listener.take_from_session,
        )
        terms = LeaseTerms(
            f"{machine.name}/{number}",
            duration=LEASE,
            look_every=timedelta(seconds=LOOK_EVERY_S),
            retry=RetryRules(attempts_max=6, tries_a_day=1_000, backoff=Backoff(base_s=2.0, limit_s=120.0)),
        )
        self.worker = Worker(
            parts.jobs(self.database),
            self.sessions,
            terms=lambda: terms,
            concurrency=settings.concurrency,
            clock=machine.clock,
            disk=disk,
            chance=chance.random,
        )
        self.scheduler = Scheduler(
            utility.schedules,
            firings=self.database.firings,
            pages=self.database.fleet_pages,
            jobs=self.database.jobs,
            clock=machine.clock,
            disk=disk,
            on_jobs=self.worker.wake,
            look_every_s=LOOK_EVERY_S,
        )
        link = link_of_head_end(utility.broker)
        real = JetStreamPublisher(link.access, chance=chance.random, link=link)
        self.courier = Courier(surroundings.collection, parts.publisher(real), disk, chance.random, idle_s=LOOK_EVERY_S)
        self.machine = machine
        self._disk = disk

    async def run(self) -> None:
        """Work until the process ends."""
        await self.listener.start(self.machine.host, PORT)
        async with asyncio.TaskGroup() as tasks:
            for part in (self.worker.run(), self.scheduler.run(), self.courier.run(), self._tidy_for_ever()):
                tasks.create_task(part)

    async def _tidy_for_ever(self) -> None:
        while True:
            with suppress(AmityError):
                await self._disk(lambda: self.database.jobs.expire(self.machine.clock.now()))
            await asyncio.sleep(_TIDY_EVERY_S)

    def _surroundings(self, utility: Utility, machine: Machine, disk: SimulatedDisk, chance: Random) -> Surroundings:
        parts = utility.parts
        return Surroundings(
            clock=machine.clock,
            chance=chance.random,
            random_octets=chance.randbytes,
            system_title=TITLE,
            connector=MeterConnector(),
            disk=disk,
            endpoints=self.database.endpoints,
            keys=HeldKeys(utility.secrets),
            counters=parts.counters(self.database),
            collection=parts.collection(self.database),
            codec=ProtobufCodec(),
            mappings=utility.workshop.mappings,
            subject=SUBJECT,
            reading=ReadingRules(first_read=utility.settings.first_read),
            session=SessionRules(),
            events=utility.workshop.events,
        )


class MdmNode:
    """The MDM side's ingest as a process."""

    def __init__(self, machine: Machine, utility: Utility, number: int) -> None:
        chance = Random(stream(utility.settings.seed, machine.name, number))
        self.machine = machine
        self.database = ItDatabase(utility.workshop.engine(Zone.IT, machine, utility.it_disk))
        self._disk = SimulatedDisk(machine, chance, lambda: utility.it_disk.slowness)
        self._codec = ProtobufCodec()
        link = link_of_mdm(utility.broker)
        self._consumer = JetStreamConsumer(link.access, chance=chance.random, link=link)

    async def run(self) -> None:
        """Store every delivery, acknowledged after its commit, until the process ends."""
        await self._consumer.run(self._store, self._set_aside)

    async def _store(self, message: Received) -> None:
        await self._disk(lambda: self._ingest(message))

    def _ingest(self, message: Received) -> None:
        delivery = self._codec.decode(message.body)
        ingest(delivery, message.body, self.database, self.machine.clock)

    async def _set_aside(self, message: Received, reason: str) -> None:
        letters, now = self.database.dead_letters, self.machine.clock.now()
        await self._disk(lambda: letters.add(SUBJECT, message.body, reason=reason, received_at=now))
