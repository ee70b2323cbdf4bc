"""What ran between Amity and a foreign program: one row for each exchange, printed as a table by `make interop`.

Every order given to a foreign client through `foreign.py` notes itself. A test that does something else calls `ran`; a
test that shows a defect of the peer calls `defect` with one sentence: the table then names it instead of a tick.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `test` is the node id of the test it belongs to."""

    peer: str
    role: str
    framing: str
    auth: str
    ciphering: str
    services: str
    test: str
    result: str = "ok"


ROWS: list[Row] = []
CLASSES: list[str] = []
"""The comparison of the tables of interface classes, a line for each version of a class."""


def ran(
    peer: str, *, role: str = "client", framing: str = "wrapper", auth: str, ciphering: str = "none", services: str
) -> None:
    """Note that the running test has `peer` do this; `role` is the peer's: client or meter."""
    ROWS.append(Row(peer, role, framing, auth, ciphering, services, _running_test()))


def defect(sentence: str) -> None:
    """Name a defect of the peer itself: it replaces the result of every row of the running test."""
    _mark(_running_test(), f"peer defect: {sentence}")


def compared(lines: Iterable[str]) -> None:
    """Keep the lines of a comparison of tables."""
    CLASSES[:] = lines


def failed(test: str) -> None:
    """The test failed: so did its rows."""
    _mark(test, "FAILED")


def table(rows: Iterable[Row]) -> list[str]:
    """The rows as aligned lines under a heading, equal ones once."""
    cells = [("peer", "as", "framing", "auth", "ciphering", "services", "result")]
    cells += dict.fromkeys((r.peer, r.role, r.framing, r.auth, r.ciphering, r.services, r.result) for r in rows)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _mark(test: str, result: str) -> None:
    ROWS[:] = [replace(row, result=result) if row.test == test else row for row in ROWS]


def _running_test() -> str:
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
