"""Listens for meters that call in (wrapper over TCP); strangers are parked and counted, never believed."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from amity.devices.notification_intake import NotificationIntake
from amity.domain.collection import Delivery, Exchange, Outcome
from amity.headend.callers import Caller, CallingFrom, InSession
from amity.headend.fitting import fitting
from amity.headend.message_id import identified
from amity.headend.ports import Endpoint, Progress, PushCounterStore
from amity.headend.push_readings import normalised_push
from amity.headend.push_repeats import Repeats
from amity.headend.push_senders import Opened, Senders, Signatures, reason_of
from amity.headend.reader import defect
from amity.headend.routes import Gateway
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import AmityError, RemoteProtocolError, TransportError
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


class PushListener:
    """Takes pushes in, from `start` until `close`; `taken` counts those that became deliveries."""

    def __init__(self, surroundings: Surroundings, counters: PushCounterStore, rules: PushRules | None = None) -> None:
        self._surroundings = surroundings
        self._rules = rules or PushRules()
        self._senders = Senders(surroundings)
        self._signatures = Signatures()
        self._counters = counters
        self._repeats = Repeats(surroundings.clock)
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], str] = {}
        self.parking = Parking(self._rules.parked_max)
        self.taken = 0
        self.turned_away = 0
        self.turned_away_last = ""

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
        if task is None or self._too_many(peer):
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
                self._park(peer, octets, error)
                return
            for frame, message, answers in arrived:
                pushes += 1  # blocks of a long one count too: nobody sends them for ever
                for answer in answers:
                    writer.write(encode(frame.destination, frame.source, answer))
                opened = None if message is None else await self.take(frame._replace(payload=message), peer)
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
            self._park(str(caller), encode(*frame), error)
            return
        await self._take(frame, apdu, caller)

    async def _confirm(self, writer: asyncio.StreamWriter, frame: Frame, opened: Opened) -> None:
        """Tell a meter that waits for it that its push is kept; one that hears nothing sends it again."""
        try:
            answer = self._repeats.answer(opened, frame.payload) or await self._senders.confirmation(opened)
        except AmityError as error:
            self._park(opened.endpoint.meter_id, frame.payload, error)
            return
        if answer is not None:
            self._repeats.answered(opened, frame.payload, answer)
            writer.write(encode(frame.destination, frame.source, answer))

    async def take(self, frame: Frame, peer: str) -> Opened | None:
        """Make a delivery of one frame from this address, or park it; give what was taken."""
        return await self._take(frame, frame.payload, CallingFrom(peer))

    async def _take(self, frame: Frame, apdu: bytes, caller: Caller) -> Opened | None:
        octets = encode(*frame)
        try:
            opened = await self._senders.open(apdu, caller)
            if self._repeats.knows(opened):
                await self._heard_again(opened, apdu)
            else:
                with self._signatures.once(opened):
                    await self._deliver(self._delivery(opened, octets), opened)
                self.taken += 1
            self._repeats.keep(opened, apdu)
        except AmityError as error:
            self._park(str(caller), octets, error)
        except Exception as error:  # noqa: BLE001 - a defect that one push brings to light must not stop the others
            self._park(str(caller), octets, defect(error))
        else:
            return opened
        return None

    async def _heard_again(self, opened: Opened, apdu: bytes) -> None:
        """Its delivery exists; under a new counter the counter moves, and the same octets move nothing."""
        if self._repeats.knows_octets(opened, apdu):
            return
        with self._signatures.once(opened):
            await self._surroundings.disk(lambda: self._save_once(opened, _nothing))

    def _delivery(self, opened: Opened, octets: bytes) -> Delivery:
        surroundings, endpoint = self._surroundings, opened.endpoint
        now, mapping = surroundings.clock.now(), surroundings.mappings.mapping
        profile = surroundings.profile_of(endpoint.profile)
        found = normalised_push(opened.notification, opened.readings, profile, mapping, now)
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

    async def _deliver(self, delivery: Delivery, opened: Opened) -> None:
        """Progress stays where it is: the profile will be read from its last row as if nothing had been pushed.

        The counter moves in the same transaction: what was not saved may come again and is no replay.
        """
        surroundings = self._surroundings
        kept = fitting(delivery, surroundings.codec)

        def save() -> None:
            surroundings.collection.save(kept.delivery, surroundings.subject, kept.body, progress=Progress())

        await surroundings.disk(lambda: self._save_once(opened, save))

    def _save_once(self, opened: Opened, save: Callable[[], None]) -> None:
        """On the disk's thread."""
        if opened.counter is None:
            save()
            return
        with self._counters.moved(opened.endpoint.meter_id, opened.counter, authenticated=opened.authenticated):
            save()

    def _park(self, peer: str, octets: bytes, error: AmityError) -> None:
        self.parking.park(Parked(self._surroundings.clock.now(), peer, octets, error))


def _nothing() -> None:
    """What is saved of a push that was heard before."""
