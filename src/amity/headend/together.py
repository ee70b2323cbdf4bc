"""Work for the disk that is done in one transaction with whatever else waits for it: one fsync for all."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from amity.headend.ports import Disk, Saving
from amity.kernel.errors import AmityError, StorageError

AT_ONCE_MAX: Final = 256

_Work = Callable[[], Saving | None]
"""Looks whether it may be, and gives what is to be saved, None for nothing more."""


class _Ticket(NamedTuple):
    work: _Work
    done: asyncio.Future[None]


class Together:
    """What comes while the disk is busy goes in next, together; a disk that fails, fails all of a batch.

    A piece of work that is refused raises before it writes anything: so it leaves no trace among the others.
    """

    def __init__(
        self,
        disk: Disk,
        transaction: Callable[[], AbstractContextManager[object]],
        save_all: Callable[[Sequence[Saving]], None],
    ) -> None:
        self._disk = disk
        self._save_all = save_all
        self._transaction = transaction
        self._waiting: list[_Ticket] = []
        self._writing: asyncio.Task[None] | None = None

    async def do(self, work: _Work) -> None:
        """Return when it is on the disk; raise what the work, or the disk, raises."""
        ticket = _Ticket(work, asyncio.get_running_loop().create_future())
        self._waiting.append(ticket)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await ticket.done

    async def _write(self) -> None:
        """A task of its own: whoever gives up waiting takes nobody along."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:AT_ONCE_MAX], self._waiting[AT_ONCE_MAX:]
                await self._write_batch(batch)
        finally:
            self._writing = None

    async def _write_batch(self, batch: list[_Ticket]) -> None:
        try:
            errors = await self._disk(lambda: self._in_one_transaction([one.work for one in batch]))
        except Exception as failure:  # noqa: BLE001 - whatever it was, everybody who waits is to know
            errors = [failure] * len(batch)
        for ticket, refusal in zip(batch, errors, strict=True):
            if not ticket.done.done():
                _settle(ticket.done, refusal)

    def _in_one_transaction(self, works: list[_Work]) -> list[Exception | None]:
        with self._transaction():
            results = list(map(_result, works))
            self._save_all([one for one in results if isinstance(one, Saving)])
        return [one if isinstance(one, Exception) else None for one in results]


def _result(work: _Work) -> Saving | Exception | None:
    try:
        return work()
    except StorageError:
        raise
    except AmityError as error:
        return error


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
