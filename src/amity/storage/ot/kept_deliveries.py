"""The deliveries of one meter that the head-end still has, for whoever asks what became of a session."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select

from amity.storage.ot.tables import delivery
from amity.storage.transactions import Transactions


class KeptDelivery(NamedTuple):
    """A delivery as the outbox has it; `sent` once the broker has it on its disk."""

    message_id: str
    collected_at: datetime
    sent: bool
    body: bytes


class SqlKeptDeliveries:
    """Reads the outbox, what was sent included, as long as frames are kept."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def of(self, meter_id: str, since: datetime) -> Iterator[KeptDelivery]:
        """Those collected at or after an instant, the oldest first."""
        columns = delivery.c
        wanted = (
            select(columns.message_id, columns.collected_at, columns.sent, columns.body)
            .where(columns.collected_at >= since, columns.meter_id == meter_id)
            .order_by(columns.sequence)
        )
        with self._transactions.read() as connection:
            for row in connection.execute(wanted):
                yield KeptDelivery(row.message_id, row.collected_at, bool(row.sent), row.body)
