"""How far each schedule has fired, moved by compare-and-swap: of several schedulers one is first."""

from contextlib import AbstractContextManager
from dataclasses import asdict

from sqlalchemy import select, update

from amity.domain.jobs import Firing
from amity.storage.dialect import insert_or_ignore
from amity.storage.ot.job_tables import schedule_firing
from amity.storage.transactions import Transactions


class SqlFirings:
    """Implements `headend.jobs.ports.FiringStore`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def transaction(self) -> AbstractContextManager[object]:
        """The same as that of the other stores of this database."""
        return self._transactions.write()

    def firing(self, schedule: str) -> Firing | None:
        """None for a schedule that is new here."""
        with self._transactions.read() as connection:
            query = select(schedule_firing).where(schedule_firing.c.schedule == schedule)
            row = connection.execute(query).mappings().one_or_none()
            return None if row is None else Firing(**row)

    def moved(self, before: Firing | None, after: Firing) -> bool:
        """Store `after` if `before` still stands (None: nothing stored yet); False when another was first."""
        columns, row = schedule_firing.c, asdict(after)
        with self._transactions.write() as connection:
            if before is None:
                return connection.execute(insert_or_ignore(connection, schedule_firing), row).rowcount == 1
            unchanged = (columns[name].is_not_distinct_from(value) for name, value in asdict(before).items())
            return connection.execute(update(schedule_firing).where(*unchanged).values(row)).rowcount == 1
