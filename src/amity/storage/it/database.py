"""The IT zone's database, opened and brought up to date."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from amity.storage.it.blocks import SqlBlockStore
from amity.storage.it.dead_letters import SqlDeadLetters
from amity.storage.it.deliveries import SqlDeliveryStore
from amity.storage.it.exceptions import SqlExceptionStore
from amity.storage.it.logins import SqlLoginStore
from amity.storage.it.registry import SqlRegistryStore
from amity.storage.migrations import upgrade
from amity.storage.sqlite import open_sqlite
from amity.storage.transactions import Transactions
from amity.usecases.ports import (
    BlockStore,
    DeadLetters,
    DeliveryStore,
    ExceptionStore,
    LoginStore,
    RegistryStore,
)

MIGRATIONS = "amity.storage.it:migrations"


class ItDatabase:
    """All stores on one engine; a write outside `transaction()` is a transaction of its own.

    Fulfils `usecases.ports.Database`; `logins` fulfils `LoginStore`. Safe to share between threads and asyncio tasks.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._transactions = Transactions(engine)
        self.registry: RegistryStore = SqlRegistryStore(self._transactions)
        self.blocks: BlockStore = SqlBlockStore(self._transactions)
        self.deliveries: DeliveryStore = SqlDeliveryStore(self._transactions)
        self.exceptions: ExceptionStore = SqlExceptionStore(self._transactions)
        self.dead_letters: DeadLetters = SqlDeadLetters(self._transactions)
        self.logins: LoginStore = SqlLoginStore(self._transactions)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside commit together or not at all; within another transaction it joins that one."""
        with self._transactions.write():
            yield

    def close(self) -> None:
        """Give the files back."""
        self._engine.dispose()


def open_database(path: Path) -> ItDatabase:
    """Open or create `it.sqlite` and migrate it; raise StorageError when the disk or the file does not allow it."""
    engine = open_sqlite(path)
    upgrade(engine, MIGRATIONS)
    return ItDatabase(engine)
