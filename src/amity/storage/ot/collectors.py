"""Collectors and the pushes they forwarded, in the OT database."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update

from amity.headend.collectors.ports import Admission, KnownCollector, Presented
from amity.kernel.errors import NotFoundError, RequestError
from amity.storage.dialect import insert_or_ignore
from amity.storage.ot.collector_tables import collector, forwarded_push
from amity.storage.transactions import Transactions


class SqlCollectorBook:
    """Implements `headend.collectors.ports.CollectorBook`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def seen(self, presented: Presented, at: datetime) -> Admission:
        """Note that it called, parked when it is new; return what was decided of it."""
        row = {
            "name": presented.name,
            "fingerprint": presented.fingerprint,
            "admission": Admission.PARKED.value,
            "address": presented.address,
            "first_seen": at,
            "last_seen": at,
            "connected_to": "",
            "quality": "",
        }
        with self._transactions.write() as connection:
            connection.execute(insert_or_ignore(connection, collector), row)
            noted = (
                update(collector)
                .where(collector.c.name == presented.name, collector.c.fingerprint == presented.fingerprint)
                .values(address=presented.address, last_seen=at)
                .returning(collector.c.admission)
            )
            return Admission(connection.execute(noted).scalar_one())

    def report(self, presented: Presented, node: str, quality: str, at: datetime) -> None:
        """Note where it is connected and how it does; an empty `node` says that it is gone."""
        with self._transactions.write() as connection:
            connection.execute(
                update(collector)
                .where(collector.c.name == presented.name, collector.c.fingerprint == presented.fingerprint)
                .values(connected_to=node, quality=quality, last_seen=at)
            )

    def decide(self, name: str, fingerprint: str, admission: Admission) -> KnownCollector:
        """Store a person's decision; raise NotFoundError or RequestError when it is not clear of whom."""
        with self._transactions.write() as connection:
            query = select(collector).where(
                collector.c.name == name, collector.c.fingerprint.startswith(fingerprint, autoescape=True)
            )
            rows = connection.execute(query).mappings().all()
            if not rows:
                raise NotFoundError(f"no collector {name} has called", next_step="amity collector list")
            if len(rows) > 1:
                raise RequestError(
                    f"{len(rows)} keys were shown in the name of collector {name}",
                    next_step="name one with --fingerprint; amity collector list shows them",
                )
            found = _known(rows[0])
            connection.execute(
                update(collector)
                .where(collector.c.name == found.name, collector.c.fingerprint == found.fingerprint)
                .values(admission=admission.value)
            )
        return _known({**rows[0], "admission": admission.value})

    def all(self) -> Sequence[KnownCollector]:
        """All of them, by name."""
        query = select(collector).order_by(collector.c.name, collector.c.first_seen)
        with self._transactions.read() as connection:
            return [_known(row) for row in connection.execute(query).mappings()]


class SqlForwardedPushes:
    """Implements `headend.collectors.ports.ForwardedPushes`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def known(self, push_id: str) -> bool:
        """True when it was dealt with."""
        query = select(forwarded_push.c.push_id).where(forwarded_push.c.push_id == push_id)
        with self._transactions.read() as connection:
            return connection.execute(query).first() is not None

    @contextmanager
    def first(self, push_id: str, at: datetime) -> Iterator[None]:
        """A transaction that remembers the id; raise StorageError when another one was first."""
        with self._transactions.write() as connection:
            connection.execute(insert(forwarded_push), {"push_id": push_id, "taken_at": at})
            yield

    def prune(self, before: datetime) -> int:
        """Forget the ids of before; return how many."""
        with self._transactions.write() as connection:
            return connection.execute(delete(forwarded_push).where(forwarded_push.c.taken_at < before)).rowcount


def _known(row: Mapping[Any, Any]) -> KnownCollector:
    return KnownCollector(**{**row, "admission": Admission(row["admission"])})
