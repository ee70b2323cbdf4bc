"""A world from one seed: built, troubled, mended, given time to come right, and judged."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any, Final

from amity.domain.jobs import Job, JobKind, JobRequest, JobState, Priority, Span
from amity.headend.jobs.calendar import Calendar
from amity.headend.jobs.ports import JobQuery
from amity.kernel.errors import AmityError
from amity.simulation.campaign.attacker import replay_pushes, replay_session
from amity.simulation.campaign.broker import HOST as BROKER_HOST
from amity.simulation.campaign.broker import ROOM, StandInBroker
from amity.simulation.campaign.disk import DiskState, Fullness, Workshop, Zone
from amity.simulation.campaign.field import PUSH_HOST, Field, FieldMeter
from amity.simulation.campaign.loop import CampaignLoop
from amity.simulation.campaign.machine import Machine, MachineClock
from amity.simulation.campaign.network import Cut, Network
from amity.simulation.campaign.nodes import HeadEndNode, MdmNode, Parts, Utility, schedule_of
from amity.simulation.campaign.plan import Event, Trouble, plan_of
from amity.simulation.campaign.settings import WorldSettings
from amity.simulation.campaign.wire import Wire
from amity.simulation.campaign.witness import Violation, Witness
from amity.simulation.chance import stream
from amity.simulation.virtual_time import VirtualClock
from amity.storage.it.database import ItDatabase
from amity.storage.ot.database import OtDatabase

MDM_HOST: Final = "10.0.0.20"
ATTACKER_HOST: Final = "10.9.9.9"
_NODE_HOSTS: Final = "10.0.0."
_LOOK_S: Final = 30.0
_SOON: Final = timedelta(minutes=10)
_ALIVE: Final = JobQuery(states=frozenset((JobState.WAITING, JobState.LEASED)), limit=100_000)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a world ended."""

    seed: int
    digest: str
    violations: tuple[Violation, ...]
    trace: tuple[str, ...]
    virtual_s: float
    associations: int
    intervals: int
    counters: int
    events: int
    jobs: int


