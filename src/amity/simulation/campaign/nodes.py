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
from amity.headend.calls.lines import CalledInConnector, CalledLines
from amity.headend.collectors.connected import ConnectedCollector
from amity.headend.collectors.registry import Collectors, ReachConnector
from amity.headend.delivery import Courier
from amity.headend.jobs.calendar import Calendar
from amity.headend.jobs.clock_policy import ClockBands
from amity.headend.jobs.meter_sessions import MeterSessions
from amity.headend.jobs.ports import LeaseTerms
from amity.headend.jobs.retry import RetryRules
from amity.headend.jobs.scheduler import Scheduler
from amity.headend.jobs.throttle import Limit, ThrottleRules
from amity.headend.jobs.ways import Ways, WaysFollowed
from amity.headend.jobs.worker import Worker
from amity.headend.plan import ReadingRules
from amity.headend.ports import Connector, MeterSecrets
from amity.headend.pushes.desk import PushDesk
from amity.headend.surroundings import SessionRules, Surroundings
from amity.kernel.backoff import Backoff
from amity.kernel.errors import AmityError
from amity.messaging.access import SUBJECT
from amity.messaging.broker import JetStreamPublisher, Received
from amity.messaging.codec import ProtobufCodec, join, split
from amity.simulation.campaign.broker import StandInBroker, link_of_head_end, link_of_mdm
from amity.simulation.campaign.disk import DiskState, Workshop, Zone
from amity.simulation.campaign.doors import Doors, office_of
from amity.simulation.campaign.fences import Fences, WatchedJobs, WatchedSessions
from amity.simulation.campaign.fires import Fires, WatchedFirings, WatchedRequests
from amity.simulation.campaign.machine import Machine, SimulatedDisk
from amity.simulation.campaign.overtaking import WatchedOutbox
from amity.simulation.campaign.parts import Parts
from amity.simulation.campaign.push_evidence import PushEvidence, WatchedTaking
from amity.simulation.campaign.settings import TITLE, WorldSettings
from amity.simulation.campaign.wire import WatchedConnector, Wire
from amity.simulation.chance import stream
from amity.storage.it.database import ItDatabase
from amity.storage.ot.database import OtDatabase
from amity.transports.meter_connector import MeterConnector
from amity.usecases.intake import Intake

