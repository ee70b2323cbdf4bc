"""From the outbox to the broker: a delivery leaves the disk of this zone only when that of the broker has it."""

import asyncio
from typing import Final

from amity.headend.ports import CollectionStore, Disk, Publisher, QueuedDelivery
from amity.kernel.backoff import Backoff, Chance
from amity.kernel.errors import AmityError

BATCH: Final = 64
IDLE_S: Final = 0.5
_BACKOFF: Final = Backoff(base_s=0.5, limit_s=30.0)


class Courier:
    """Drains the outbox; `last_error` is why it is held up at this moment, None while it flows."""

    def __init__(
        self,
        collection: CollectionStore,
        publisher: Publisher,
        disk: Disk,
        chance: Chance,
        *,
        idle_s: float = IDLE_S,
    ) -> None:
        self._collection = collection
        self._publisher = publisher
        self._disk = disk
        self._chance = chance
        self._idle_s = idle_s
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

        A crash between the broker's acknowledgement and ours leaves a delivery in the outbox: it is sent again under
        the same message id, and is still one.
        """
        queued = await self._disk(lambda: self._collection.queued(BATCH))
        results = await asyncio.gather(*map(self._publish, queued), return_exceptions=True)
        carried = [one.sequence for one, result in zip(queued, results, strict=True) if result is None]
        await self._disk(lambda: self._collection.sent(carried))
        self.delivered += len(carried)
        for result in results:
            if result is not None:
                raise result
        return len(carried)

    async def _publish(self, queued: QueuedDelivery) -> None:
        await self._publisher.publish(queued.subject, queued.message_id, queued.body)