class World:
    """Everything there is, while a seed's story is told."""

    def __init__(
        self, settings: WorldSettings, workshop: Workshop, parts: Parts, loop: CampaignLoop, *, keep_trace: bool = False
    ) -> None:
        self.settings = settings
        self.loop = loop
        self.clock = VirtualClock(settings.start, loop)
        self.witness = Witness(loop.time, keep_all=keep_trace)
        self.node_hosts = tuple(f"{_NODE_HOSTS}{number + 1}" for number in range(settings.nodes))
        meters: dict[str, FieldMeter] = {}
        self.wire = Wire(self.witness, meters, frozenset((*self.node_hosts, PUSH_HOST)))
        self.network = loop.network = Network(loop, settings.seed, self.witness, self.wire)
        self.network.behind[PUSH_HOST] = self.node_hosts
        self.field = Field(settings, self.network, self.clock, self.witness)
        meters.update(self.field.by_host)
        self.broker = StandInBroker(self.network, Random(stream(settings.seed, "broker")))
        workshop.begin_world()
        self._calendars: tuple[Calendar, ...] = (schedule_of(settings),)
        self.utility = Utility(
            settings, workshop, self.broker,
            {one.meter_id: one.secrets for one in self.field.meters},
            DiskState(), DiskState(), parts, lambda: self._calendars,
        )  # fmt: skip
        self.ot = OtDatabase(workshop.engine(Zone.OT))
        self.it = ItDatabase(workshop.engine(Zone.IT))
        self.nodes: dict[str, HeadEndNode] = {}
        self.mdm: MdmNode | None = None
        self.requested: list[str] = []
        self.forgetful: set[str] = set()
        self._clocks = {host: MachineClock(self.clock) for host in (*self.node_hosts, MDM_HOST)}
        self._lives = 0

    async def run(self) -> None:
        """From the first start to the last word."""
        settings = self.settings
        self.ot.endpoints.put([one.endpoint for one in self.field.meters])
        self.it.registry.provision(self.field.fleet.town)
        for one in self.field.meters:
            self.field.switch_on(one)
        self.start_broker()
        self.start_mdm()
        for host in self.node_hosts:
            self.start_node(host)
        troubles = [self._task(self._trouble(event)) for event in plan_of(settings)]
        await asyncio.sleep(settings.span.total_seconds())
        await asyncio.gather(*troubles)
        self.mend()
        await asyncio.sleep(settings.settle.total_seconds())
        self._calendars = ()
        await self._until_quiet()

    # ------------------------------------------------------------------ lives
    def start_node(self, host: str) -> None:
        """Begin a life of a head-end node."""
        machine = self._machine(f"node {host.rpartition('.')[2]}", host)
        node = self.nodes[host] = HeadEndNode(machine, self.utility, self._lives)
        self._begin(machine, node.run())

    def start_mdm(self) -> None:
        """Begin a life of the MDM side's ingest."""
        machine = self._machine("mdm", MDM_HOST)
        self.mdm = MdmNode(machine, self.utility, self._lives)
        self._begin(machine, self.mdm.run())

    def start_broker(self) -> None:
        """Begin a life of the broker."""
        machine = Machine("broker", BROKER_HOST, MachineClock(self.clock), self.witness)
        self.network.machines[BROKER_HOST] = machine
        self.broker.begin(machine)

    def mend(self) -> None:
        """Everything works from now on."""
        self.witness.note("world", "everything is mended")
        self.network.conditions = type(self.network.conditions)()
        for disk in (self.utility.ot_disk, self.utility.it_disk):
            disk.fullness, disk.slowness = Fullness.NOT, 1.0
        self.broker.stream.room = ROOM
        for clock in self._clocks.values():
            clock.ahead = timedelta(0)
        self._restart_the_dead()

    def _restart_the_dead(self) -> None:
        for host, node in self.nodes.items():
            node.machine.spare()
            if not node.machine.alive:
                self.start_node(host)
        if self.mdm is not None:
            self.mdm.machine.spare()
            if not self.mdm.machine.alive:
                self.start_mdm()
        if self.broker.machine is not None and not self.broker.machine.alive:
            self.start_broker()
        for one in self.field.meters:
            if one.machine is not None and not one.machine.alive:
                self.field.switch_on(one)

    def _machine(self, name: str, host: str) -> Machine:
        self._lives += 1
        machine = Machine(name, host, self._clocks[host], self.witness)
        self.network.machines[host] = machine
        return machine

    def _begin(self, machine: Machine, main: Coroutine[Any, Any, None]) -> None:
        machine.start(main).add_done_callback(lambda task: self._ended(machine, task))

    def _ended(self, machine: Machine, task: asyncio.Task[None]) -> None:
        if machine.alive and not task.cancelled() and task.exception() is not None:
            self.witness.violated("no process ends by itself", f"{machine.name}: {task.exception()!r}")

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self.loop.create_task(work)

    # ------------------------------------------------------------------ troubles
    async def _trouble(self, event: Event) -> None:
        await asyncio.sleep(event.at_s)
        self.witness.note("world", str(event))
        match event.trouble:
            case Trouble.NODE_KILLED | Trouble.NODE_POWER_CUT:
                await self._node_dies(event)
            case Trouble.NODE_FROZEN:
                self.nodes[self._host(event)].machine.freeze(self.loop.time() + event.lasts_s)
            case Trouble.MDM_KILLED:
                await self._mdm_dies(event)
            case Trouble.BROKER_KILLED:
                await self._broker_dies(event)
            case Trouble.METER_RESTARTS | Trouble.METER_FORGETS:
                await self._meter_restarts(event)
            case Trouble.TECHNICIAN:
                self.field.visit(self._meter(event), self.clock.now())
            case Trouble.PUSHES_REPLAYED:
                await self._as_attacker(replay_pushes(self.wire, event.how))
            case Trouble.SESSION_REPLAYED:
                await self._as_attacker(replay_session(self._meter(event), self.wire, self.witness))
            case Trouble.READ_NOW:
                self._read_now(event)
            case _:
                await self._for_a_while(event)

    async def _for_a_while(self, event: Event) -> None:
        conditions, ot, it = self.network.conditions, self.utility.ot_disk, self.utility.it_disk
        full = Fullness.NO_PAGES if event.how < 0.5 else Fullness.NO_COMMITS  # noqa: PLR2004 - one or the other
        slow = 20.0 + 3_000.0 * event.how**4
        cut = self._cut(event)
        if cut is not None:
            name = f"{event.trouble} {event.at_s}"
            conditions.cuts[name] = cut
            await asyncio.sleep(event.lasts_s)
            conditions.cuts.pop(name, None)
            return
        match event.trouble:
            case Trouble.BAD_LINES:
                conditions.stalls, conditions.lost, conditions.doubled = 0.02 + event.how * 0.1, event.how * 0.4, 0.1
            case Trouble.LATE_LINES:
                conditions.late, conditions.late_s = 0.05 + 0.3 * event.how, 1.0 + 8.0 * event.whom
            case Trouble.OT_DISK_SLOW:
                ot.slowness = slow
            case Trouble.IT_DISK_SLOW:
                it.slowness = slow
            case Trouble.OT_DISK_FULL:
                ot.fullness = full
            case Trouble.IT_DISK_FULL:
                it.fullness = full
            case Trouble.BROKER_FULL:
                self.broker.stream.room = 0
            case _:
                self._jump(event)
        await asyncio.sleep(event.lasts_s)
        self._back_to_normal(event.trouble)

    def _back_to_normal(self, trouble: Trouble) -> None:
        conditions, ot, it = self.network.conditions, self.utility.ot_disk, self.utility.it_disk
        match trouble:
            case Trouble.BAD_LINES:
                conditions.stalls = conditions.lost = conditions.doubled = 0.0
            case Trouble.LATE_LINES:
                conditions.late = 0.0
            case Trouble.OT_DISK_SLOW:
                ot.slowness = 1.0
            case Trouble.IT_DISK_SLOW:
                it.slowness = 1.0
            case Trouble.OT_DISK_FULL:
                ot.fullness = Fullness.NOT
            case Trouble.IT_DISK_FULL:
                it.fullness = Fullness.NOT
            case Trouble.BROKER_FULL:
                self.broker.stream.room = ROOM
            case _:
                for clock in self._clocks.values():
                    clock.ahead = timedelta(0)

    def _cut(self, event: Event) -> Cut | None:
        nodes, broker = frozenset(self.node_hosts), frozenset((BROKER_HOST,))
        meters = frozenset(one.host for one in self.field.meters)
        match event.trouble:
            case Trouble.METERS_CUT_OFF:
                return Cut(frozenset(sorted(meters)[:: 1 + int(event.how * 3)]), nodes)
            case Trouble.NODE_CUT_OFF:
                return Cut(frozenset((self._host(event),)), meters)
            case Trouble.BROKER_CUT_FROM_NODES:
                return Cut(broker, nodes)
            case Trouble.BROKER_CUT_FROM_MDM:
                return Cut(broker, frozenset((MDM_HOST,)))
            case _:
                return None

    def _jump(self, event: Event) -> None:
        """All nodes of a site follow the same time server; their leases assume clocks that agree (see docs/jobs.md)."""
        ahead = timedelta(seconds=(event.how - 0.5) * 2 * (30 if event.whom < 0.5 else 1800))  # noqa: PLR2004
        hosts = (MDM_HOST,) if event.trouble is Trouble.MDM_CLOCK_JUMPS else self.node_hosts
        self.witness.note("world", f"clocks of {', '.join(hosts)} jump by {ahead.total_seconds():+.1f} s")
        for host in hosts:
            self._clocks[host].ahead = ahead

    async def _node_dies(self, event: Event) -> None:
        host = self._host(event)
        machine = self.nodes[host].machine
        if event.trouble is Trouble.NODE_KILLED:
            machine.doom(event.steps)
            await asyncio.sleep(min(_LOOK_S, event.lasts_s / 2))
        machine.kill(told=event.trouble is Trouble.NODE_KILLED)
        await asyncio.sleep(event.lasts_s / 2)
        if not self.nodes[host].machine.alive:
            self.start_node(host)

    async def _mdm_dies(self, event: Event) -> None:
        if self.mdm is None:
            return
        self.mdm.machine.doom(event.steps)
        await asyncio.sleep(min(_LOOK_S, event.lasts_s / 2))
        self.mdm.machine.kill(told=True)
        await asyncio.sleep(event.lasts_s / 2)
        if not self.mdm.machine.alive:
            self.start_mdm()

    async def _broker_dies(self, event: Event) -> None:
        if self.broker.machine is not None:
            self.broker.machine.kill(told=True)
        await asyncio.sleep(event.lasts_s)
        if self.broker.machine is None or not self.broker.machine.alive:
            self.start_broker()

    async def _meter_restarts(self, event: Event) -> None:
        one = self._meter(event)
        self.field.switch_off(one)
        if event.trouble is Trouble.METER_FORGETS:
            self.field.lose_counters(one)
            self.forgetful.add(one.meter_id)
        await asyncio.sleep(event.lasts_s)
        if one.machine is None or not one.machine.alive:
            self.field.switch_on(one)

    def _read_now(self, event: Event) -> None:
        """On-demand jobs and made-up stretches for some meters, by whichever node takes the call."""
        now, chance = self.clock.now(), Random(event.whom)
        some = chance.sample(self.field.meters, min(3, len(self.field.meters)))
        span = Span(now - timedelta(hours=2), now - timedelta(hours=1)) if event.how < 0.5 else None  # noqa: PLR2004
        requests = [
            JobRequest(
                one.meter_id, JobKind.PROFILES, Priority.ON_DEMAND, now,
                f"campaign/{event.at_s}/{one.meter_id}", deadline=now + timedelta(minutes=50), span=span,
            )
            for one in some
        ]  # fmt: skip
        with suppress(AmityError):
            self.requested += self.ot.jobs.enqueue(requests, now)

    async def _as_attacker(self, work: Coroutine[Any, Any, None]) -> None:
        machine = Machine("attacker", ATTACKER_HOST, MachineClock(self.clock), self.witness)
        self.network.machines[ATTACKER_HOST] = machine
        with suppress(OSError):
            await machine.start(work)

    def _host(self, event: Event) -> str:
        return self.node_hosts[int(event.whom * len(self.node_hosts))]

    def _meter(self, event: Event) -> FieldMeter:
        return self.field.meters[int(event.whom * len(self.field.meters))]

    # ------------------------------------------------------------------ the end
    async def _until_quiet(self) -> None:
        """Until no job is alive and nothing is on its way, or the grace is over."""
        until_s = self.loop.time() + self.settings.grace.total_seconds()
        while self.loop.time() < until_s and not self.is_quiet():  # noqa: ASYNC110 - looks are cheap
            await asyncio.sleep(_LOOK_S)

    def is_quiet(self) -> bool:
        """True when every job has ended and every delivery has arrived."""
        return not (self.jobs_alive() or self.ot.collection.queued(1) or self.broker.stream.messages)

    def jobs_alive(self) -> Sequence[Job]:
        """Jobs that have not ended, but for those that are for later: another look at a gap."""
        soon = self.clock.now() + _SOON
        return [job for job in self.ot.job_book.find(_ALIVE) if job.not_before <= soon]


def troubles_of(settings: WorldSettings) -> Sequence[str]:
    """The story of a seed, a line each."""
    return [f"{event.at_s:9.1f} s  {event}" for event in plan_of(settings)]
