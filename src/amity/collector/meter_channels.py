"""Channels that the head-end opens through us: each a task that asks its meter one thing after the other."""

import asyncio
from dataclasses import dataclass
from typing import Final

from amity.collector.ports import Channel, Ways
from amity.collector.quality import MeterLines
from amity.devices.client.conversation import Unanswered
from amity.kernel.errors import AmityError, TransportError
from amity.protocols.relay.assembly import Arrived
from amity.protocols.relay.errors import RelayError
from amity.protocols.relay.messages import Answer, Ask, Failed, FailureKind, Message, Notice, Open, Opened
from amity.protocols.relay.peer import Peer

_PATIENCE_MAX_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """Channels at once, and octets through one of them in both directions."""

    channels_max: int = 64
    channel_octets_max: int = 16 * 1024 * 1024


class BusyError(TransportError):
    """The collector does as much as it may."""


class MeterChannels:
    """All channels of one link."""

    def __init__(self, peer: Peer, ways: Ways, limits: ChannelLimits, lines: MeterLines) -> None:
        self._peer = peer
        self._ways = ways
        self._limits = limits
        self._lines = lines
        self._open: dict[int, _OneChannel] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._open)

    def received(self, arrived: Arrived, message: Message) -> None:
        """A message on a channel; raise RelayError for what has no place there."""
        channel = self._open.get(arrived.stream)
        if channel is None or not isinstance(message, Ask):
            raise RelayError(f"a head-end says {type(message).__name__} where it has no place")
        channel.asked.put_nowait((arrived, message))

    def close(self, stream: int) -> None:
        """The head-end is done with it."""
        channel = self._open.pop(stream, None)
        if channel is not None and channel.task is not None:
            channel.task.cancel()
        self._peer.forget(stream)

    async def close_all(self) -> None:
        """The link is gone: so are the associations over it."""
        for stream in tuple(self._open):
            self.close(stream)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def open(self, opening: Open) -> None:
        """The head-end wants one; whether it could be opened is told on it."""
        channel = _OneChannel(self._peer, opening.stream, self._ways, self._limits, self._lines)
        is_too_many = len(self._open) >= self._limits.channels_max
        self._open[opening.stream] = channel
        if is_too_many:
            channel.tell(FailureKind.BUSY, _busy(self._limits.channels_max))
            return
        channel.task = asyncio.create_task(channel.serve(opening))
        self._tasks.add(channel.task)
        channel.task.add_done_callback(self._tasks.discard)


class _OneChannel:
    """One of them, with what the head-end has asked and we have not done."""

    def __init__(self, peer: Peer, stream: int, ways: Ways, limits: ChannelLimits, lines: MeterLines) -> None:
        self._peer = peer
        self._stream = stream
        self._ways = ways
        self._octets_left = limits.channel_octets_max
        self._lines = lines
        self.asked: asyncio.Queue[tuple[Arrived, Ask]] = asyncio.Queue()  # bounded by the credit of the stream
        self.task: asyncio.Task[None] | None = None

    async def serve(self, opening: Open) -> None:
        """Open the way and go it until it fails or we are cancelled; what failed is told."""
        try:
            line = self._lines.line(self._ways.address(opening.route))
            channel = await self._ways.open(opening.route, opening.client, opening.server, _s(opening.timeout_ms))
        except AmityError as error:
            self.tell(self._ways.kind_of(error), error)
            return
        try:
            self._peer.send(self._stream, Opened())
            while True:
                arrived, ask = await self.asked.get()
                begun_s = asyncio.get_running_loop().time()
                try:
                    answer = await self._exchange(channel, ask)
                except AmityError:
                    line.failed()
                    raise
                line.answered(asyncio.get_running_loop().time() - begun_s)
                self._peer.consumed(arrived)
                if ask.is_answered:
                    self._peer.send(self._stream, Answer(answer))
        except AmityError as error:
            self.tell(self._ways.kind_of(error), error)
        finally:
            await channel.close()

    def tell(self, kind: FailureKind, error: AmityError) -> None:
        """What has failed, in the words it was met in."""
        told = Failed(kind, error.what, error.tried or "", error.answer or "", error.next_step or "")
        self._peer.send(self._stream, told)

    async def _exchange(self, channel: Channel, ask: Ask) -> bytes:
        apdu = ask.apdu if ask.is_answered else Unanswered(ask.apdu)
        answer = await channel.exchange(apdu, _s(ask.timeout_ms))
        self._octets_left -= len(apdu) + len(answer)
        if self._octets_left < 0:
            raise BusyError("one session brought more octets than this collector carries at once")
        while channel.unsolicited:
            self._peer.send(self._stream, Notice(channel.unsolicited.popleft()))
        return answer


def _busy(channels_max: int) -> BusyError:
    return BusyError("Collector Busy", answer=f"{channels_max} meters are being read", next_step="read fewer at once")


def _s(milliseconds: int) -> float:
    return min(milliseconds / 1000, _PATIENCE_MAX_S)
