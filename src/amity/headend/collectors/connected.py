"""One collector on the line: admitted or parked, its channels, what it forwards, how its link does."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from amity.headend.calls.callers import HeardBy
from amity.headend.collectors.channel import RelayedChannel
from amity.headend.collectors.failures import CollectorNotConnectedError
from amity.headend.collectors.ports import (
    Admission,
    CollectorBook,
    ForwardedPushes,
    Presented,
    TakeForwarded,
)
from amity.headend.collectors.report import Report, read_report
from amity.headend.ports import Disk
from amity.kernel.errors import AmityError, StorageError, TransportError
from amity.kernel.time import Clock, epoch_s, from_epoch_s
from amity.protocols.relay.assembly import Arrived
from amity.protocols.relay.errors import RelayError
from amity.protocols.relay.link import Traffic
from amity.protocols.relay.messages import (
    VERSION,
    CalledIn,
    Confirmed,
    Hello,
    Kept,
    Message,
    Push,
    Quality,
    Refused,
    Welcome,
)
from amity.protocols.relay.peer import Peer
from amity.protocols.relay.scheduler import CONTROL, FIRST_CHANNEL
from amity.protocols.wrapper.frame import WrapperError, decode_datagram

_TAKEN_TOGETHER_MAX: Final = 64
_DISK_RETRY_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class CollectorRules:
    """Channels at once through one collector; how often its admission is looked up and its quality written down.

    A caller says hello within `hello_within_s`, or is cut off.
    """

    channels_max: int = 64
    look_every_s: float = 10.0
    hello_within_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Office:
    """What all collectors of a node share; `called_in` is told of a collector and a name said on a line there."""

    node: str
    book: CollectorBook
    forwarded: ForwardedPushes
    take: TakeForwarded
    clock: Clock
    disk: Disk
    rules: CollectorRules = CollectorRules()
    called_in: Callable[[str, str], None] = lambda _collector, _name: None


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
        self.report = Report()
        self._hello: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._serve())
        self.presented = presented
        self.admitted = False
        self.gone = False
        self.taken = 0
        self.unreadable = 0
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
    def channels(self) -> int:
        """Meters that are being read through it."""
        return len(self._channels)

    @property
    def traffic(self) -> Traffic:
        """Octets since it connected."""
        return self._peer.traffic

    @property
    def rtt_s(self) -> float | None:
        """From here to it and back, smoothed; None before it was measured."""
        return self._peer.rtt_s

    @property
    def quality(self) -> dict[str, Any]:
        """What the collector last told, with what is measured here."""
        traffic, rtt_s = self.traffic, self.rtt_s
        return {
            **self.report.document(),
            "rtt_ms": None if rtt_s is None else round(rtt_s * 1000),
            "ratio": None if traffic.ratio is None else round(traffic.ratio, 2),
            "octets_in": traffic.packed_in,
            "octets_out": traffic.packed_out,
            "channels": self.channels,
            "pushes_taken": self.taken,
            "unreadable": self.unreadable,
        }

    # -------------------------------------------------------------- called by the link
    def received(self, arrived: Arrived, message: Message) -> None:
        """A message of the collector: before it is admitted its hello, and nothing else."""
        if arrived.stream >= FIRST_CHANNEL:
            channel = self._channels.get(arrived.stream)
            if channel is not None:
                channel.received(arrived, message)
            return
        match message:
            case Hello(version) if not self._hello.done():
                self._hello.set_result(version)
            case Push() if self.admitted and arrived.stream != CONTROL:
                self._pushes.put_nowait((arrived, message))
            case CalledIn(name) if self.admitted:
                self._office.called_in(self.presented.name, name)
            case Quality(document) if self.admitted:
                self._reported(document)
            case _:
                raise RelayError(f"a collector says {type(message).__name__} where it has no place")

    def lost(self) -> None:
        """The connection has ended."""
        self.gone = True
        for channel in tuple(self._channels.values()):
            channel.lost()
        self._task.cancel()
        self._on_change(self)

    def _reported(self, document: str) -> None:
        """What is no report costs a collector nothing but that: the pushes that it holds are worth more."""
        report = read_report(document)
        if report is None:
            self.unreadable += 1
        else:
            self.report = report

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
        except* AmityError as errors:  # it does not take what we say, or the disk fails
            self.last_error = next(error for error in errors.exceptions if isinstance(error, AmityError))
        except* TimeoutError:
            pass  # it never said hello
        finally:
            self._peer.close()
            if self.admitted:
                await self._note("")

    async def _admit(self) -> None:
        """It serves once a person accepted it and it has said hello: what is asked of it before, it does not take.

        One of which nobody has decided stays connected to nothing: it is told, and comes again later.
        """
        office, presented = self._office, self.presented
        admission = await office.disk(lambda: office.book.seen(presented, office.clock.now()))
        if admission is not Admission.ACCEPTED:
            self._refuse(f"{presented.name} is {admission} at the head-end")
            return
        async with asyncio.timeout(office.rules.hello_within_s):
            version = await self._hello
        if version != VERSION:
            self._refuse(f"this head-end speaks version {VERSION} of the relay protocol")
            return
        self.admitted = True
        self._peer.send(CONTROL, Welcome())
        self._on_change(self)

    def _refuse(self, reason: str) -> None:
        self._peer.send(CONTROL, Refused(reason))
        self._peer.close()

    async def _look_for_ever(self) -> None:
        """Write down how it does, and cut it off once a person decides so."""
        office, presented = self._office, self.presented
        while True:
            await self._note(office.node)
            with suppress(StorageError):  # told by whoever reads and delivers; the link stands
                admission = await office.disk(lambda: office.book.seen(presented, office.clock.now()))
                if admission is not Admission.ACCEPTED:
                    self._refuse(f"{presented.name} is {admission} at the head-end")
            await asyncio.sleep(office.rules.look_every_s)

    async def _note(self, node: str) -> None:
        office, quality = self._office, json.dumps(self.quality)
        with suppress(StorageError):
            await office.disk(lambda: office.book.report(self.presented, node, quality, office.clock.now()))

    async def _take_for_ever(self) -> None:
        while True:
            together = [await self._pushes.get()]
            while len(together) < _TAKEN_TOGETHER_MAX and not self._pushes.empty():
                together.append(self._pushes.get_nowait())
            answers = await asyncio.gather(*(self._take_until_kept(push) for _, push in together))
            for (arrived, push), answer in zip(together, answers, strict=True):
                self._peer.consumed(arrived)
                if answer is not None:
                    self._peer.send(CONTROL, Confirmed(push.number, answer))
            self._peer.send(CONTROL, Kept(tuple(push.push_id for _, push in together)))

    async def _take_until_kept(self, push: Push) -> bytes | None:
        """On a disk that fails it is tried again: the collector keeps it, and what follows waits with it."""
        while True:
            try:
                answer = await self._take(push)
            except WrapperError:
                return None  # a collector cuts frames: what it forwards instead is of no use a second time either
            except StorageError as error:
                self.last_error = error
                await asyncio.sleep(_DISK_RETRY_S)
            else:
                self.last_error = None
                return answer

    async def _take(self, push: Push) -> bytes | None:
        """Return when the collector may delete it, with what its meter waits to hear.

        An instant that is still to come, or beyond every calendar, is that of a broken clock: it is taken for now.
        """
        office, push_id, now = self._office, push.push_id.hex(), self._office.clock.now()
        if await office.disk(lambda: office.forwarded.known(push_id)):
            return None
        frame, heard_at = decode_datagram(push.frame), from_epoch_s(min(push.at_ms // 1000, epoch_s(now)))
        first = partial(office.forwarded.first, push_id, now)
        caller = HeardBy(self.presented.name, push.peer)
        answer = await office.take(frame, caller, heard_at, first, is_awaited=push.is_awaited)
        self.taken += 1
        return answer


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
