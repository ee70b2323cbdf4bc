"""A collector as a process: push port, store, forwarder and a link to every node, joined as `amity.runtime` does.

The link has no TLS here: what stands between the parties is the simulated WAN, and who calls is told by its address.
"""

import asyncio
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

from amity.collector.confirmations import Confirmations
from amity.collector.forwarder import Forwarder
from amity.collector.headend_link import HeadendLink, keep_linked
from amity.collector.meter_channels import ChannelLimits, MeterChannels
from amity.collector.quality import MeterLines
from amity.collector.urgency import UrgencyRules
from amity.kernel.errors import StorageError, TransportError
from amity.protocols.relay.messages import VERSION, Hello
from amity.simulation.campaign.disk import DiskState, Workshop, Zone
from amity.simulation.campaign.machine import Machine, SimulatedDisk
from amity.simulation.campaign.overtaking import WatchedPeer
from amity.simulation.campaign.push_evidence import PushEvidence, WatchedIntake, WatchedPushStore
from amity.simulation.campaign.settings import PORT
from amity.simulation.chance import stream
from amity.simulation.network.presets import preset
from amity.storage.collector.pushes import SqlPushStore
from amity.transports.caller_listener import CallerListener
from amity.transports.collector_calls import RULES, CallersHere, CollectorDesk
from amity.transports.collector_ways import CollectorWays
from amity.transports.relay_peer import PeerRules, RelayPeer
from amity.transports.udp_push_listener import UdpPushListener

if TYPE_CHECKING:
    from amity.simulation.campaign.nodes import Utility

RELAY_PORT: Final = 4070
PEER_RULES: Final = PeerRules(ping_every_s=30.0)
_DIAL_TIMEOUT_S: Final = 30.0
_STARTS_AGAIN_S: Final = 5.0
_LOSS_OF_DATAGRAMS: Final = 0.01


@dataclass(frozen=True, slots=True)
class Station:
    """What a collector is from one life to the next: its name, host and disk, the nodes that it knows, its links.

    `wan` and `nan` are presets: how it reaches the nodes, and the meters around it. Its store has `store_octets`.
    """

    name: str
    host: str
    zone: Zone
    disk: DiskState
    nodes: tuple[str, ...]
    wan: str
    nan: str
    store_octets: int

    @property
    def loses_datagrams(self) -> bool:
        """True where a session in datagrams, which nobody sends again, would hardly ever come to its end."""
        return preset(self.nan).loss >= _LOSS_OF_DATAGRAMS

    def store(self, workshop: Workshop) -> SqlPushStore:
        """Its pushes on its disk as the judge sees them."""
        return SqlPushStore(workshop.engine(self.zone), self.store_octets)

    def watched_store(self, workshop: Workshop, machine: Machine, evidence: PushEvidence) -> SqlPushStore:
        """The same, and `evidence` is told what it commits."""
        return WatchedPushStore(workshop.engine(self.zone, machine, self.disk), self.store_octets, self.name, evidence)


class CollectorNode:
    """One life of a collector."""

    def __init__(self, machine: Machine, station: Station, utility: "Utility", number: int) -> None:
        self.machine = machine
        self._station = station
        self._utility = utility
        self._chance = Random(stream(utility.settings.seed, machine.name, number))
        self._disk = SimulatedDisk(machine, self._chance, lambda: station.disk.slowness)
        self._ways = CollectorWays(lambda _host: True, (), ())
        self._lines = MeterLines()
        self.parts: tuple[object, ...] = ()

    async def run(self) -> None:
        """Work until the process ends."""
        store = await self._opened()
        confirmations = Confirmations(asyncio.get_running_loop().time)
        forwarder = self._utility.parts.forwarder(store, self._disk, confirmations)
        intake = WatchedIntake(
            store, self._disk, self.machine.clock, self._chance.randbytes, confirmations, rules=UrgencyRules(),
            on_kept=forwarder.wake, evidence=self._utility.evidence,
        )  # fmt: skip
        self.parts = (forwarder, intake, self._lines)
        desk = CollectorDesk(intake, CallersHere())
        await CallerListener(desk, rules=RULES).start(self.machine.host, PORT)
        await UdpPushListener(desk.take_datagram, desk.garbled_datagram).start(self.machine.host, PORT)
        forwarder.wake()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(intake.run())
            tasks.create_task(forwarder.run())
            for host in self._station.nodes:
                tasks.create_task(self._keep_linked(host, store, forwarder))

    async def _opened(self) -> SqlPushStore:
        """A process that cannot open its store ends, and its service manager starts it again."""
        station, utility = self._station, self._utility

        def opened() -> SqlPushStore:
            return station.watched_store(utility.workshop, self.machine, utility.evidence)

        while True:
            try:
                return await self._disk(opened)
            except StorageError:
                await asyncio.sleep(_STARTS_AGAIN_S)

    async def _keep_linked(self, host: str, store: SqlPushStore, forwarder: Forwarder) -> None:
        async def dial() -> HeadendLink:
            held = await self._disk(store.held)
            peer = WatchedPeer(PEER_RULES, host, self._station.name, self._utility.evidence.overtaking)
            transport = await _connected(peer, host)
            channels = MeterChannels(peer, self._ways, ChannelLimits(), self._lines)
            link = HeadendLink(peer, channels, forwarder, Hello(VERSION, "campaign", held.alarms + held.bulk))
            peer.begin(transport, link)
            return link

        await keep_linked(dial, lambda _link, _reason: None, self._chance.random)


async def _connected(peer: RelayPeer, host: str) -> asyncio.Transport:
    try:
        async with asyncio.timeout(_DIAL_TIMEOUT_S):
            transport, _ = await asyncio.get_running_loop().create_connection(lambda: peer, host, RELAY_PORT)
    except OSError as error:  # TimeoutError is one
        raise TransportError(f"no link to {host}") from error
    return transport
