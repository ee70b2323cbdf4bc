"""A world from one seed: built, troubled, mended, given time to come right."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from random import Random
from typing import Any, Final

from amity.domain.jobs import Job, JobState
from amity.headend.collectors.ports import Admission
from amity.headend.jobs.calendar import Calendar
from amity.headend.jobs.ports import JobQuery
from amity.simulation.campaign.broker import HOST as BROKER_HOST
from amity.simulation.campaign.broker import ROOM, StandInBroker
from amity.simulation.campaign.collector import CollectorNode, Station
from amity.simulation.campaign.disk import COLLECTORS, DiskState, Fullness, Workshop, Zone
from amity.simulation.campaign.doors import presented
from amity.simulation.campaign.fences import Fences
from amity.simulation.campaign.field import Field
from amity.simulation.campaign.fires import Fires
from amity.simulation.campaign.loop import CampaignLoop
from amity.simulation.campaign.machine import Machine, MachineClock
from amity.simulation.campaign.network import Network
from amity.simulation.campaign.nodes import HeadEndNode, MdmNode, Utility, schedule_of
from amity.simulation.campaign.parts import Parts
from amity.simulation.campaign.plan import plan_of
from amity.simulation.campaign.push_evidence import PushEvidence
from amity.simulation.campaign.settings import PUSH_HOST, WorldSettings
from amity.simulation.campaign.troubles import Troubles
from amity.simulation.campaign.wire import Wire
from amity.simulation.campaign.witness import Invariant, Witness
from amity.simulation.chance import stream
from amity.simulation.network.medium import Medium, ways
from amity.simulation.network.presets import preset
from amity.simulation.virtual_time import VirtualClock
from amity.storage.it.database import ItDatabase
from amity.storage.ot.database import OtDatabase

MDM_HOST: Final = "10.0.0.20"
_NODE_HOSTS: Final = "10.0.0."
_COLLECTOR_HOSTS: Final = "10.2.0."
_WANS: Final = ("gprs", "nb-iot", "lte", "lte")
_NANS: Final = ("g3-plc", "rf-mesh-10", "lte")
_WIDE: Final = ("lte", "lte")
_MANY: Final = 100
_LOOK_S: Final = 30.0
_SOON: Final = timedelta(minutes=10)
_ALIVE: Final = JobQuery(states=frozenset((JobState.WAITING, JobState.LEASED)), limit=100_000)


class World:
    """Everything there is, while a seed's story is told."""

    mdm: MdmNode

    def __init__(
        self, settings: WorldSettings, workshop: Workshop, parts: Parts, loop: CampaignLoop, *, keep_trace: bool = False
    ) -> None:
        self.settings = settings
        self.loop = loop
        self.clock = VirtualClock(settings.start, loop)
        self.witness = Witness(loop.time, keep_all=keep_trace)
        self.node_hosts = tuple(f"{_NODE_HOSTS}{number + 1}" for number in range(settings.nodes))
        self.stations = {one.name: one for one in map(self._station, range(settings.collectors))}
        meters_at: dict[str, int] = {}
        readers = (*self.node_hosts, *(one.host for one in self.stations.values()))
        self.evidence = PushEvidence(self.witness)
        self.wire = Wire(self.witness, meters_at, frozenset(readers))
        self.network = loop.network = Network(loop, settings.seed, self.witness, self.wire)
        self.network.behind[PUSH_HOST] = self.node_hosts
        self.field = Field(
            settings, self.network, self.clock, self.witness, self.stations, self.wire.heard, self.evidence
        )
        meters_at.update((site.host, len(site.meters)) for site in self.field.sites)
        self._lay_links()
        self.broker = StandInBroker(self.network, Random(stream(settings.seed, "broker")))
        workshop.begin_world()
        self.workshop = workshop
        self._calendars: tuple[Calendar, ...] = (schedule_of(settings),)
        self.utility = Utility(
            settings, workshop, self.broker,
            {one.meter_id: one.secrets for one in self.field.meters},
            DiskState(), DiskState(), parts, lambda: self._calendars, self.wire,
            {one.host: one.name for one in self.stations.values()},
            self.evidence, Fences(self.witness), Fires(self.witness),
        )  # fmt: skip
        self.ot = OtDatabase(workshop.engine(Zone.OT))
        self.it = ItDatabase(workshop.engine(Zone.IT))
        self.nodes: dict[str, HeadEndNode] = {}
        self.collectors: dict[str, CollectorNode] = {}
        self.forgetful: set[str] = set()
        self._clocks: dict[str, MachineClock] = {}
        self._lives = 0

    async def run(self) -> None:
        """From the first start to the last word."""
        settings, troubles = self.settings, Troubles(self)
        self._enrol()
        for site in self.field.sites:
            self.field.switch_on(site)
        self.start_broker()
        self.start_mdm()
        for host in self.node_hosts:
            self.start_node(host)
        for name in self.stations:
            self.start_collector(name)
        happening = [self.loop.create_task(troubles.happen(event)) for event in plan_of(settings)]
        await asyncio.sleep(settings.span.total_seconds())
        await asyncio.gather(*happening)
        self.mend()
        await asyncio.sleep(settings.settle.total_seconds())
        self._calendars = ()
        await self._until_quiet()

    def clock_of(self, host: str) -> MachineClock:
        """The clock of a host, from one life to the next."""
        return self._clocks.setdefault(host, MachineClock(self.clock))

    # ------------------------------------------------------------------ what there is from the beginning
    def _station(self, number: int) -> Station:
        """Each collector has links of its own; those of many meters are fast ones."""
        chance = Random(stream(self.settings.seed, "station", number))
        wan, nan = _WIDE if self.settings.meters > _MANY else (chance.choice(_WANS), chance.choice(_NANS))
        host = f"{_COLLECTOR_HOSTS}{number + 1}"
        zone, octets = COLLECTORS[number], self.settings.store_octets
        return Station(f"DC{number + 1}", host, zone, DiskState(), self.node_hosts, wan, nan, octets)

    def _enrol(self) -> None:
        """Meters and collectors are known and accepted."""
        self.ot.endpoints.put([one.endpoint for one in self.field.meters])
        self.it.registry.provision(self.field.fleet.town)
        for name in self.stations:
            self.ot.collectors.seen(presented(name), self.settings.start)
            self.ot.collectors.decide(name, "", Admission.ACCEPTED)

    def _lay_links(self) -> None:
        """From each collector the WAN to the nodes and the NAN to its meters."""
        for name, station in self.stations.items():
            chance = Random(stream(self.settings.seed, "links", name))
            self._lay(station.host, self.node_hosts, station.wan, chance)
            near = [site.host for site in self.field.sites if site.way.collector == name]
            self._lay(station.host, near, station.nan, chance)

    def _lay(self, host: str, others: Sequence[str], kind: str, chance: Random) -> None:
        medium = Medium()
        for other in others:
            link = ways(preset(kind), Random(chance.getrandbits(64)), medium)
            self.network.links[host, other], self.network.links[other, host] = link.up, link.down

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

    def start_collector(self, name: str) -> None:
        """Begin a life of a collector."""
        station = self.stations[name]
        machine = self._machine(name, station.host)
        node = self.collectors[name] = CollectorNode(machine, station, self.utility, self._lives)
        self._begin(machine, node.run())

    def start_broker(self) -> None:
        """Begin a life of the broker."""
        self.broker.begin(self._machine("broker", BROKER_HOST))

    def mend(self) -> None:
        """Everything works from now on."""
        self.witness.note("world", "everything is mended")
        self.network.conditions = type(self.network.conditions)()
        for disk in (self.utility.ot_disk, self.utility.it_disk, *(one.disk for one in self.stations.values())):
            disk.fullness, disk.slowness = Fullness.NOT, 1.0
        self.broker.stream.room = ROOM
        for clock in self._clocks.values():
            clock.ahead = timedelta(0)
        self._restart_the_dead()

    def _restart_the_dead(self) -> None:
        for machine in tuple(self.network.machines.values()):
            machine.spare()
        for host in [host for host, node in self.nodes.items() if not node.machine.alive]:
            self.start_node(host)
        for name in [name for name, node in self.collectors.items() if not node.machine.alive]:
            self.start_collector(name)
        if not self.mdm.machine.alive:
            self.start_mdm()
        if self.broker.machine is not None and not self.broker.machine.alive:
            self.start_broker()
        for site in self.field.sites:
            if not site.is_on:
                self.field.switch_on(site)

    def _machine(self, name: str, host: str) -> Machine:
        self._lives += 1
        machine = Machine(name, host, self.clock_of(host), self.witness)
        self.network.machines[host] = machine
        return machine

    def _begin(self, machine: Machine, main: Coroutine[Any, Any, None]) -> None:
        machine.start(main).add_done_callback(lambda task: self._ended(machine, task))

    def _ended(self, machine: Machine, task: asyncio.Task[None]) -> None:
        self.witness.checked(Invariant.NO_SUDDEN_END)
        if machine.alive and not task.cancelled() and task.exception() is not None:
            self.witness.violated(Invariant.NO_SUDDEN_END, f"{machine.name}: {task.exception()!r}")

    # ------------------------------------------------------------------ the end
    async def _until_quiet(self) -> None:
        """Until no job is alive and nothing is on its way, or the grace is over."""
        until_s = self.loop.time() + self.settings.grace.total_seconds()
        while self.loop.time() < until_s and not self.is_quiet():  # noqa: ASYNC110 - looks are cheap
            await asyncio.sleep(_LOOK_S)

    def is_quiet(self) -> bool:
        """True when every job has ended and every delivery has arrived."""
        on_the_way = self.ot.collection.queued(1) or self.broker.stream.messages or self.held_by_collectors()
        return not (on_the_way or self.jobs_alive())

    def held_by_collectors(self) -> int:
        """Pushes that no head-end has."""
        held = [station.store(self.workshop).held() for station in self.stations.values()]
        return sum(one.alarms + one.bulk for one in held)

    def jobs_alive(self) -> Sequence[Job]:
        """Jobs that have not ended, but for those that are for later: another look at a gap."""
        soon = self.clock.now() + _SOON
        return [job for job in self.ot.job_book.find(_ALIVE) if job.not_before <= soon]
