"""Who the head-end is towards its meters: a system title in the same file as the counters that were used under it."""

from typing import Final, NamedTuple

from sqlalchemy import select

from amity.storage.dialect import insert_or_update
from amity.storage.ot.tables import head_end, invocation_counter
from amity.storage.transactions import Transactions

_ONLY: Final = 1


class Identity(NamedTuple):
    """The system title, and a random mark that was written when the head-end last started or stopped."""

    system_title: bytes
    start_mark: str


class SqlIdentity:
    """The one row of `head_end`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def load(self) -> Identity | None:
        """None in a database that no head-end used yet."""
        with self._transactions.read() as connection:
            row = connection.execute(select(head_end.c.system_title, head_end.c.start_mark)).one_or_none()
        return None if row is None else Identity(*row)

    def store(self, identity: Identity) -> None:
        """Durable when this returns; raise StorageError when the disk does not take it."""
        with self._transactions.write() as connection:
            connection.execute(insert_or_update(connection, head_end), {"only": _ONLY, **identity._asdict()})

    def counters_were_used(self) -> bool:
        """True when invocation counters were given out from this database."""
        with self._transactions.read() as connection:
            return connection.execute(select(invocation_counter.c.meter_id).limit(1)).first() is not None
