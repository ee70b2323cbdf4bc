"""The fleet of the OT database, a page at a time: a schedule needs no million endpoints in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from amity.headend.jobs.ports import Member
from amity.storage.ot.endpoints import route_of
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
            select(columns.meter_id, columns.profile, columns.route)
            .where(columns.meter_id > after)
            .order_by(columns.meter_id)
            .limit(limit)
        )
        with self._transactions.read() as connection:
            return [_member(row) for row in connection.execute(query).mappings()]


def _member(row: Mapping[Any, Any]) -> Member:
    route = route_of(row)
    return Member(row["meter_id"], row["profile"], route.host, route.collector, route.cell)