LOOK_EVERY_S: Final = 97.0
LEASE: Final = timedelta(seconds=60)
THROTTLE: Final = ThrottleRules(collector=Limit(sessions=12))
_TIDY_EVERY_S: Final = 300.0
_WAYS_EVERY_S: Final = 20.0
_KINDS: Final = (JobKind.PROFILES, JobKind.REGISTERS, JobKind.EVENTS, JobKind.CLOCK_CHECK)
CLOCKS: Final = ClockBands(fine=timedelta(seconds=1))
"""So strict that most meters have their clocks moved, which are seconds off when a world begins."""


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
    wire: Wire
    collectors: Mapping[str, str]
    """Names of collectors by host."""
    evidence: PushEvidence
    fences: Fences
    fires: Fires


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
    """One head-end process: scheduler, worker, courier, the doors for whoever calls."""

    def __init__(self, machine: Machine, utility: Utility, number: int) -> None:
        settings, parts = utility.settings, utility.parts
        chance = Random(stream(settings.seed, machine.name, number))
        disk = SimulatedDisk(machine, chance, lambda: utility.ot_disk.slowness)
        self.machine = machine
        self.database = OtDatabase(utility.workshop.engine(Zone.OT, machine, utility.ot_disk))
        self.lines = CalledLines()
        way = CalledInConnector(self.lines, ReachConnector(MeterConnector(), self._serving))
        surroundings = self._surroundings(utility, disk, chance, WatchedConnector(way, machine, utility.wire))
        taking = WatchedTaking(parts.push_counters(self.database), parts.forwarded(self.database), utility.evidence)
        self.listener = PushDesk(surroundings, taking)
        office = office_of(machine.name, self.database.collectors, taking, self.listener, surroundings, LOOK_EVERY_S)
        self.collectors = Collectors(office)
        self.doors = Doors(
            surroundings, self.database, self.listener, self.lines, self.collectors, utility.collectors, self._on_line
        )
        self.sessions = MeterSessions(
            surroundings,
            self.database.meter_states,
            parts.counters(self.database),
            bands=lambda: CLOCKS,
            on_collected=lambda collected: self.lines.told(collected.delivery),
            on_unsolicited=self.listener.take_from_session,
        )
        self._disk = disk
        self.worker = self._worker(utility, f"{machine.name}/{number}", chance)
        self.followed = WaysFollowed(
            self._ways,
            self.database.called_in,
            self.worker,
            clock=machine.clock,
            disk=disk,
            look_every_s=_WAYS_EVERY_S,
        )
        self.scheduler = Scheduler(
            utility.schedules,
            firings=WatchedFirings(parts.firings(self.database), utility.fires, machine, self.database.afterwards),
            pages=self.database.fleet_pages,
            jobs=WatchedRequests(self.database.jobs, utility.fires, self.database.afterwards),
            clock=machine.clock,
            disk=disk,
            on_jobs=self.worker.wake,
            look_every_s=LOOK_EVERY_S,
        )
        link = link_of_head_end(utility.broker)
        real = JetStreamPublisher(link.access, chance=chance.random, link=link)
        self.courier = Courier(
            surroundings.collection, parts.publisher(real), disk, chance.random, idle_s=LOOK_EVERY_S, join=join
        )

    @property
    def parts(self) -> tuple[object, ...]:
        """Everything that holds something."""
        doors = (self.listener, self.lines, self.collectors, self.doors.tcp, self.doors.udp)
        return (self.worker, self.sessions, self.scheduler, self.courier, *doors)

    async def run(self) -> None:
        """Work until the process ends."""
        async with asyncio.TaskGroup() as tasks:
            doors = self.doors.run(self.machine.host)
            working = (self.worker.run(), self.scheduler.run(), self.followed.run(), self.courier.run())
            for part in (doors, *working, self._tidy_for_ever()):
                tasks.create_task(part)

    def _serving(self, name: str) -> ConnectedCollector:
        return self.collectors.serving(name)

    async def _on_line(self, meter_id: str) -> None:
        await self.followed.called_in(meter_id)

    def _ways(self) -> Ways:
        return Ways(frozenset(self.lines.meters), frozenset(one.presented.name for one in self.collectors.all))

    async def _tidy_for_ever(self) -> None:
        while True:
            with suppress(AmityError):
                await self._disk(lambda: self.database.jobs.expire(self.machine.clock.now()))
            await asyncio.sleep(_TIDY_EVERY_S)

    def _worker(self, utility: Utility, name: str, chance: Random) -> Worker:
        terms = LeaseTerms(
            name,
            duration=LEASE,
            look_every=timedelta(seconds=LOOK_EVERY_S),
            throttle=THROTTLE if utility.collectors else ThrottleRules(),
            retry=RetryRules(6, tries_a_day=1_000, backoff=Backoff(base_s=8.0, limit_s=240.0), busy_break=LEASE),
        )
        return utility.parts.worker(
            WatchedJobs(utility.parts.jobs(self.database), utility.fences, self.database.afterwards),
            WatchedSessions(self.sessions, utility.fences),
            terms=lambda: terms,
            concurrency=utility.settings.concurrency,
            clock=self.machine.clock,
            disk=self._disk,
            chance=chance.random,
        )

    def _surroundings(
        self, utility: Utility, disk: SimulatedDisk, chance: Random, connector: Connector
    ) -> Surroundings:
        parts = utility.parts
        return Surroundings(
            clock=self.machine.clock,
            chance=chance.random,
            random_octets=chance.randbytes,
            system_title=TITLE,
            connector=connector,
            disk=disk,
            endpoints=self.database.endpoints,
            keys=HeldKeys(utility.secrets),
            counters=parts.counters(self.database),
            collection=WatchedOutbox(parts.collection(self.database), utility.evidence.overtaking),
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
        self._utility = utility
        self.database = ItDatabase(utility.workshop.engine(Zone.IT, machine, utility.it_disk))
        self._disk = SimulatedDisk(machine, chance, lambda: utility.it_disk.slowness)
        self._intake = Intake(
            self.database, ProtobufCodec(), machine.clock, SUBJECT,
            on_stored=lambda delivery, _: utility.evidence.stored(delivery),
        )  # fmt: skip
        link = link_of_mdm(utility.broker)
        self._consumer = utility.parts.consumer(link.access, chance=chance.random, link=link)

    async def run(self) -> None:
        """Store every delivery, acknowledged after its commit, until the process ends."""
        await self._consumer.run(self._store, self._set_aside)

    async def _store(self, message: Received) -> None:
        self._utility.evidence.received(self.machine)
        await self._disk(lambda: self._intake.store(split(message.body)))

    async def _set_aside(self, message: Received, reason: str) -> None:
        await self._disk(lambda: self._intake.set_aside(split(message.body), reason))
