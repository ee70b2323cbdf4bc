"""One transaction per thing done: writes inside `write()` commit together, and a `write()` within another joins it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from sqlalchemy import Connection, Engine

WRITES = "amity_writes"
"""Execution option of a transaction that is going to write: engines that need it take the write lock first."""


class _Open(NamedTuple):
    """A transaction that is being written, and what is done once it is committed."""

    connection: Connection
    afterwards: list[Callable[[], None]]


class Transactions:
    """The connection that this thread or task is to use; safe to share between threads and asyncio tasks."""

    def __init__(self, engine: Engine) -> None:
        self._reader = engine
        self._writer = engine.execution_options(**{WRITES: True})
        self._open: ContextVar[_Open | None] = ContextVar("open_transaction", default=None)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Commit at the end, roll back on any exception; raise StorageError when the database does not take it."""
        joined = self._open.get()
        if joined is not None:
            yield joined.connection
            return
        begun: list[Callable[[], None]] = []
        with self._writer.begin() as connection:
            token = self._open.set(_Open(connection, begun))
            try:
                yield connection
            finally:
                self._open.reset(token)
        for act in begun:
            act()

    def afterwards(self, act: Callable[[], None]) -> None:
        """Do this once what is being written is committed, never if it is not; outside of `write()` at once.

        It must not raise: what was committed cannot be taken back.
        """
        joined = self._open.get()
        if joined is None:
            act()
        else:
            joined.afterwards.append(act)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot; inside `write()` the same connection, so that it sees its own writes."""
        joined = self._open.get()
        if joined is not None:
            yield joined.connection
            return
        with self._reader.connect() as connection:
            yield connection
