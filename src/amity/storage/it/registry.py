"""The RegistryStore: one town's meters, usage points and transformers."""

from dataclasses import asdict
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, select

from amity.domain.registry import Meter, Town, Transformer, UsagePoint
from amity.storage.dialect import insert_or_update
from amity.storage.it import tables
from amity.storage.transactions import Transactions

_THE_TOWN = 1  # one database serves one town

Entry = TypeVar("Entry", Transformer, UsagePoint, Meter)


class SqlRegistryStore:
    """The registry in the tables `town`, `transformer`, `usage_point` and `meter`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def provision(self, town: Town) -> None:
        """Insert or update every entry; what the document no longer names stays, for its readings stay too."""
        named = {"town_id": _THE_TOWN, "name": town.name, "timezone": town.timezone}
        with self._transactions.write() as connection:
            _put(connection, tables.town, [named])
            _put(connection, tables.transformer, [asdict(entry) for entry in town.transformers])
            _put(connection, tables.usage_point, [asdict(entry) for entry in town.usage_points])
            _put(connection, tables.meter, [asdict(entry) for entry in town.meters])

    def town(self) -> Town | None:
        """The provisioned town, each kind of entry by its id; None before the first provisioning."""
        with self._transactions.read() as connection:
            named = connection.execute(select(tables.town)).one_or_none()
            if named is None:
                return None
            return Town(
                name=named.name,
                timezone=named.timezone,
                transformers=_all(connection, tables.transformer, Transformer),
                usage_points=_all(connection, tables.usage_point, UsagePoint),
                meters=_all(connection, tables.meter, Meter),
            )

    def meter(self, meter_id: str) -> tuple[Meter, UsagePoint, Transformer] | None:
        """One meter with its usage point and the transformer that feeds it."""
        with self._transactions.read() as connection:
            meter = connection.execute(select(tables.meter).filter_by(meter_id=meter_id)).one_or_none()
            if meter is None:
                return None
            its_point = select(tables.usage_point).filter_by(usage_point_id=meter.usage_point_id)
            point = connection.execute(its_point).one()
            its_transformer = select(tables.transformer).filter_by(transformer_id=point.transformer_id)
            transformer = connection.execute(its_transformer).one()
        return Meter(**meter._asdict()), UsagePoint(**point._asdict()), Transformer(**transformer._asdict())


def _put(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert_or_update(connection, table), rows)


def _all(connection: Connection, table: Table, kind: type[Entry]) -> tuple[Entry, ...]:
    rows = connection.execute(select(table).order_by(*table.primary_key))
    return tuple(kind(**row._asdict()) for row in rows)
