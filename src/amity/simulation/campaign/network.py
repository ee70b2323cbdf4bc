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
from zlib import crc32

from amity.simulation.campaign.loop import CampaignLoop
from amity.simulation.campaign.machine import MACHINE, KilledError, Machine
from amity.simulation.campaign.witness import Witness
from amity.simulation.chance import stream

_EPHEMERAL: Final = 49_152
_TICK_S: Final = 1e-6  # what is sent later on a connection arrives later, be it by this much


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
    """Is told of connections and of what is sent on them."""

    def opened(self, client: Machine, host: str, line: object) -> None:
        """A connection (or datagram socket) towards a host is ready for use."""
        ...

    def closed(self, client: Machine, host: str, line: object) -> None:
        """The client is done with it."""
        ...

    def sent(self, sender: Machine, host: str, octets: bytes) -> None:
        """Octets were put on the line."""
        ...


class Network:
    """Hosts by address, the machine that runs on each now, and the conditions between them."""

    def __init__(self, loop: CampaignLoop, seed: int, witness: Witness, observer: Observer) -> None:
        self.loop = loop
        self.conditions = Conditions()
        self.machines: dict[str, Machine] = {}
        self.behind: dict[str, tuple[str, ...]] = {}
        self.witness = witness
        self.observer = observer
        self._seed = seed
        self._chances: dict[tuple[str, str], Random] = {}
        self._ports = _EPHEMERAL

    # ------------------------------------------------------------------ what the loop asks for
    async def connect(
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """A TCP connection; raise ConnectionRefusedError, or wait for ever where nothing passes."""
        client = MACHINE.get()
        host = self._served_by(host, port)
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
        if remote is not None:
            self.observer.opened(machine, remote[0], end)
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
        self.observer.opened(client, server.host, near)
        return near, near.protocol

    def _served_by(self, host: str, port: int) -> str:
        """Where a name stands for several hosts, the first that listens: what a load balancer does."""
        hosts = self.behind.get(host)
        if hosts is None:
            return host
        listening = (one for one in hosts if one in self.machines and (port, False) in self.machines[one].servers)
        return next(listening, hosts[0])

    async def travel(self, source: str, target: str) -> None:
        """One message without content goes over; for ever on its way where nothing passes."""
        await asyncio.sleep(self.delay_s(source, target))
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


class Listening:
    """What `create_server` gives."""

    def __init__(self, machine: Machine, host: str, port: int) -> None:
        self._machine = machine
        self._name = (host, port)

    @property
    def sockets(self) -> tuple["Listening", ...]:
        """Something that knows its name."""
        return (self,)

    def getsockname(self) -> tuple[str, int]:
        """Host and port."""
        return self._name

    def close(self) -> None:
        """Take no more connections."""
        self._machine.servers.pop((self._name[1], False), None)

    async def wait_closed(self) -> None:
        """Nothing is to be waited for."""


class StreamEnd(asyncio.Transport):
    """One end of a TCP connection."""

    def __init__(self, network: Network, machine: Machine, peer: tuple[str, int], *, opens: bool) -> None:
        super().__init__({"peername": peer})
        self.other: StreamEnd
        self.protocol: asyncio.BaseProtocol
        self.machine = machine
        self._network = network
        self._peer = peer
        self._opens = opens
        self._closing = False
        self._ended = False
        self._dead = False
        self._arrives_s = 0.0
        self._held: list[bytes] | None = None

    # ------------------------------------------------------------------ the transport
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send octets."""
        octets = bytes(data)
        if self._closing or not self.machine.alive or not octets:
            return
        self._network.observer.sent(self.machine, self._peer[0], octets)
        self._send(self.other.receive, octets)

    def write_eof(self) -> None:
        """Say that no more comes."""
        self._send(self.other.hear_the_end)

    def can_write_eof(self) -> bool:
        """TCP can."""
        return True

    def close(self) -> None:
        """Hang up; the other side hears of it."""
        if not self._closing:
            self._closing = True
            if self.machine.alive:
                self._send(self.other.hear_the_end)
            self._network.loop.call_soon(self._end, None)

    def abort(self) -> None:
        """Hang up at once."""
        self.close()

    def is_closing(self) -> bool:
        """True once it hangs up."""
        return self._closing

    def is_reading(self) -> bool:
        """True unless it is paused."""
        return self._held is None

    def pause_reading(self) -> None:
        """Keep what comes."""
        self._held = [] if self._held is None else self._held

    def resume_reading(self) -> None:
        """Hand out what was kept."""
        held, self._held = self._held or [], None
        for octets in held:
            self._network.loop.call_soon(self.receive, octets)

    def get_write_buffer_size(self) -> int:
        """Nothing waits at this end."""
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is told what comes."""
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell another one from now on."""
        self.protocol = protocol

    # ------------------------------------------------------------------ from the network
    def accepted(self, accept: Callable[[], asyncio.Protocol]) -> None:
        """A connection has come in."""
        self.protocol = accept()
        self.protocol.connection_made(self)

    def receive(self, octets: bytes) -> None:
        """Octets have come."""
        if self._closing or self._ended:
            return
        if self._held is not None:
            self._held.append(octets)
            return
        self._network.witness.note(self.machine.name, f"hears {len(octets)} {crc32(octets):08x} of {self._peer[0]}")
        if isinstance(self.protocol, asyncio.Protocol):
            self.protocol.data_received(octets)

    def hear_the_end(self) -> None:
        """The other side sends no more."""
        if not self._ended and not (isinstance(self.protocol, asyncio.Protocol) and self.protocol.eof_received()):
            self.close()

    def reset(self) -> None:
        """The other side's process has died."""
        self._end(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))

    def cut(self, *, told: bool) -> None:
        """This machine is gone."""
        if told and not self._closing:
            self._send(self.other.reset)
        self._end(None)

    # ------------------------------------------------------------------
    def _send(self, work: Callable[..., None], *octets: bytes) -> None:
        """In order behind what was sent before; never, once the line is dead."""
        network, source, target = self._network, self.machine.host, self._peer[0]
        if self._dead:
            return
        cut = network.is_cut(source, target)
        if cut or network.chance(source, target).random() < network.conditions.stalls:
            self._dead = True
            network.witness.note(self.machine.name, f"line to {target} is dead")
            return
        self._arrives_s = max(self._arrives_s + _TICK_S, network.loop.time() + network.delay_s(source, target))
        network.call(self.other.machine, self._arrives_s, work, *octets)

    def _end(self, error: Exception | None) -> None:
        if self._ended:
            return
        self._closing = self._ended = True
        self.machine.lines.pop(self, None)
        if self._opens:
            self._network.observer.closed(self.machine, self._peer[0], self)
        protocol = getattr(self, "protocol", None)
        if protocol is not None:
            protocol.connection_lost(error)


