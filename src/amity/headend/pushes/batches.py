"""Pushes onto the disk, all that wait for it in one transaction: one look at the counters, one fsync, alarms first."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from amity.headend.ports import CollectionStore, Disk, PushClaim, PushCounterStore, Saving
from amity.headend.urgency import Urgency, urgency_of
from amity.kernel.errors import AmityError, StorageError

AT_ONCE_MAX: Final = 512
_REFUSALS_IN_A_ROW: Final = 2

Begin = Callable[[], AbstractContextManager[None]]
"""Begins a transaction, anew each time it is tried."""


class Keeping(NamedTuple):
    """What the disk is to keep of one push: its number, if that is as good as it says, and then its delivery.

    It is stored within the transaction that `within` begins for whoever handed it in.
    """

    claim: PushClaim | None
    within: Begin
    saving: Saving | None = None

    @property
    def urgency(self) -> Urgency:
        """The lane that it waits in."""
        return Urgency.READINGS if self.saving is None else urgency_of(self.saving.delivery)


class _Ticket(NamedTuple):
    keeping: Keeping
    done: asyncio.Future[None]


class PushBatches:
    """What comes while the disk is busy goes in next, together; when that fails, one by one.

    A push whose number is refused leaves no trace among the others. One that brings a defect to light, or that the
    disk refuses by itself, fails alone. A disk that refuses two in a row is taken for one that takes nothing at all:
    the rest of the batch is not tried on it.
    """

    def __init__(self, disk: Disk, counters: PushCounterStore, collection: CollectionStore) -> None:
        self._disk = disk
        self._counters = counters
        self._collection = collection
        self._lanes: dict[Urgency, deque[_Ticket]] = {urgency: deque() for urgency in Urgency}
        self._writing: asyncio.Task[None] | None = None

    async def keep(self, keeping: Keeping) -> None:
        """Return when it is on the disk; raise SecurityError for its number, StorageError for the disk."""
        ticket = _Ticket(keeping, asyncio.get_running_loop().create_future())
        self._lanes[keeping.urgency].append(ticket)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await ticket.done

    async def _write(self) -> None:
        """A task of its own: whoever gives up waiting takes nobody along."""
        try:
            while batch := self._next():
                await self._write_batch(batch)
        finally:
            self._writing = None

    def _next(self) -> list[_Ticket]:
        batch: list[_Ticket] = []
        for lane in self._lanes.values():
            while lane and len(batch) < AT_ONCE_MAX:
                batch.append(lane.popleft())
        return batch

    async def _write_batch(self, batch: list[_Ticket]) -> None:
        refusals: Sequence[Exception | None]
        try:
            refusals = await self._disk(lambda: self._in_one_transaction([one.keeping for one in batch]))
        except Exception as failure:  # noqa: BLE001 - whatever it was, everybody who waits is to know
            if len(batch) > 1:
                await self._write_singly(batch)
                return
            refusals = [failure]
        for ticket, refusal in zip(batch, refusals, strict=True):
            _settle(ticket.done, refusal)

    async def _write_singly(self, batch: list[_Ticket]) -> None:
        refusals: list[StorageError] = []
        for ticket in batch:
            if len(refusals) < _REFUSALS_IN_A_ROW:
                await self._write_batch([ticket])
                refusals = [*refusals, refusal] if (refusal := _refusal_of(ticket)) else []
            else:
                _settle(ticket.done, refusals[-1])

    def _in_one_transaction(self, batch: list[Keeping]) -> Sequence[AmityError | None]:
        with self._counters.transaction():
            moved = iter(self._counters.move_all([one.claim for one in batch if one.claim is not None]))
            refusals = [None if one.claim is None else next(moved) for one in batch]
            kept = [one for one, refusal in zip(batch, refusals, strict=True) if refusal is None]
            for one in kept:
                with one.within():
                    pass
            self._collection.save_all([one.saving for one in kept if one.saving is not None])
        return refusals


def _refusal_of(ticket: _Ticket) -> StorageError | None:
    """Why the disk did not take it; None where it did, or nobody waits for it any more."""
    error = None if ticket.done.cancelled() else ticket.done.exception()
    return error if isinstance(error, StorageError) else None


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
