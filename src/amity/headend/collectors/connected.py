"""One collector on the line: admitted or parked, its channels, what it forwards, how its link does."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from amity.headend.callers import HeardBy
from amity.headend.collectors.channel import RelayedChannel
from amity.headend.collectors.failures import CollectorNotConnectedError
from amity.headend.collectors.ports import (
    Admission,
    CollectorBook,
    ForwardedPushes,
    Presented,
    TakeForwarded,
)
from amity.headend.ports import Disk
from amity.kernel.errors import AmityError, StorageError, TransportError
from amity.kernel.time import Clock, from_epoch_s
from amity.protocols.relay.assembly import Arrived
from amity.protocols.relay.errors import RelayError
from amity.protocols.relay.messages import VERSION, Hello, Kept, Message, Push, Quality, Refused, Welcome
from amity.protocols.relay.peer import Peer
from amity.protocols.relay.scheduler import CONTROL, FIRST_CHANNEL
from amity.protocols.wrapper.frame import WrapperError, decode_datagram

QUALITY_OCTETS_MAX: Final = 64 * 1024
_TAKEN_TOGETHER_MAX: Final = 64
_DISK_RETRY_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class CollectorRules:
    """Channels at once through one collector; how often its admission is looked up and its quality written down."""

    channels_max: int = 64
    look_every_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Office:
    """What all collectors of a node share."""

    node: str
    book: CollectorBook
    forwarded: ForwardedPushes
    take: TakeForwarded
    clock: Clock
    disk: Disk
    rules: CollectorRules = CollectorRules()


class ConnectedCollector:
    """Implements `protocols.relay.peer.Listener` for one connection, from its certificate until it is lost."""

    def __init__(
        self, peer: Peer, presented: Presented, office: Office, on_change: Callable[["ConnectedCollector"], None]
    ) -> None:
        self._peer = peer
        self._office = office
        self._on_change = on_change
        self._channels: dict[int, RelayedChannel] = {}
        self._pushes: asyncio.Queue[tuple[Arrived, Push]] = asyncio.Queue()
        self._reported: dict[str, Any] = {}
        self._said_hello = False
        self._task = asyncio.create_task(self._serve())
        self.presented = presented
        self.admitted = False
        self.gone = False
        self.taken = 0
        self.last_error: AmityError | None = None

    # -------------------------------------------------------------- the way to meters
    async def open(self, route: str, client: int, server: int, timeout_s: float) -> RelayedChannel:
        """A channel to a meter through this collector; raise as `RelayedChannel.open` does."""
        if len(self._channels) >= self._office.rules.channels_max:
            raise TransportError(
                "Collector Busy",
                tried=f"one more meter through collector {self.presented.name}",
                answer=f"{len(self._channels)} are being read",
                next_step="limit sessions per collector in schedules.toml (throttle)",
            )
        if self.gone or not self.admitted:
            raise CollectorNotConnectedError(self.presented.name)
        stream = self._peer.open_stream()
        channel = self._channels[stream] = _Tracked(self.presented.name, self._peer, stream, self._channels)
        try:
            await channel.open(route, client, server, timeout_s)
        except BaseException:
            await channel.close()
            raise
        return channel

    def close(self) -> None:
        """Cut the connection."""
        self._peer.close()

    @property
    def quality(self) -> dict[str, Any]:
        """What the collector last told, with what is measured here."""
        traffic, rtt_s = self._peer.traffic, self._peer.rtt_s
        return {
            **self._reported,
            "rtt_ms": None if rtt_s is None else round(rtt_s * 1000),
            "ratio": None if traffic.ratio is None else round(traffic.ratio, 2),
            "octets_in": traffic.packed_in,
            "octets_out": traffic.packed_out,
            "channels": len(self._channels),
            "pushes_taken": self.taken,
        }

    # -------------------------------------------------------------- called by the link
    def received(self, arrived: Arrived, message: Message) -> None:
        """A message of the collector."""
        if arrived.stream >= FIRST_CHANNEL:
            channel = self._channels.get(arrived.stream)
            if channel is not None:
                channel.received(arrived, message)
            return
        match message:
            case Hello(version) if not self._said_hello:
                self._said_hello = True
                self._greet(version)
            case Push() if self.admitted and arrived.stream != CONTROL:
                self._pushes.put_nowait((arrived, message))
            case Quality(document):
                self._reported = _report(document)
            case _:
                raise RelayError(f"a collector says {type(message).__name__} where it has no place")

    def lost(self) -> None:
        """The connection has ended."""
        self.gone = True
        for channel in tuple(self._channels.values()):
            channel.lost()
        self._task.cancel()
        self._on_change(self)

    def _greet(self, version: int) -> None:
        if version != VERSION:
            self._peer.send(CONTROL, Refused(f"this head-end speaks version {VERSION} of the relay protocol"))
            self._peer.close()
        elif self.admitted:
            self._peer.send(CONTROL, Welcome())

    # -------------------------------------------------------------- work
    async def over(self) -> None:
        """Return when the connection has ended and that is written down."""
        await asyncio.gather(self._task, return_exceptions=True)

    async def _serve(self) -> None:
        try:
            await self._admit()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._look_for_ever())
                tasks.create_task(self._take_for_ever())
        except StorageError as error:
            self.last_error = error
        finally:
            self._peer.close()
            if self.admitted:
                await self._report("")

    async def _admit(self) -> None:
        """A collector of which nobody has decided stays connected to nothing: it is told, and comes again later."""
        office, presented = self._office, self.presented
        admission = await office.disk(lambda: office.book.seen(presented, office.clock.now()))
        if admission is not Admission.ACCEPTED:
            self._peer.send(CONTROL, Refused(f"{presented.name} is {admission} at the head-end"))
            self._peer.close()
            return
        self.admitted = True
        self._on_change(self)
        if self._said_hello:
            self._peer.send(CONTROL, Welcome())

    async def _look_for_ever(self) -> None:
        """Write down how it does, and cut it off once a person decides so."""
        office, presented = self._office, self.presented
        while True:
            await self._report(office.node)
            with suppress(StorageError):  # told by whoever reads and delivers; the link stands
                admission = await office.disk(lambda: office.book.seen(presented, office.clock.now()))
                if admission is not Admission.ACCEPTED:
                    self._peer.send(CONTROL, Refused(f"{presented.name} is {admission} at the head-end"))
                    self._peer.close()
            await asyncio.sleep(office.rules.look_every_s)

    async def _report(self, node: str) -> None:
        office, quality = self._office, json.dumps(self.quality)
        with suppress(StorageError):
            await office.disk(lambda: office.book.report(self.presented, node, quality, office.clock.now()))

    async def _take_for_ever(self) -> None:
        while True:
            together = [await self._pushes.get()]
            while len(together) < _TAKEN_TOGETHER_MAX and not self._pushes.empty():
                together.append(self._pushes.get_nowait())
            await asyncio.gather(*(self._take_until_kept(push) for _, push in together))
            for arrived, _ in together:
                self._peer.consumed(arrived)
            self._peer.send(CONTROL, Kept(tuple(push.push_id for _, push in together)))

    async def _take_until_kept(self, push: Push) -> None:
        """On a disk that fails it is tried again: the collector keeps it, and what follows waits with it."""
        kept = await self._take(push)
        while not kept:
            await asyncio.sleep(_DISK_RETRY_S)
            kept = await self._take(push)

    async def _take(self, push: Push) -> bool:
        """True when the collector may delete it."""
        office, push_id = self._office, push.push_id.hex()
        try:
            if await office.disk(lambda: office.forwarded.known(push_id)):
                return True
            frame = decode_datagram(push.frame)
            heard_at = from_epoch_s(push.at_ms // 1000)
            first = office.forwarded.first(push_id, office.clock.now())
            await office.take(frame, HeardBy(self.presented.name, push.peer), heard_at, first)
        except WrapperError:
            return True  # a collector cuts frames: what it forwards instead is of no use a second time either
        except StorageError as error:
            self.last_error = error
            return False
        self.last_error = None
        self.taken += 1
        return True


class _Tracked(RelayedChannel):
    """A channel that leaves the list when it is closed."""

    __slots__ = ("_channels",)

    def __init__(self, name: str, peer: Peer, stream: int, channels: dict[int, RelayedChannel]) -> None:
        super().__init__(name, peer, stream)
        self._channels = channels

    async def close(self) -> None:
        """Give the way up."""
        if self._channels.pop(self._stream, None) is not None:
            await super().close()


def _report(document: str) -> dict[str, Any]:
    """What a collector tells of itself; raise RelayError for what is no report."""
    try:
        report = json.loads(document) if len(document) <= QUALITY_OCTETS_MAX else None
    except (ValueError, RecursionError):
        report = None
    if not isinstance(report, dict):
        raise RelayError("a collector's quality report is no JSON object", answer=document[:40])
    return report
