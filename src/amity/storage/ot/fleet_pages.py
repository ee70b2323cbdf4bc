"""The fleet of the OT database, a page at a time: a schedule needs no million endpoints in memory."""

from collections.abc import Sequence

from sqlalchemy import select

from amity.headend.jobs.ports import Member
from amity.storage.ot.tables import endpoint
from amity.storage.transactions import Transactions


class SqlFleetPages:
    """Implements `headend.jobs.ports.FleetPages`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def page(self, after: str, limit: int) -> Sequence[Member]:
        """The next meters after this id; empty at the end."""
        columns = endpoint.c
        query = (
            select(columns.meter_id, columns.profile, columns.host)
            .where(columns.meter_id > after)
            .order_by(columns.meter_id)
            .limit(limit)
        )
        with self._transactions.read() as connection:
            return [Member(*row) for row in connection.execute(query)]
