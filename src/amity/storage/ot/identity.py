"""Who the head-end is towards its meters: a system title in the database of the counters that were used under it."""

from collections.abc import Callable
from typing import Final, NamedTuple

from sqlalchemy import delete, select

from amity.storage.dialect import insert_or_ignore, insert_or_update
from amity.storage.ot.tables import head_end, invocation_counter, start_mark
from amity.storage.transactions import Transactions

_ONLY: Final = 1


class Identity(NamedTuple):
    """The system title, and of each node a random mark that it wrote when it last started or stopped."""

    system_title: bytes
    start_marks: frozenset[str]


class SqlIdentity:
    """The one row of `head_end`, and the marks. Whatever is written is durable when the call returns."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def load(self) -> Identity | None:
        """None in a database that no head-end used yet."""
        with self._transactions.read() as connection:
            title = connection.execute(select(head_end.c.system_title)).scalar_one_or_none()
            marks = connection.execute(select(start_mark.c.mark)).scalars()
            return None if title is None else Identity(title, frozenset(marks))

    def begin(self, system_title: bytes) -> bytes:
        """Give the title to a database that has none; return the one it has then: another node may have been first."""
        with self._transactions.write() as connection:
            connection.execute(insert_or_ignore(connection, head_end), {"only": _ONLY, "system_title": system_title})
            return bytes(connection.execute(select(head_end.c.system_title)).scalar_one())

    def change(self, system_title: bytes) -> None:
        """Another title from now on, for whoever starts; what runs goes on under the one it has."""
        with self._transactions.write() as connection:
            connection.execute(insert_or_update(connection, head_end), {"only": _ONLY, "system_title": system_title})

    def mark(self, mark: str, instead_of: str | None) -> None:
        """The mark of one node, in the place of its last one."""
        with self._transactions.write() as connection:
            connection.execute(delete(start_mark).where(start_mark.c.mark == instead_of))
            connection.execute(insert_or_ignore(connection, start_mark), {"mark": mark})

    def renew(self, instead_of: str | None, make: Callable[[], str]) -> bool:
        """As `mark`, with the one that `make` leaves elsewhere too; when that fails, nothing is changed.

        False, and none is made, where the last one is not here: the database is another one.
        """
        with self._transactions.write() as connection:
            if not connection.execute(delete(start_mark).where(start_mark.c.mark == instead_of)).rowcount:
                return False
            self.mark(make(), None)
            return True

    def counters_were_used(self) -> bool:
        """True when invocation counters were given out from this database."""
        with self._transactions.read() as connection:
            return connection.execute(select(invocation_counter.c.meter_id).limit(1)).first() is not None
