"""Listens for meters that call in (wrapper over TCP); strangers are parked and counted, never believed."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from amity.devices.notification_intake import NotificationIntake
from amity.domain.collection import Delivery, Exchange, Outcome
from amity.headend.fitting import fitting
from amity.headend.message_id import identified
from amity.headend.ports import Endpoint, Progress, PushCounterStore, Saving
from amity.headend.push_readings import normalised_push
from amity.headend.push_senders import Opened, Senders, reason_of
from amity.headend.surroundings import Surroundings
from amity.headend.together import Together
from amity.kernel.errors import AmityError, RemoteProtocolError, StorageError, TransportError
from amity.protocols.wrapper.frame import Frame, Reader, encode

_CHUNK_OCTETS: Final = 4096


@dataclass(frozen=True, slots=True)
class PushRules:
    """Bounds against those who call in: connections at a time, silence, size of an APDU, pushes on one connection.

    One address may be a gateway with many meters behind it, but never takes all connections. A frame that has begun is
    whole within `frame_timeout_s`, however many octets keep coming.
    """

    connections_max: int = 512
    connections_per_peer_max: int = 128
    idle_timeout_s: float = 30.0
    frame_timeout_s: float = 10.0
    apdu_octets_max: int = 16 * 1024
    pushes_per_connection_max: int = 1000
    parked_max: int = 256


@dataclass(frozen=True, slots=True)
class Parked:
    """A push that was not believed, as it came."""

    at: datetime
    peer: str
    octets: bytes
    error: AmityError


class Parking:
    """The newest pushes that were not believed, and how many there were of each kind, since the start."""

    def __init__(self, size: int) -> None:
        self.newest: deque[Parked] = deque(maxlen=size)
        self.newest_of: dict[str, Parked] = {}
        self.counts: Counter[str] = Counter()

    def park(self, parked: Parked) -> None:
        """Keep it; the oldest makes room."""
        reason = reason_of(parked.error)
        self.newest.append(parked)
        self.newest_of[reason] = parked
        self.counts[reason] += 1


class PushListener:
    """Takes pushes in, from `start` until `close`; `taken` counts those that became deliveries.

    Callers whose address is not one that it `allows` are turned away before an octet of theirs is read.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        counters: PushCounterStore,
        rules: PushRules | None = None,
        allows: Callable[[str], bool] = lambda _peer: True,
    ) -> None:
        self._surroundings = surroundings
        self._rules = rules or PushRules()
        self._allows = allows
        self._senders = Senders(surroundings)
        self._counters = counters
        self._together = Together(surroundings.disk, counters.transaction, self._save_all)
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], str] = {}
        self.parking = Parking(self._rules.parked_max)
        self.taken = 0
        self.turned_away = 0
        self.turned_away_last = ""

    @property
    def parked(self) -> Mapping[str, int]:
        """Pushes that were not believed, by reason."""
        return dict(self.parking.counts)

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port (a free one for 0); raise TransportError when it cannot be had."""
        try:
            self._server = await asyncio.start_server(self._connected, host, port, limit=_CHUNK_OCTETS)
        except OSError as error:
            raise TransportError(
                f"cannot listen for pushes on {host}:{port}: {error.strerror or error}",
                next_step="choose another port for pushes or end the program that holds it",
            ) from error
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        peer = str((writer.get_extra_info("peername") or ("unknown",))[0])
        if task is None or not self._allows(peer) or self._too_many(peer):
            self.turned_away += 1
            self.turned_away_last = peer
            writer.close()
            return
        self._connections[task] = peer
        try:
            await self._serve(reader, writer, peer)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # silent for too long, gone, or we are closing: nothing is owed to a caller
        finally:
            del self._connections[task]
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _too_many(self, peer: str) -> bool:
        of_this_peer = sum(other == peer for other in self._connections.values())
        rules = self._rules
        return len(self._connections) >= rules.connections_max or of_this_peer >= rules.connections_per_peer_max

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        frames = Reader(self._rules.apdu_octets_max)
        intake = NotificationIntake(self._rules.apdu_octets_max)
        pushes, now = 0, asyncio.get_running_loop().time
        due = now() + self._rules.idle_timeout_s
        while pushes < self._rules.pushes_per_connection_max:
            async with asyncio.timeout_at(due):
                octets = await reader.read(_CHUNK_OCTETS)
            if not octets:
                return
            was_between_frames = not frames.pending_octets
            try:
                arrived = [(frame, *intake.receive(frame.payload)) for frame in frames.feed(octets)]
            except RemoteProtocolError as error:
                self.park(peer, octets, error)
                return
            for frame, message, answers in arrived:
                pushes += 1  # blocks of a long one count too: nobody sends them for ever
                for answer in answers:
                    writer.write(encode(frame.destination, frame.source, answer))
                opened = None if message is None else await self.take(frame._replace(payload=message), peer)
                if opened is not None:
                    await self._confirm(writer, frame, opened)
            if not frames.pending_octets:
                due = now() + self._rules.idle_timeout_s
            elif was_between_frames or arrived:
                due = now() + self._rules.frame_timeout_s

    async def take_from_session(self, endpoint: Endpoint, apdu: bytes) -> None:
        """Make a delivery of what a meter pushed in the midst of a session, or park it."""
        await self.take(Frame(endpoint.server, endpoint.client, apdu), endpoint.route.host)

    async def sender(self, title_or_name: bytes | str) -> Endpoint | None:
        """The meter of this system title or name, None when there is none in the fleet."""
        return await self._senders.find(title_or_name)

    async def confirmation(self, opened: Opened, frame: Frame) -> bytes | None:
        """What goes back to the sender of a push that was kept, None where he waits for nothing."""
        try:
            return await self._senders.confirmation(opened)
        except AmityError as error:
            self.park(opened.endpoint.meter_id, frame.payload, error)
            return None

    async def _confirm(self, writer: asyncio.StreamWriter, frame: Frame, opened: Opened) -> None:
        """Tell a meter that waits for it that its push is kept; one that hears nothing sends it again."""
        answer = await self.confirmation(opened, frame)
        if answer is not None:
            writer.write(encode(frame.destination, frame.source, answer))

    async def take(self, frame: Frame, peer: str) -> Opened | None:
        """Make a delivery of one frame, or park it; give what was taken."""
        try:
            return await self._take(frame, peer, self._surroundings.clock.now(), nullcontext())
        except StorageError as error:
            self.park(peer, encode(*frame), error)
            return None

    async def take_or_raise(self, frame: Frame, peer: str) -> Opened | None:
        """The same for what comes again when it is not kept: raise StorageError when the disk did not take it."""
        return await self._take(frame, peer, self._surroundings.clock.now(), nullcontext())

    async def take_forwarded(
        self, frame: Frame, peer: str, heard_at: datetime, within: AbstractContextManager[None]
    ) -> None:
        """Make a delivery of what a collector heard then and kept for us, stored within that transaction, or park it.

        `peer` is NAME/ADDRESS. Raise StorageError when the disk did not take it: it has to come again.
        """
        await self._take(frame, peer, min(heard_at, self._surroundings.clock.now()), within, late=True)

    async def _take(
        self, frame: Frame, peer: str, heard_at: datetime, within: AbstractContextManager[None], *, late: bool = False
    ) -> Opened | None:
        octets = encode(*frame)
        try:
            opened = await self._senders.open(frame.payload, peer)
            await self._deliver(self._delivery(opened, octets, heard_at), opened, within, late=late)
        except StorageError:
            raise
        except AmityError as error:
            self.park(peer, octets, error)
        except Exception as error:  # noqa: BLE001 - a defect that one push brings to light must not stop the others
            self.park(peer, octets, AmityError(f"a defect in Amity: {type(error).__name__}: {error}"))
        else:
            self.taken += 1
            return opened
        return None

    def _delivery(self, opened: Opened, octets: bytes, now: datetime) -> Delivery:
        surroundings, endpoint = self._surroundings, opened.endpoint
        mapping = surroundings.mappings.mapping
        profile = surroundings.profile_of(endpoint.profile)
        catalogue = surroundings.events.catalogue
        found = normalised_push(opened.notification, opened.readings, profile, mapping, now, catalogue)
        return identified(
            Delivery(
                message_id="",
                meter_id=endpoint.meter_id,
                session_id=f"{endpoint.meter_id}-push-{now:%Y%m%dT%H%M%S.%f}",
                collected_at=now,
                outcome=Outcome.PUSHED,
                detail=tuple(found.remarks),
                profile=profile.key,
                mapping_version=mapping.version,
                intervals=tuple(found.intervals),
                registers=tuple(found.registers),
                events=tuple(found.events),
                unknown=tuple(found.unknown),
                exchanges=(Exchange(now, b"", octets, opened.plain),),
            )
        )

    async def _deliver(
        self, delivery: Delivery, opened: Opened, within: AbstractContextManager[None], *, late: bool
    ) -> None:
        """Progress stays where it is: the profile will be read from its last row as if nothing had been pushed.

        The counter moves in the same transaction: what was not saved may come again and is no replay.
        """
        surroundings, counters = self._surroundings, self._counters
        kept = fitting(delivery, surroundings.codec)

        def save_once() -> Saving:
            moved: AbstractContextManager[None] = nullcontext()
            if opened.counter is not None:
                moved = counters.moved(delivery.meter_id, opened.counter, authenticated=opened.authenticated, late=late)
            with moved, within:
                return Saving(kept.delivery, surroundings.subject, kept.body, Progress())

        await self._together.do(save_once)

    def _save_all(self, savings: Sequence[Saving]) -> None:
        self._surroundings.collection.save_all(savings)

    def park(self, peer: str, octets: bytes, error: AmityError) -> None:
        """Keep what was not believed, and count it."""
        self.parking.park(Parked(self._surroundings.clock.now(), peer, octets, error))
