"""Deliveries onto the disk, several meters' in one transaction: what ends while the disk is busy goes in next."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from amity.headend.fitting import Fitted, fitting
from amity.headend.ports import Progress, Saving
from amity.headend.reader import Collected, defect
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import AmityError

_NOWHERE: Final = Progress()


@dataclass(slots=True, eq=False)
class _Ticket:
    """One session that waits for the disk; `with_readings` is None until it is there, or `error` says why not."""

    collected: Collected
    with_readings: bool | None = None
    error: Exception | None = None

    @property
    def settled(self) -> bool:
        """True when its fate is known."""
        return self.with_readings is not None or self.error is not None


class Keeper:
    """Whoever finds the disk free takes all who wait along; they share their transaction, and its failure."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._disk_is_busy = asyncio.Lock()
        self._waiting: list[_Ticket] = []

    async def keep(self, collected: Collected) -> bool:
        """Return when it is on the disk: whether its readings are, or had to be given up for their size.

        Raise StorageError when the disk does not take it, and what its own encoding or a defect brings to light.
        """
        ticket = _Ticket(collected)
        self._waiting.append(ticket)
        async with self._disk_is_busy:
            if not ticket.settled:
                await self._write_waiting()
        if ticket.error is not None:
            raise ticket.error
        return bool(ticket.with_readings)

    async def _write_waiting(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            if not await self._written(batch):
                await self._write_one_by_one(batch)
        except asyncio.CancelledError:  # the others' turn comes, and what is written twice is there once
            self._waiting = batch + self._waiting
            raise

    async def _write_one_by_one(self, batch: list[_Ticket]) -> None:
        """Something in the batch brought a defect to light: it is the error of its own session and of no other."""
        for ticket in batch:
            if not ticket.settled:
                await self._written([ticket])

    async def _written(self, tickets: list[_Ticket]) -> bool:
        """Write them and settle what became of them; False when a defect left more than one of them open."""
        try:
            await self._surroundings.disk(lambda: self._encode_and_save(tickets))
        except AmityError as error:
            _fail(tickets, error)
        except Exception as error:  # noqa: BLE001 - a defect that one meter brings to light must not reach the others
            if len(tickets) > 1:
                return False
            _fail(tickets, defect(error))
        return True

    def _encode_and_save(self, batch: list[_Ticket]) -> None:
        """On the disk's thread."""
        encoded = [(ticket, fitted) for ticket in batch if (fitted := self._encoded(ticket)) is not None]
        self._surroundings.collection.save_all([self._saving(ticket.collected, fitted) for ticket, fitted in encoded])
        for ticket, fitted in encoded:
            ticket.with_readings = fitted.with_readings

    def _encoded(self, ticket: _Ticket) -> Fitted | None:
        try:
            return fitting(ticket.collected.delivery, self._surroundings.codec)
        except Exception as error:  # noqa: BLE001 - a defect that one meter brings to light must not reach the others
            ticket.error = error
            return None

    def _saving(self, collected: Collected, fitted: Fitted) -> Saving:
        progress, unmapped = (collected.progress, collected.unmapped) if fitted.with_readings else (_NOWHERE, _NOWHERE)
        subject = self._surroundings.subject
        return Saving(fitted.delivery, subject, fitted.body, progress, unmapped, collected.heard)


def _fail(tickets: Iterable[_Ticket], error: AmityError) -> None:
    for ticket in tickets:
        ticket.error = ticket.error or error
