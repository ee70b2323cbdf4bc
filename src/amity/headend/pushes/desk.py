"""What meters push becomes deliveries, by whatever door it comes; strangers are parked and counted, never believed."""

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Final, NamedTuple

from amity.domain.collection import Delivery, Exchange, Outcome
from amity.headend.calls.callers import Caller, InSession
from amity.headend.fitting import fitting
from amity.headend.message_id import identified
from amity.headend.ports import Endpoint, Progress, PushClaim, PushCounterStore, Saving
from amity.headend.pushes.batches import Begin, Keeping, PushBatches
from amity.headend.pushes.parking import Parked, Parking
from amity.headend.pushes.repeats import Repeats
from amity.headend.pushes.senders import Opened, Senders, Signatures
from amity.headend.reader import defect
from amity.headend.routes import Gateway
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import AmityError, StorageError
from amity.kernel.time import epoch_s
from amity.protocols.gateway.prefix import GatewayError, decode, is_prefixed
from amity.protocols.wrapper.frame import Frame, encode

PARKED_MAX: Final = 256
"""How many of the newest pushes that were not believed are listed."""


class _Arrived(NamedTuple):
    """A push on its way in: the frame, the APDU in it, from whom, and when it was heard.

    It is stored within the transaction that `within` begins, anew each time it is tried. `late` is what a collector
    kept: it may come long after newer ones.
    """

    frame: Frame
    apdu: bytes
    caller: Caller
    heard_at: datetime
    within: Begin
    late: bool = False


class PushDesk:
    """Takes in what the doors hear; `taken` counts the pushes that became deliveries, `parking` has all others."""

    def __init__(self, surroundings: Surroundings, counters: PushCounterStore, *, parked_max: int = PARKED_MAX) -> None:
        self._surroundings = surroundings
        self._senders = Senders(surroundings)
        self._signatures = Signatures()
        self._batches = PushBatches(surroundings.disk, counters, surroundings.collection)
        self._repeats = Repeats(surroundings.clock)
        self.parking = Parking(parked_max)
        self.taken = 0

    @property
    def parked(self) -> Mapping[str, int]:
        """Pushes that were not believed, by reason."""
        return dict(self.parking.counts)

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
        return await self._senders.known.find(title_or_name)

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

    async def take(self, frame: Frame, caller: Caller) -> Opened | None:
        """Make a delivery of one frame from this caller, or park it; give what was taken."""
        return await self._take_or_park(self._arrived(frame, frame.payload, caller))

    async def take_or_raise(self, frame: Frame, caller: Caller) -> Opened | None:
        """The same for what comes again when it is not kept: raise StorageError when the disk did not take it."""
        return await self._take(self._arrived(frame, frame.payload, caller))

    async def take_forwarded(
        self, frame: Frame, caller: Caller, heard_at: datetime, within: Begin, *, is_awaited: bool = False
    ) -> bytes | None:
        """Make a delivery of what a collector heard then and kept for us, within a transaction of theirs, or park it.

        Give the confirmation for a meter that still waits for one. Raise StorageError when the disk did not take the
        push: it has to come again.
        """
        heard_at = min(heard_at, self._surroundings.clock.now())
        opened = await self._take(_Arrived(frame, frame.payload, caller, heard_at, within, late=True))
        return await self.confirmation(opened, frame) if opened is not None and is_awaited else None

    def _arrived(self, frame: Frame, apdu: bytes, caller: Caller) -> _Arrived:
        return _Arrived(frame, apdu, caller, self._surroundings.clock.now(), nullcontext)

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
                with self._signatures.once(opened, epoch_s(push.heard_at), late=_may_be_late(opened, push)):
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
            await self._batches.keep(Keeping(None, push.within))
            return opened._replace(repeated=True)
        with self._signatures.once(opened, epoch_s(push.heard_at), late=_may_be_late(opened, push)):
            await self._batches.keep(Keeping(_claim(opened, push), push.within))
        return opened

    def _delivery(self, opened: Opened, octets: bytes, now: datetime) -> Delivery:
        surroundings, endpoint = self._surroundings, opened.endpoint
        mapping = surroundings.mappings.mapping
        profile = surroundings.profile_of(endpoint.profile)
        catalogue = surroundings.events.catalogue
        found = opened.content.normalised(profile, mapping, now, catalogue)
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
        await self._batches.keep(Keeping(_claim(opened, push), push.within, saving))

    def park(self, peer: str, octets: bytes, error: AmityError) -> None:
        """Keep what was not believed, and count it."""
        self.parking.park(Parked(self._surroundings.clock.now(), peer, octets, error))


def _claim(opened: Opened, push: _Arrived) -> PushClaim | None:
    if opened.counter is None:
        return None
    heard_s = epoch_s(push.heard_at)
    meter_id, authenticated = opened.endpoint.meter_id, opened.authenticated
    return PushClaim(meter_id, opened.key_name, opened.counter, authenticated, heard_s, _may_be_late(opened, push))


def _may_be_late(opened: Opened, push: _Arrived) -> bool:
    """A meter that is reached directly has no business with a collector's store: its pushes are as old as they are."""
    return push.late and bool(opened.endpoint.route.collector)