class DatagramEnd(asyncio.DatagramTransport):
    """A UDP socket."""

    def __init__(
        self,
        network: Network,
        machine: Machine,
        port: int,
        remote: tuple[str, int] | None,
        protocol: asyncio.DatagramProtocol,
    ) -> None:
        super().__init__({"sockname": (machine.host, port), "peername": remote})
        self._network = network
        self.machine = machine
        self._port = port
        self._remote = remote
        self._protocol = protocol
        self._closing = False

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send a datagram: it may be lost, come twice, or later than the next."""
        target = addr or self._remote
        network, octets = self._network, bytes(data)
        if self._closing or target is None or not self.machine.alive:
            return
        source, host, conditions = self.machine.host, target[0], network.conditions
        network.observer.sent(self.machine, host, octets)
        chance = network.chance(source, host)
        times = 2 if chance.random() < conditions.doubled else 1
        for _ in range(times):
            if not network.is_cut(source, host) and chance.random() >= conditions.lost:
                machine = network.machines.get(host)
                if machine is not None:
                    when_s = network.loop.time() + network.delay_s(source, host)
                    network.call(machine, when_s, self._arrive, machine, target[1], octets)

    def close(self) -> None:
        """Give the port back."""
        if not self._closing:
            self._closing = True
            self._network.loop.call_soon(self._end)

    def abort(self) -> None:
        """The same."""
        self.close()

    def is_closing(self) -> bool:
        """True once it is closed."""
        return self._closing

    def cut(self, *, told: bool) -> None:
        """This machine is gone; nobody is ever told so in datagrams."""
        del told
        self._closing = True
        self._end()

    def _arrive(self, machine: Machine, port: int, octets: bytes) -> None:
        end = machine.servers.get((port, True))
        if isinstance(end, DatagramEnd) and not end.is_closing():
            self._network.witness.note(machine.name, f"hears datagram {len(octets)} {crc32(octets):08x}")
            end.deliver(octets, (self.machine.host, self._port))

    def deliver(self, octets: bytes, source: tuple[str, int]) -> None:
        """A datagram has come; a connected socket hears its peer alone."""
        if self._remote is None or self._remote == source:
            self._protocol.datagram_received(octets, source)

    def _end(self) -> None:
        if self.machine.lines.pop(self, self) is None:
            self.machine.servers.pop((self._port, True), None)
            if self._remote is not None:
                self._network.observer.closed(self.machine, self._remote[0], self)
            self._protocol.connection_lost(None)
