"""The fleet in the OT database; the route to a meter is kept as the document that the fleet document has of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import select

from amity.headend.fields import Fields
from amity.headend.ports import Endpoint, Management
from amity.headend.route_document import read_route, route_document
from amity.headend.routes import Route
from amity.storage.dialect import insert_or_update
from amity.storage.ot.tables import endpoint
from amity.storage.transactions import Transactions

_AS_THEY_ARE = tuple(field.name for field in fields(Endpoint) if field.name not in {"route", "management"})


class SqlEndpoints:
    """Implements `headend.ports.Endpoints`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def all(self) -> Sequence[Endpoint]:
        """Every endpoint, by meter id."""
        with self._transactions.read() as connection:
            rows = connection.execute(select(endpoint).order_by(endpoint.c.meter_id))
            return [endpoint_of(row) for row in rows.mappings()]

    def put(self, endpoints: Iterable[Endpoint]) -> None:
        """Add or replace endpoints by meter id, all or none."""
        rows = [_row(one) for one in endpoints]
        if rows:
            with self._transactions.write() as connection:
                connection.execute(insert_or_update(connection, endpoint), rows)


def _row(one: Endpoint) -> dict[str, Any]:
    management = None if one.management is None else json.dumps(asdict(one.management))
    documents = {"route": json.dumps(route_document(one.route)), "management": management}
    return {name: getattr(one, name) for name in _AS_THEY_ARE} | documents


def endpoint_of(row: Mapping[Any, Any]) -> Endpoint:
    """From a row of the table; raise ConfigurationError for a route that cannot be used."""
    management = None if row["management"] is None else Management(**json.loads(row["management"]))
    return Endpoint(route=route_of(row), management=management, **{name: row[name] for name in _AS_THEY_ARE})


def route_of(row: Mapping[Any, Any]) -> Route:
    """From a row with the meter's id and its route as it is kept."""
    return read_route(Fields(f"the stored route of meter {row['meter_id']}", json.loads(row["route"])))
