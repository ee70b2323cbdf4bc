"""Listens for meters that call in (wrapper over TCP); strangers are parked and counted, never believed."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from amity.devices.notification_intake import NotificationIntake
from amity.domain.collection import Delivery, Exchange, Outcome
from amity.headend.callers import Caller, CallingFrom, InSession
from amity.headend.fitting import fitting
from amity.headend.message_id import identified
from amity.headend.ports import Endpoint, Progress, PushCounterStore, Saving
from amity.headend.push_readings import normalised_push
from amity.headend.push_repeats import Repeats
from amity.headend.push_senders import Opened, Senders, Signatures, reason_of
from amity.headend.reader import defect
from amity.headend.routes import Gateway
from amity.headend.surroundings import Surroundings
from amity.headend.together import Together
from amity.kernel.errors import AmityError, RemoteProtocolError, StorageError, TransportError
from amity.protocols.gateway.prefix import GatewayError, decode, is_prefixed
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


class _Arrived(NamedTuple):
    """A push on its way in: the frame, the APDU in it, from whom, and when it was heard.

    It is stored `within` a transaction of whoever hands it in. `late` is what a collector kept: it may come after newer
    ones.
    """

    frame: Frame
    apdu: bytes
    caller: Caller
    heard_at: datetime
    within: AbstractContextManager[None]
    late: bool = False


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
        self._signatures = Signatures()
        self._counters = counters
        self._together = Together(surroundings.disk, counters.transaction, self._save_all)
        self._repeats = Repeats(surroundings.clock)
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
                opened = (
                    None if message is None else await self.take(frame._replace(payload=message), CallingFrom(peer))
                )
                if opened is not None and message is not None:
                    await self._confirm(writer, frame._replace(payload=message), opened)
            if not frames.pending_octets:
                due = now() + self._rules.idle_timeout_s
            elif was_between_frames or arrived:
                due = now() + self._rules.frame_timeout_s

    async def take_from_session(self, endpoint: Endpoint, apdu: bytes) -> None:
        """Make a delivery of what was pushed in the midst of a session with this meter, or park it.

        A gateway prefix, which it still has, tells who behind the gateway pushed; without one it was the gateway.
        """
        frame = Frame(endpoint.server, endpoint.client, apdu)
        caller = InSession(endpoint, None)
        try:
            if is_prefixed(apdu):
                prefixed = decode(apdu)
                apdu, caller = prefixed.apdu, InSession(endpoint, Gateway(prefixed.network, prefixed.device))
        except GatewayError as error:
            self.park(str(caller), encode(*frame), error)
            return
        await self._take_or_park(self._arrived(frame, apdu, caller))

    async def sender(self, title_or_name: bytes | str) -> Endpoint | None:
        """The meter of this system title or name, None when there is none in the fleet."""
        return await self._senders.find(title_or_name)

    async def confirmation(self, opened: Opened, frame: Frame) -> bytes | None:
        """What goes back to the sender of a push that was kept, None where he waits for nothing."""
        try:
            answer = self._repeats.answer(opened, frame.payload) or await self._senders.confirmation(opened)
        except AmityError as error:
            self.park(opened.endpoint.meter_id, frame.payload, error)
            return None
        if answer is not None:
            self._repeats.answered(opened, frame.payload, answer)
        return answer

    async def _confirm(self, writer: asyncio.StreamWriter, frame: Frame, opened: Opened) -> None:
        """Tell a meter that waits for it that its push is kept; one that hears nothing sends it again."""
        answer = await self.confirmation(opened, frame)
        if answer is not None:
            writer.write(encode(frame.destination, frame.source, answer))

    async def take(self, frame: Frame, caller: Caller) -> Opened | None:
        """Make a delivery of one frame from this caller, or park it; give what was taken."""
        return await self._take_or_park(self._arrived(frame, frame.payload, caller))

    async def take_or_raise(self, frame: Frame, caller: Caller) -> Opened | None:
        """The same for what comes again when it is not kept: raise StorageError when the disk did not take it."""
        return await self._take(self._arrived(frame, frame.payload, caller))

    async def take_forwarded(
        self, frame: Frame, caller: Caller, heard_at: datetime, within: AbstractContextManager[None]
    ) -> None:
        """Make a delivery of what a collector heard then and kept for us, stored within that transaction, or park it.

        Raise StorageError when the disk did not take it: it has to come again.
        """
        heard_at = min(heard_at, self._surroundings.clock.now())
        await self._take(_Arrived(frame, frame.payload, caller, heard_at, within, late=True))

    def _arrived(self, frame: Frame, apdu: bytes, caller: Caller) -> _Arrived:
        return _Arrived(frame, apdu, caller, self._surroundings.clock.now(), nullcontext())

    async def _take_or_park(self, push: _Arrived) -> Opened | None:
        try:
            return await self._take(push)
        except StorageError as error:
            self.park(str(push.caller), encode(*push.frame), error)
            return None

    async def _take(self, push: _Arrived) -> Opened | None:
        octets = encode(*push.frame)
        try:
            opened = await self._senders.open(push.apdu, push.caller)
            if self._repeats.knows(opened):
                opened = await self._heard_again(push, opened)
            else:
                with self._signatures.once(opened, late=push.late):
                    await self._deliver(self._delivery(opened, octets, push.heard_at), push, opened)
                self.taken += 1
            self._repeats.keep(opened, push.apdu)
        except StorageError:
            raise
        except AmityError as error:
            self.park(str(push.caller), octets, error)
        except Exception as error:  # noqa: BLE001 - a defect that one push brings to light must not stop the others
            self.park(str(push.caller), octets, defect(error))
        else:
            return opened
        return None

    async def _heard_again(self, push: _Arrived, opened: Opened) -> Opened:
        """Its delivery exists; under a new counter the counter moves, and the same octets move nothing."""
        if self._repeats.knows_octets(opened, push.apdu):
            await self._together.do(partial(_within, push.within))
            return opened._replace(repeated=True)
        with self._signatures.once(opened, late=push.late):
            await self._together.do(partial(_within, self._once(push, opened)))
        return opened

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

    async def _deliver(self, delivery: Delivery, push: _Arrived, opened: Opened) -> None:
        """Progress stays where it is: the profile will be read from its last row as if nothing had been pushed.

        The counter moves in the same transaction: what was not saved may come again and is no replay.
        """
        kept = fitting(delivery, self._surroundings.codec)
        saving = Saving(kept.delivery, self._surroundings.subject, kept.body, Progress())
        await self._together.do(partial(_within, self._once(push, opened), saving))

    @contextmanager
    def _once(self, push: _Arrived, opened: Opened) -> Iterator[None]:
        """On the disk's thread; raise SecurityError before anything is written for a counter that was heard."""
        moved: AbstractContextManager[None] = nullcontext()
        if opened.counter is not None:
            moved = self._counters.moved(
                opened.endpoint.meter_id, opened.counter, authenticated=opened.authenticated, late=push.late
            )
        with moved, push.within:
            yield

    def _save_all(self, savings: Sequence[Saving]) -> None:
        self._surroundings.collection.save_all(savings)

    def park(self, peer: str, octets: bytes, error: AmityError) -> None:
        """Keep what was not believed, and count it."""
        self.parking.park(Parked(self._surroundings.clock.now(), peer, octets, error))


def _within(transaction: AbstractContextManager[None], saving: Saving | None = None) -> Saving | None:
    """What is to be saved, nothing of a push that was heard before, once the transaction has been gone through."""
    with transaction:
        return saving
