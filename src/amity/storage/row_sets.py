"""Many rows as one parameter: a JSON array of arrays that the database itself opens into a table expression.

One statement then does what else takes one round trip for each row, and its text is always the same, so that it is
compiled once. Both databases read JSON: https://sqlite.org/json1.html and PostgreSQL's `json_array_elements`.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, TextClause, text

TEXT: Final = "text"
INTEGER: Final = "bigint"
ROWS: Final = "rows"
"""The name of the parameter."""

Columns = tuple[tuple[str, str], ...]


def as_parameter(rows: Iterable[Sequence[Any]]) -> str:
    """The rows as the parameter ROWS: texts, integers and None in the order of the columns."""
    return json.dumps(list(rows), ensure_ascii=False, separators=(",", ":"))


def statement(connection: Connection, sql: str, columns: Columns) -> TextClause:
    """The statement, with `{rows}` standing for the table expression of these columns."""
    return _statement(connection.dialect.name, sql, columns)


def run(connection: Connection, sql: str, columns: Columns, rows: Collection[Sequence[Any]], **values: Any) -> Any:
    """Carry a statement out for all rows at once; nothing is done, and nothing found, for none."""
    if not rows:
        return ()
    return connection.execute(statement(connection, sql, columns), {ROWS: as_parameter(rows), **values})


@lru_cache(maxsize=128)
def _statement(dialect: str, sql: str, columns: Columns) -> TextClause:
    make = {"sqlite": _sqlite, "postgresql": _postgresql}[dialect]
    return text(sql.replace("{rows}", make(columns)))


def _sqlite(columns: Columns) -> str:
    picked = ", ".join(f"json_extract(value, '$[{index}]') AS {name}" for index, (name, _) in enumerate(columns))
    return f"(SELECT {picked} FROM json_each(:{ROWS}))"  # noqa: S608 - names of our own columns


def _postgresql(columns: Columns) -> str:
    picked = ", ".join(f"CAST(value->>{index} AS {kind}) AS {name}" for index, (name, kind) in enumerate(columns))
    return f"(SELECT {picked} FROM json_array_elements(CAST(:{ROWS} AS json)) AS element(value))"  # noqa: S608 - as above
