"""Tables on the terminal: words wrap, figures and names are never cut."""

import os
from collections.abc import Collection, Sequence
from typing import Final, Literal

from rich.console import Console
from rich.table import Table

_WRAPPED_MIN: Final = 12
_ANY_WIDTH: Final = 10_000
_WIDTH: Final = "COLUMNS"


def table_of(headings: Sequence[str], *, wrapped: Collection[str], right: Collection[str] = ()) -> Table:
    """An empty table; the columns `wrapped` may be broken into lines, the others stand as they are."""
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for heading in headings:
        justify: Literal["right", "left"] = "right" if heading in right else "left"
        if heading in wrapped:
            table.add_column(heading, justify=justify, overflow="fold", min_width=_WRAPPED_MIN)
        else:
            table.add_column(heading, justify=justify, no_wrap=True)
    return table


def print_table(table: Table) -> None:
    """Print it; where the terminal is too narrow for what must not be broken, the lines are longer than it.

    Nothing is broken where no terminal is and nobody says how wide (COLUMNS): a row is a line for `grep` and `awk`.
    """
    console = Console()
    needed = console.measure(table, options=console.options.update_width(_ANY_WIDTH))
    anybody_reads = console.is_terminal or _WIDTH in os.environ
    console.width = max(console.width, needed.minimum if anybody_reads else needed.maximum)
    console.print(table)
