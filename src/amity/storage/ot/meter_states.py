"""Endpoint and standing of the meters of one lease call, in two statements for all of them."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from amity.headend.ports import Endpoint, Standing
from amity.storage.ot.collection import standing_of
from amity.storage.ot.endpoints import endpoint_of
from amity.storage.ot.tables import endpoint, standing
from amity.storage.transactions import Transactions


class SqlMeterStates:
    """Implements `headend.jobs.ports.MeterStates`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def of(self, meter_ids: Sequence[str]) -> Mapping[str, tuple[Endpoint, Standing]]:
        """Endpoint and standing of those that are known."""
        with self._transactions.read() as connection:
            endpoints = connection.execute(select(endpoint).where(endpoint.c.meter_id.in_(meter_ids))).mappings()
            known = {row["meter_id"]: endpoint_of(row) for row in endpoints}
            tried = connection.execute(select(standing).where(standing.c.meter_id.in_(meter_ids))).mappings()
            standings = {row["meter_id"]: standing_of(row) for row in tried}
        return {meter_id: (one, standings.get(meter_id, Standing())) for meter_id, one in known.items()}
