"""A link without sockets: two protocols in one process, for virtual time, where a day must pass in a second."""

import asyncio
from collections import deque
from typing import Any

from amity.simulation.network.medium import Way, Ways

_HIGH_OCTETS = 8192


class MemoryTransport(asyncio.Transport):
    """One end: what is written arrives at the other protocol when the link lets it."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self._way = way
        self._loop = asyncio.get_running_loop()
        self._protocol: asyncio.Protocol | None = None
        self._other: MemoryTransport | None = None
        self._pieces: deque[bytes] = deque()
        self._under_way = 0
        self._is_paused = False
        self._is_over = False
        self._is_cut = False

    def join(self, protocol: asyncio.Protocol, other: "MemoryTransport") -> None:
        """Whose end this is, and which is the other end."""
        self._protocol = protocol
        self._other = other

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Nothing is known of it but its name."""
        return ("memory", 0) if name == "peername" else default

    def is_closing(self) -> bool:
        """True when it is over."""
        return self._is_over

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, in pieces of the link."""
        octets = bytes(data)
        for at in range(0, len(octets), self._way.frame_octets):
            piece = octets[at : at + self._way.frame_octets]
            self._under_way += len(piece)
            self._pieces.append(piece)  # timers of one instant have no order, the pieces have
            self._loop.call_at(self._way.of_stream(self._loop.time(), len(piece)), self._arrive)
        if self._under_way > _HIGH_OCTETS and not self._is_paused and self._protocol is not None:
            self._is_paused = True
            self._protocol.pause_writing()

    def close(self) -> None:
        """Both ends are over when what was sent has arrived."""
        if not self._is_over:
            self._is_over = True
            self._loop.call_at(self._way.of_stream(self._loop.time(), 0), self._end_both)

    def abort(self) -> None:
        """Both ends are over at once."""
        self._is_over = True
        self._loop.call_soon(self._end_both)

    def cut(self) -> None:
        """From now on nothing that is sent from here arrives, and nobody is told."""
        self._is_cut = True

    def _arrive(self) -> None:
        piece = self._pieces.popleft()
        self._under_way -= len(piece)
        other = self._other
        if not self._is_cut and other is not None and not other.is_closing() and other._protocol is not None:  # noqa: SLF001 - the other end of ourselves
            other._protocol.data_received(piece)  # noqa: SLF001
        if self._is_paused and self._under_way <= _HIGH_OCTETS // 2 and self._protocol is not None:
            self._is_paused = False
            self._protocol.resume_writing()

    def _end_both(self) -> None:
        for end in (self, self._other):
            if end is not None and end._protocol is not None:  # noqa: SLF001
                protocol, end._protocol = end._protocol, None  # noqa: SLF001
                end._is_over = True  # noqa: SLF001
                protocol.connection_lost(None)


def connect_in_memory(
    far: asyncio.Protocol, near: asyncio.Protocol, link: Ways
) -> tuple[MemoryTransport, MemoryTransport]:
    """Join two protocols by a link; `far` is on the side of the meters. Neither is told by `connection_made`."""
    ends = MemoryTransport(link.up), MemoryTransport(link.down)
    ends[0].join(far, ends[1])
    ends[1].join(near, ends[0])
    return ends
