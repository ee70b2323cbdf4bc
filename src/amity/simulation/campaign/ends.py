"""The ends of simulated connections: transports as asyncio's protocols expect them, on a machine of a simulated world.

A line that is dead without a word is found out by both ends as TCP finds it when it is kept alive: nothing of the other
end is heard for too long.
"""

import asyncio
import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from amity.simulation.campaign.machine import Machine

if TYPE_CHECKING:
    from amity.simulation.campaign.network import Network

_TICK_S: Final = 1e-6  # what is sent later on a connection arrives later, be it by this much
_SILENCE_S: Final = 105.0  # what `transports.call` asks of the kernel: after a minute, three questions 15 s apart


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

    def __init__(self, network: "Network", machine: Machine, peer: tuple[str, int], *, opens: bool) -> None:
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
        self._network.observer.sent(self.machine, self._peer[0], octets, opened=self._opens)
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
        if not told:
            self.other.found_dead()
        elif not self._closing:
            self._send(self.other.reset)
        self._end(None)

    # ------------------------------------------------------------------
    def _send(self, work: Callable[..., None], *octets: bytes) -> None:
        """In order behind what was sent before; never, once the line is dead."""
        network, source, target = self._network, self.machine.host, self._peer[0]
        if self._dead:
            return
        cut, stalls = network.is_cut(source, target), network.conditions.stalls
        if cut or not self.other.machine.alive or network.chance(source, target).random() < stalls:
            self._dead = True
            network.witness.note(self.machine.name, f"line to {target} is dead")
            self.found_dead()
            self.other.found_dead()
            return
        arrives_s = network.arrives_s(source, target, sum(map(len, octets)))
        self._arrives_s = max(self._arrives_s + _TICK_S, arrives_s)
        network.call(self.other.machine, self._arrives_s, work, *octets)

    def found_dead(self) -> None:
        """Nothing comes any more on this line: it ends once that shows."""
        self._network.call(self.machine, self._network.loop.time() + _SILENCE_S, self._give_up)

    def _give_up(self) -> None:
        self._end(TimeoutError(errno.ETIMEDOUT, "Connection timed out"))

    def _end(self, error: Exception | None) -> None:
        if self._ended:
            return
        self._closing = self._ended = True
        self.machine.lines.pop(self, None)
        protocol = getattr(self, "protocol", None)
        if protocol is not None:
            protocol.connection_lost(error)


class DatagramEnd(asyncio.DatagramTransport):
    """A UDP socket."""

    def __init__(
        self,
        network: "Network",
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
        source, host = self.machine.host, network.served_by(target[0], (target[1], True))
        network.observer.sent(self.machine, host, octets, opened=self._remote is not None)
        times = 2 if network.chance(source, host).random() < network.conditions.doubled else 1
        for _ in range(times):
            when_s, machine = network.datagram_arrives_s(source, host, len(octets)), network.machines.get(host)
            if when_s is not None and machine is not None:
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
        """A datagram has come; a connected socket hears its peer alone, whatever host that name stands for."""
        if self._remote is None or self._is_peer(source):
            self._protocol.datagram_received(octets, source)

    def _is_peer(self, source: tuple[str, int]) -> bool:
        host, port = self._remote or source
        return port == source[1] and source[0] in (host, *self._network.behind.get(host, ()))

    def _end(self) -> None:
        if self.machine.lines.pop(self, self) is None:
            self.machine.servers.pop((self._port, True), None)
            self._protocol.connection_lost(None)
