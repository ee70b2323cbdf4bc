"""Pushes in UDP datagrams, one wrapper frame in each: a bounded queue, with room for every sender in it."""

import asyncio
import socket
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, cast

from amity.devices.notification_intake import NotificationIntake
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms.apdu import CipherTag, EventNotification, GeneralBlockTransfer
from amity.protocols.wrapper.frame import HEADER_OCTETS, Frame, decode_datagram, encode
from amity.transports.meter_listener import cannot_listen

_EVENTS: Final = frozenset(bytes([tag]) for tag in (EventNotification.TAG, CipherTag.GLO_EVENT_NOTIFICATION))
_BUFFER_OCTETS: Final = 8 << 20
_BLOCKS: Final = bytes([GeneralBlockTransfer.TAG])

Address = tuple[str, int]
TakeDatagram = Callable[[Frame, str], Awaitable[bytes | None]]
"""Takes a notification that came from an address; gives the confirmation that goes back, if one is wanted."""
Garbled = Callable[[str, bytes, RemoteProtocolError], None]


@dataclass(frozen=True, slots=True)
class DatagramRules:
    """Datagrams that wait, in all and of one address; how many are worked on at once; senders in midst of blocks.

    A datagram of `urgent_octets_max` or less goes first: under ciphering an event looks like any other push, but it is
    small. That is a matter of order only, and not of belief.
    """

    waiting_max: int = 8192
    waiting_per_peer_max: int = 64
    at_once: int = 256
    in_blocks_max: int = 256
    apdu_octets_max: int = 16 * 1024
    urgent_octets_max: int = 96


class UdpPushListener(asyncio.DatagramProtocol):
    """Takes datagrams from `start` until `close`; `dropped` counts those that found no room."""

    def __init__(
        self,
        take: TakeDatagram,
        garbled: Garbled,
        allows: Callable[[str], bool] = lambda _peer: True,
        rules: DatagramRules | None = None,
    ) -> None:
        self._take = take
        self._garbled = garbled
        self._allows = allows
        self._rules = rules or DatagramRules()
        self._waiting: deque[tuple[bytes, Address]] = deque()
        self._urgent: deque[tuple[bytes, Address]] = deque()
        self._waiting_of: Counter[str] = Counter()
        self._blocks: OrderedDict[Address, NotificationIntake] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None
        self.turned_away = 0
        self.turned_away_last = ""
        self.dropped = 0

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port (a free one for 0); raise TransportError when it cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        except OSError as error:
            raise cannot_listen("UDP", host, port, error) from error
        return 0 if self._transport is None else int(self._transport.get_extra_info("sockname")[1])

    async def close(self) -> None:
        """Stop listening; what waits is given up."""
        if self._transport is not None:
            self._transport.close()
        self._waiting.clear()
        self._urgent.clear()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -------------------------------------------------------------- called by the event loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, with room for a burst while the others are worked on."""
        self._transport = cast("asyncio.DatagramTransport", transport)  # in Python 3.11 not one by inheritance
        held: socket.socket | None = transport.get_extra_info("socket")
        if held is not None:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Let it wait, unless its sender or all together have too much waiting."""
        peer, rules = addr[0], self._rules
        if not self._allows(peer):
            self.turned_away += 1
            self.turned_away_last = peer
            return
        waiting = len(self._waiting) + len(self._urgent)
        if waiting >= rules.waiting_max or self._waiting_of[peer] >= rules.waiting_per_peer_max:
            self.dropped += 1
            return
        (self._urgent if self._is_urgent(data) else self._waiting).append((data, addr))
        self._waiting_of[peer] += 1
        self._begin()

    # -------------------------------------------------------------- work
    def _begin(self) -> None:
        if len(self._tasks) < self._rules.at_once:
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """What came after it had looked for the last time is another's."""
        self._tasks.discard(task)
        if self._urgent or self._waiting:
            self._begin()

    async def _work(self) -> None:
        while waiting := self._urgent or self._waiting:
            data, address = waiting.popleft()
            self._waiting_of[address[0]] -= 1
            if not self._waiting_of[address[0]]:
                del self._waiting_of[address[0]]
            await self._datagram(data, address)

    def _is_urgent(self, data: bytes) -> bool:
        return len(data) <= self._rules.urgent_octets_max or data[HEADER_OCTETS : HEADER_OCTETS + 1] in _EVENTS

    async def _datagram(self, data: bytes, address: Address) -> None:
        try:
            frame = decode_datagram(data)
            message = self._whole(frame, address)
        except RemoteProtocolError as error:
            self._garbled(address[0], data, error)
            return
        answer = None if message is None else await self._take(frame._replace(payload=message), address[0])
        if answer is not None:
            self._send(frame, answer, address)

    def _whole(self, frame: Frame, address: Address) -> bytes | None:
        """The notification, None when only a block of it came."""
        if frame.payload[:1] != _BLOCKS:
            return frame.payload
        intake = self._blocks.pop(address, None) or NotificationIntake(self._rules.apdu_octets_max)
        message, answers = intake.receive(frame.payload)
        for answer in answers:
            self._send(frame, answer, address)
        if message is None:
            self._blocks[address] = intake
            if len(self._blocks) > self._rules.in_blocks_max:
                self._blocks.popitem(last=False)
        return message

    def _send(self, frame: Frame, answer: bytes, address: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(encode(frame.destination, frame.source, answer), address)
