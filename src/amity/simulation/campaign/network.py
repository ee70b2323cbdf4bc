"""The network of a simulated world: TCP streams that stall and close, datagrams that are lost, doubled and overtaken.

A stream keeps the order of its octets, as TCP does; what goes wrong with it is delay, a line that is dead without a
word, and a connection that is reset. Everything else happens to datagrams.
"""

import asyncio
import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple, Protocol

from amity.simulation.campaign.ends import DatagramEnd, Listening, StreamEnd
from amity.simulation.campaign.loop import CampaignLoop
from amity.simulation.campaign.machine import MACHINE, KilledError, Machine
from amity.simulation.campaign.witness import Witness
from amity.simulation.chance import stream
from amity.simulation.network.medium import Way

_EPHEMERAL: Final = 49_152
_HANDSHAKE_OCTETS: Final = 40
_SYN_PATIENCE_S: Final = 127.0  # Linux: six times again, each after twice as long


class Cut(NamedTuple):
    """Nothing passes between the hosts `inside` and those `outside`."""

    inside: frozenset[str]
    outside: frozenset[str]

    def parts(self, one: str, other: str) -> bool:
        """True for a pair of hosts with one on either side."""
        return (one in self.inside and other in self.outside) or (other in self.inside and one in self.outside)


@dataclass(slots=True)
class Conditions:
    """How the lines are at this moment: chances per message, delays in seconds, and who is cut off from whom."""

    delay_s: float = 0.04
    jitter_s: float = 0.08
    stalls: float = 0.0
    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    late_s: float = 8.0
    cuts: dict[str, Cut] = field(default_factory=dict)


class Observer(Protocol):
    """Is told of what is sent."""

    def sent(self, sender: Machine, host: str, octets: bytes, *, opened: bool) -> None:
        """Octets were put on the line; `opened`: on one that the sender opened himself."""
        ...


class Network:
    """Hosts by address, the machine that runs on each now, and the conditions between them.

    `links` are the ways from host to host that have a bandwidth, a latency and a loss of their own (WAN and NAN).
    `behind`: a name that stands for several hosts, of which the first that listens is called.
    """

    def __init__(self, loop: CampaignLoop, seed: int, witness: Witness, observer: Observer) -> None:
        self.loop = loop
        self.conditions = Conditions()
        self.machines: dict[str, Machine] = {}
        self.behind: dict[str, tuple[str, ...]] = {}
        self.links: dict[tuple[str, str], Way] = {}
        self.witness = witness
        self.observer = observer
        self._seed = seed
        self._chances: dict[tuple[str, str], Random] = {}
        self._ports = _EPHEMERAL

    # ------------------------------------------------------------------ what the loop asks for
    async def connect(
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """A TCP connection; raise ConnectionRefusedError, or TimeoutError where nothing passes."""
        client = MACHINE.get()
        host = self.served_by(host, (port, False))
        async with asyncio.timeout(_SYN_PATIENCE_S):
            await self.travel(client.host, host)
            machine = self.machines.get(host)
            if machine is None or not machine.host_is_up:
                await self._for_ever()
            await self.travel(host, client.host)
        accept = None if machine is None else machine.servers.get((port, False))
        if machine is None or accept is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        if not client.alive:
            raise KilledError(client.name)
        return self._joined(client, machine, factory, accept, port)

    def listen(self, factory: Callable[[], asyncio.Protocol], host: str, port: int) -> "Listening":
        """A TCP server of the machine that asks."""
        machine = MACHINE.get()
        if (port, False) in machine.servers:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        machine.servers[port, False] = factory
        return Listening(machine, host, port)

    def datagrams(
        self,
        factory: Callable[[], asyncio.DatagramProtocol],
        local: tuple[str, int] | None,
        remote: tuple[str, int] | None,
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """A UDP socket of the machine that asks, connected to `remote` if that is given."""
        machine = MACHINE.get()
        port = local[1] if local else self._fresh_port()
        protocol = factory()
        end = DatagramEnd(self, machine, port, remote, protocol)
        machine.servers[port, True] = end
        machine.lines[end] = None
        protocol.connection_made(end)
        return end, protocol

    # ------------------------------------------------------------------ for the ends
    def chance(self, source: str, target: str) -> Random:
        """The chance of one direction between two hosts: what happens elsewhere does not touch it."""
        found = self._chances.get((source, target))
        if found is None:
            found = self._chances[source, target] = Random(stream(self._seed, "line", source, target))
        return found

    def is_cut(self, one: str, other: str) -> bool:
        """True while nothing passes between two hosts."""
        return any(cut.parts(one, other) for cut in self.conditions.cuts.values())

    def delay_s(self, source: str, target: str) -> float:
        """How long the next message takes that is not lost."""
        conditions, chance = self.conditions, self.chance(source, target)
        delay_s = conditions.delay_s + conditions.jitter_s * chance.random()
        return delay_s + conditions.late_s * chance.random() if chance.random() < conditions.late else delay_s

    def arrives_s(self, source: str, target: str, octets: int) -> float:
        """When so much of a stream arrives that is sent now."""
        now_s, link = self.loop.time(), self.links.get((source, target))
        return now_s + self.delay_s(source, target) if link is None else link.of_stream(now_s, octets)

    def datagram_arrives_s(self, source: str, target: str, octets: int) -> float | None:
        """When a datagram arrives that is sent now, None when it never does."""
        now_s, link = self.loop.time(), self.links.get((source, target))
        if self.is_cut(source, target) or self.chance(source, target).random() < self.conditions.lost:
            return None
        return now_s + self.delay_s(source, target) if link is None else link.of_datagram(now_s, octets)

    def served_by(self, host: str, service: tuple[int, bool]) -> str:
        """Where a name stands for several hosts, the first that serves a port: what a load balancer does."""
        hosts = self.behind.get(host)
        if hosts is None:
            return host
        serving = (one for one in hosts if one in self.machines and service in self.machines[one].servers)
        return next(serving, hosts[0])

    def call(self, machine: Machine, when_s: float, work: Callable[..., None], *arguments: Any) -> None:
        """Have something happen on a machine, if it still lives then."""
        self.loop.call_at(when_s, _on, machine, work, arguments, context=machine.context)

    def _joined(
        self,
        client: Machine,
        server: Machine,
        factory: Callable[[], asyncio.Protocol],
        accept: Callable[[], asyncio.Protocol],
        port: int,
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        near = StreamEnd(self, client, (server.host, port), opens=True)
        far = StreamEnd(self, server, (client.host, self._fresh_port()), opens=False)
        near.other, far.other = far, near
        client.lines[near] = None
        server.lines[far] = None
        near.protocol = factory()
        near.protocol.connection_made(near)
        self.call(server, self.loop.time(), far.accepted, accept)
        self.witness.note(client.name, f"connected to {server.name}")
        return near, near.protocol

    async def travel(self, source: str, target: str) -> None:
        """One message without content goes over; for ever on its way where nothing passes."""
        await asyncio.sleep(self.arrives_s(source, target, _HANDSHAKE_OCTETS) - self.loop.time())
        if self.is_cut(source, target) or self.chance(source, target).random() < self.conditions.stalls:
            await self._for_ever()

    async def _for_ever(self) -> None:
        await self.loop.create_future()

    def _fresh_port(self) -> int:
        self._ports += 1
        return self._ports


def _on(machine: Machine, work: Callable[..., None], arguments: Iterable[Any]) -> None:
    if machine.alive:
        try:
            machine.step()
        except KilledError:
            return
        work(*arguments)
