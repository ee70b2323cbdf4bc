"""When deliveries were committed on the MDM side, for whoever asks what became of a session."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import select

from amity.storage.it.tables import delivery
from amity.storage.transactions import Transactions


class SqlCommits:
    """Looks deliveries up by their message ids."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def at(self, message_ids: Collection[str]) -> Mapping[str, datetime]:
        """When each of them that is stored was committed."""
        wanted = select(delivery.c.message_id, delivery.c.received_at).where(delivery.c.message_id.in_(message_ids))
        with self._transactions.read() as connection:
            return {row.message_id: row.received_at for row in connection.execute(wanted)}
