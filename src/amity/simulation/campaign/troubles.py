"""What each trouble does to a world, for as long as it lasts."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final

from amity.domain.jobs import JobKind, JobRequest, Priority
from amity.domain.spans import TimeSpan
from amity.kernel.errors import AmityError
from amity.simulation.campaign.attacker import replay_pushes, replay_session
from amity.simulation.campaign.broker import HOST as BROKER_HOST
from amity.simulation.campaign.broker import ROOM
from amity.simulation.campaign.collector import Station
from amity.simulation.campaign.disk import DiskState, Fullness
from amity.simulation.campaign.field import FieldMeter, Site
from amity.simulation.campaign.machine import Machine, MachineClock
from amity.simulation.campaign.network import Conditions, Cut
from amity.simulation.campaign.nodes import LEASE, LOOK_EVERY_S
from amity.simulation.campaign.plan import OF_COLLECTORS, Event, Trouble

if TYPE_CHECKING:
    from amity.simulation.campaign.world import World

ATTACKER_HOST: Final = "10.9.9.9"
_LOOK_S: Final = 30.0
_OUTLASTS_LEASES_S: Final = 2 * LEASE.total_seconds() + LOOK_EVERY_S
_HALF: Final = 0.5
_JUMPS_S: Final = (30.0, 1800.0)
_SOME_MAX: Final = 3


class Troubles:
    """Brings what the plan says upon a world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._deeds: dict[Trouble, Callable[[Event], Awaitable[None]]] = {
            Trouble.NODE_KILLED: self._node_dies,
            Trouble.NODE_POWER_CUT: self._node_dies,
            Trouble.NODE_FROZEN: self._node_freezes,
            Trouble.MDM_KILLED: self._mdm_dies,
            Trouble.BROKER_KILLED: self._broker_dies,
            Trouble.COLLECTOR_KILLED: self._collector_dies,
            Trouble.COLLECTOR_POWER_CUT: self._collector_dies,
            Trouble.METER_RESTARTS: self._meter_restarts,
            Trouble.METER_FORGETS: self._meter_restarts,
            Trouble.CLOCKS_JUMP: self._clocks_jump,
            Trouble.MDM_CLOCK_JUMPS: self._clocks_jump,
            Trouble.TECHNICIAN: self._technician_comes,
            Trouble.PUSHES_REPLAYED: self._pushes_are_replayed,
            Trouble.SESSION_REPLAYED: self._session_is_replayed,
            Trouble.READ_NOW: self._read_now,
            Trouble.METERS_CUT_OFF: self._cut_off,
            Trouble.NODE_CUT_OFF: self._cut_off,
            Trouble.BROKER_CUT_FROM_NODES: self._cut_off,
            Trouble.BROKER_CUT_FROM_MDM: self._cut_off,
            Trouble.WAN_CUT: self._cut_off,
            Trouble.NAN_CUT: self._cut_off,
        }

    async def happen(self, event: Event) -> None:
        """Wait for its time, and see it through."""
        await asyncio.sleep(event.at_s)
        self._world.witness.note("world", str(event))
        await self._deeds.get(event.trouble, self._for_a_while)(event)

    # ------------------------------------------------------------------ what lasts
    async def _for_a_while(self, event: Event) -> None:
        """Bad lines, a bad disk, no room: as the event says, then as it was before anything went wrong."""
        conditions = self._world.network.conditions
        match event.trouble:
            case Trouble.BAD_LINES | Trouble.LATE_LINES:
                self._worse_lines(event, conditions)
            case Trouble.BROKER_FULL:
                self._world.broker.stream.room = 0
            case _:
                self._worse_disk(event, self._disk(event))
        await asyncio.sleep(event.lasts_s)
        self._back_to_normal(event, conditions)

    def _worse_lines(self, event: Event, conditions: Conditions) -> None:
        if event.trouble is Trouble.BAD_LINES:
            conditions.stalls, conditions.lost, conditions.doubled = 0.02 + event.how * 0.1, event.how * 0.4, 0.1
        else:
            conditions.late, conditions.late_s = 0.05 + 0.3 * event.how, 1.0 + 8.0 * event.whom

    def _worse_disk(self, event: Event, disk: DiskState) -> None:
        if event.trouble in (Trouble.OT_DISK_SLOW, Trouble.IT_DISK_SLOW, Trouble.COLLECTOR_DISK_SLOW):
            disk.slowness = 20.0 + 3_000.0 * event.how**4
        else:
            disk.fullness = Fullness.NO_PAGES if event.how < _HALF else Fullness.NO_COMMITS

    def _back_to_normal(self, event: Event, conditions: Conditions) -> None:
        match event.trouble:
            case Trouble.BAD_LINES:
                conditions.stalls = conditions.lost = conditions.doubled = 0.0
            case Trouble.LATE_LINES:
                conditions.late = 0.0
            case Trouble.BROKER_FULL:
                self._world.broker.stream.room = ROOM
            case Trouble.OT_DISK_SLOW | Trouble.IT_DISK_SLOW | Trouble.COLLECTOR_DISK_SLOW:
                self._disk(event).slowness = 1.0
            case _:
                self._disk(event).fullness = Fullness.NOT

    def _disk(self, event: Event) -> DiskState:
        if event.trouble in OF_COLLECTORS:
            return self._station(event).disk
        is_head_end = event.trouble in (Trouble.OT_DISK_SLOW, Trouble.OT_DISK_FULL)
        return self._world.utility.ot_disk if is_head_end else self._world.utility.it_disk

    async def _cut_off(self, event: Event) -> None:
        if event.trouble is Trouble.WAN_CUT and event.how < _HALF:
            await self._world.evidence.next_taken(self._station(event).name, self._spare_s(event))
        cuts, name = self._world.network.conditions.cuts, f"{event.trouble} {event.at_s}"
        cuts[name] = self._cut(event)
        await asyncio.sleep(event.lasts_s)
        cuts.pop(name, None)

    def _cut(self, event: Event) -> Cut:
        """Who has no way to whom."""
        world, stations = self._world, frozenset(one.host for one in self._world.stations.values())
        nodes, broker = frozenset(world.node_hosts), frozenset((BROKER_HOST,))
        sites = frozenset(site.host for site in world.field.sites)
        match event.trouble:
            case Trouble.METERS_CUT_OFF:
                return Cut(frozenset(sorted(sites)[:: 1 + int(event.how * 3)]), nodes)
            case Trouble.NODE_CUT_OFF:
                return Cut(frozenset((self._node(event),)), sites | stations)
            case Trouble.BROKER_CUT_FROM_NODES:
                return Cut(broker, nodes)
            case Trouble.BROKER_CUT_FROM_MDM:
                return Cut(broker, frozenset((world.mdm.machine.host,)))
            case _:
                beyond = nodes if event.trouble is Trouble.WAN_CUT else sites
                return Cut(frozenset((self._station(event).host,)), beyond)

    async def _clocks_jump(self, event: Event) -> None:
        """Nodes of a site follow one time server and jump together; one that lost sight of it jumps alone."""
        world = self._world
        ahead = timedelta(seconds=(event.how - _HALF) * 2 * _JUMPS_S[event.whom >= _HALF])
        hosts = (world.mdm.machine.host,) if event.trouble is Trouble.MDM_CLOCK_JUMPS else self._jumping(event)
        world.witness.note("world", f"clocks of {', '.join(hosts)} jump by {ahead.total_seconds():+.1f} s")
        for host in hosts:
            world.clock_of(host).ahead = ahead
        await asyncio.sleep(event.lasts_s)
        for host in hosts:
            world.clock_of(host).ahead = timedelta(0)

    def _jumping(self, event: Event) -> Sequence[str]:
        """All nodes, or one in every other of such events."""
        alone = event.lasts_s % 2 < 1
        return (self._node(event),) if alone else self._world.node_hosts

    # ------------------------------------------------------------------ what dies
    async def _node_dies(self, event: Event) -> None:
        host = self._node(event)
        if event.trouble is Trouble.NODE_KILLED and event.how < _HALF:
            machine = self._world.nodes[host].machine
            machine.doom_between()
            await self._world.utility.fires.next_moved(machine, self._spare_s(event))
        await self._process_dies(event, lambda: self._world.nodes[host].machine, lambda: self._world.start_node(host))

    async def _mdm_dies(self, event: Event) -> None:
        world, machine = self._world, self._world.mdm.machine
        if event.how < _HALF:
            await world.evidence.next_received(machine, self._spare_s(event))
            machine.kill(told=True)
        await self._process_dies(event, lambda: world.mdm.machine, world.start_mdm)

    async def _collector_dies(self, event: Event) -> None:
        world, name = self._world, self._station(event).name
        await self._process_dies(event, lambda: world.collectors[name].machine, lambda: world.start_collector(name))

    async def _process_dies(self, event: Event, machine: Callable[[], Machine], start: Callable[[], None]) -> None:
        """At some await point soon, or all at once with its power; and it comes back."""
        is_power_cut = event.trouble in (Trouble.NODE_POWER_CUT, Trouble.COLLECTOR_POWER_CUT)
        if not is_power_cut:
            machine().doom(event.steps)
            await asyncio.sleep(min(_LOOK_S, event.lasts_s / 2))
        machine().kill(told=not is_power_cut)
        await asyncio.sleep(event.lasts_s / 2)
        if not machine().alive:
            start()

    async def _node_freezes(self, event: Event) -> None:
        """Half of the time when a session is over and not stored yet, and until another node may have the meter."""
        world, host, lasts_s = self._world, self._node(event), event.lasts_s
        if event.how < _HALF:
            await world.wire.next_end(world.nodes[host].machine, self._spare_s(event))
            lasts_s = max(lasts_s, _OUTLASTS_LEASES_S)
        world.nodes[host].machine.freeze(world.loop.time() + lasts_s)
        await asyncio.sleep(lasts_s)

    async def _broker_dies(self, event: Event) -> None:
        world = self._world
        if world.broker.machine is not None:
            world.broker.machine.kill(told=True)
        await asyncio.sleep(event.lasts_s)
        if world.broker.machine is None or not world.broker.machine.alive:
            world.start_broker()

    async def _meter_restarts(self, event: Event) -> None:
        one, field = self._meter(event), self._world.field
        field.switch_off(one.site)
        if event.trouble is Trouble.METER_FORGETS:
            field.lose_counters(one)
            self._world.forgetful.add(one.meter_id)
        await asyncio.sleep(event.lasts_s)
        if not one.site.is_on:
            field.switch_on(one.site)

    # ------------------------------------------------------------------ what somebody does
    async def _technician_comes(self, event: Event) -> None:
        self._world.field.visit(self._meter(event), self._world.clock.now())

    async def _pushes_are_replayed(self, event: Event) -> None:
        await self._as_attacker(replay_pushes(self._world.wire, event.how))

    async def _session_is_replayed(self, event: Event) -> None:
        world, one = self._world, self._site(event).first
        forgot = one.meter_id in world.forgetful
        await self._as_attacker(replay_session(one, world.wire, world.witness, forgot=forgot))

    async def _read_now(self, event: Event) -> None:
        """On-demand jobs and made-up stretches for some meters, by whichever node takes the call."""
        world, chance = self._world, Random(event.whom)
        now = world.clock.now()
        some = chance.sample(world.field.meters, min(_SOME_MAX, len(world.field.meters)))
        span = TimeSpan(now - timedelta(hours=2), now - timedelta(hours=1)) if event.how < _HALF else None
        requests = [
            JobRequest(
                one.meter_id, JobKind.PROFILES, Priority.ON_DEMAND, now,
                f"campaign/{event.at_s}/{one.meter_id}", deadline=now + timedelta(minutes=50), span=span,
            )
            for one in some
        ]  # fmt: skip
        with suppress(AmityError):
            world.ot.jobs.enqueue(requests, now)

    async def _as_attacker(self, work: Coroutine[Any, Any, None]) -> None:
        world = self._world
        machine = Machine("attacker", ATTACKER_HOST, MachineClock(world.clock), world.witness)
        world.network.machines[ATTACKER_HOST] = machine
        with suppress(OSError):
            await machine.start(work)

    # ------------------------------------------------------------------ when and whom
    def _spare_s(self, event: Event) -> float:
        """How long it may wait for the worst moment and still be over in time."""
        return max(self._world.settings.span.total_seconds() - event.at_s - event.lasts_s, 0.0)

    def _node(self, event: Event) -> str:
        hosts = self._world.node_hosts
        return hosts[int(event.whom * len(hosts))]

    def _station(self, event: Event) -> Station:
        stations = list(self._world.stations.values())
        return stations[int(event.whom * len(stations))]

    def _meter(self, event: Event) -> FieldMeter:
        meters = self._world.field.meters
        return meters[int(event.whom * len(meters))]

    def _site(self, event: Event) -> Site:
        sites = self._world.field.sites
        return sites[int(event.whom * len(sites))]
