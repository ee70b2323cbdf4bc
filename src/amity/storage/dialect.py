"""The one place that knows how each database spells INSERT … ON CONFLICT, and how many rows go in at once."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_STATEMENTS = 128  # far more than there are tables


def insert_or_ignore(connection: Connection, table: Table) -> Any:
    """INSERT … ON CONFLICT DO NOTHING: what is there stays."""
    return _insert_or_ignore(connection.dialect.name, table)


def insert_or_update(connection: Connection, table: Table, *, newer_by: str | None = None) -> Any:
    """INSERT … ON CONFLICT (primary key) DO UPDATE of every other column.

    With `newer_by`, only where that column of the new row is not before the stored one: out of order changes nothing.
    """
    return _insert_or_update(connection.dialect.name, table, newer_by)


def execute_rows(connection: Connection, statement: Any, rows: Sequence[Mapping[str, Any]]) -> int:
    """Execute for every row; return how many stored rows changed. For many rows with the same keys.

    Values go to the driver as they are (an `Instant` as its microseconds): the conversions that SQLAlchemy makes for
    each row would be a fifth of the time that a block takes.
    """
    if not rows:
        return 0
    compiled = _compiled(connection.dialect, statement, tuple(rows[0]))
    order = compiled.positiontup
    parameters: Any = list(rows) if order is None else list(map(itemgetter(*order), rows))
    options = {"preserve_rowcount": True}
    return connection.exec_driver_sql(compiled.string, parameters, execution_options=options).rowcount


@lru_cache(maxsize=_STATEMENTS)
def _insert_or_ignore(dialect: str, table: Table) -> Any:
    return _INSERTS[dialect](table).on_conflict_do_nothing()


@lru_cache(maxsize=_STATEMENTS)
def _insert_or_update(dialect: str, table: Table, newer_by: str | None) -> Any:
    insert = _INSERTS[dialect](table)
    assigned = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
    condition = None if newer_by is None else insert.excluded[newer_by] >= table.columns[newer_by]
    return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=assigned, where=condition)


@lru_cache(maxsize=_STATEMENTS)
def _compiled(dialect: Dialect, statement: Any, keys: tuple[str, ...]) -> SQLCompiler:
    compiled: SQLCompiler = statement.compile(dialect=dialect, column_keys=list(keys))
    return compiled
