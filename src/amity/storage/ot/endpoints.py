"""The fleet in the OT database."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from sqlalchemy import select

from amity.headend.ports import Endpoint
from amity.storage.dialect import insert_or_update
from amity.storage.ot.tables import endpoint
from amity.storage.transactions import Transactions


class SqlEndpoints:
    """Implements `headend.ports.Endpoints`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def all(self) -> Sequence[Endpoint]:
        """Every endpoint, by meter id."""
        with self._transactions.read() as connection:
            rows = connection.execute(select(endpoint).order_by(endpoint.c.meter_id))
            return [Endpoint(**row) for row in rows.mappings()]

    def put(self, endpoints: Iterable[Endpoint]) -> None:
        """Add or replace endpoints by meter id, all or none."""
        rows = [asdict(one) for one in endpoints]
        if rows:
            with self._transactions.write() as connection:
                connection.execute(insert_or_update(connection, endpoint), rows)
