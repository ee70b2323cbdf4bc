"""From the outbox to the broker: a delivery leaves the disk of this zone only when that of the broker has it."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

from amity.headend.ports import CollectionStore, Disk, Publisher, QueuedDelivery
from amity.kernel.backoff import Backoff, Chance
from amity.kernel.errors import AmityError, LocalProtocolError

BATCH: Final = 256
TOGETHER_MAX: Final = 128
TOGETHER_OCTETS_MAX: Final = 2 * 1024 * 1024
"""A message of several deliveries is no larger; the broker syncs its disk, and the IT side commits, once for each."""
IDLE_S: Final = 0.5
_BACKOFF: Final = Backoff(base_s=0.5, limit_s=30.0)


Join = Callable[[Sequence[bytes]], bytes]
"""Puts encoded deliveries into one message."""


class Courier:
    """Drains the outbox; `last_error` is why it is held up at this moment, None while it flows.

    With `join` those that wait together travel in one message.
    """

    def __init__(
        self,
        collection: CollectionStore,
        publisher: Publisher,
        disk: Disk,
        chance: Chance,
        *,
        idle_s: float = IDLE_S,
        join: Join | None = None,
    ) -> None:
        self._collection = collection
        self._publisher = publisher
        self._disk = disk
        self._chance = chance
        self._idle_s = idle_s
        self._join = join
        self.last_error: AmityError | None = None
        self.delivered = 0

    async def run(self) -> None:
        """Carry deliveries until cancelled; what cannot be carried now waits on the disk."""
        failures = 0
        while True:
            try:
                carried = await self.carry_batch()
                self.last_error, failures = None, 0
                pause_s = 0.0 if carried else self._idle_s
            except AmityError as error:
                self.last_error, failures = error, failures + 1
                pause_s = _BACKOFF.wait_s(failures, self._chance)
            await asyncio.sleep(pause_s)

    async def drain(self) -> None:
        """Carry everything that waits; raise what stops it (TransportError, StorageError)."""
        while await self.carry_batch():
            pass

    async def carry_batch(self) -> int:
        """Carry the oldest deliveries side by side; return how many. Raise the first failure, after the rest is done.

        A crash between the broker's acknowledgement and ours leaves deliveries in the outbox: they are sent again, each
        under the same message id though perhaps in other company, and each is still one.
        """
        queued = await self._disk(lambda: self._collection.queued(BATCH))
        parcels = list(_parcels(queued)) if self._join is not None else [[one] for one in queued]
        results = await asyncio.gather(*map(self._carry, parcels))
        carried = [one.sequence for taken, _ in results for one in taken]
        await self._disk(lambda: self._collection.sent(carried))
        self.delivered += len(carried)
        for _, error in results:
            if error is not None:
                raise error
        return len(carried)

    async def _carry(self, parcel: Sequence[QueuedDelivery]) -> tuple[Sequence[QueuedDelivery], AmityError | None]:
        """Those that the broker took, and why not the others; what it can never take is found by trying each alone."""
        try:
            await self._publish(parcel)
        except LocalProtocolError as error:
            if len(parcel) == 1:
                return (), error
            alone = await asyncio.gather(*(self._carry([one]) for one in parcel))
            return [one for taken, _ in alone for one in taken], next((why for _, why in alone if why), None)
        except AmityError as error:
            return (), error
        return parcel, None

    async def _publish(self, parcel: Sequence[QueuedDelivery]) -> None:
        first = parcel[0]
        if self._join is None or len(parcel) == 1:
            await self._publisher.publish(first.subject, first.message_id, first.body)
        else:
            joined = self._join([one.body for one in parcel])
            await self._publisher.publish(first.subject, _together(parcel), joined)


def _parcels(queued: Sequence[QueuedDelivery]) -> Iterator[list[QueuedDelivery]]:
    """In their order, none too large; those of another subject apart."""
    for _, alike in groupby(queued, attrgetter("subject")):
        parcel: list[QueuedDelivery] = []
        octets = 0
        for one in alike:
            octets += len(one.body)
            if parcel and (len(parcel) == TOGETHER_MAX or octets > TOGETHER_OCTETS_MAX):
                yield parcel
                parcel, octets = [], len(one.body)
            parcel.append(one)
        yield parcel


def _together(parcel: Sequence[QueuedDelivery]) -> str:
    """The id of a message that holds these: the same ones in one message again are the same message."""
    return hashlib.sha256("\n".join(one.message_id for one in parcel).encode()).hexdigest()
