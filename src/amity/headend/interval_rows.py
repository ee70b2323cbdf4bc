"""Rows of a load profile on their grid: which interval each belongs to, and totals turned into amounts. Pure NumPy."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amity.domain.readings import Int64Column
from amity.protocols.dlms.data import Tag

Positions = NDArray[np.intp]
Mask = NDArray[np.bool_]

MODULUS: Final = {Tag.UNSIGNED: 1 << 8, Tag.LONG_UNSIGNED: 1 << 16, Tag.DOUBLE_LONG_UNSIGNED: 1 << 32}
"""Where a running total of this type starts again from 0; a 64-bit total never gets there."""

_PLAUSIBLE_SHARE: Final = 64
"""A total that fell by rolling over comes back a little above 0; one that was reset would seem to have moved by a large
share of its range. 2**32 Wh / 64 is 67 MWh, beyond what any meter of this kind measures between two rows."""


class PlacedRows(NamedTuple):
    """Where the rows of a buffer belong.

    `recorded` are the positions of the rows on the grid in the order in which the meter wrote them, `starts` (epoch
    seconds) their intervals. Two rows for one interval come from a clock that was set back: the one written last counts
    and is `repeated`, the others are `superseded`. `off_grid` are positions of rows that start at no multiple of the
    period. `adjacent` are rows written right after the row of the interval before theirs. `in_order` is true when each
    row is later than the one before it.
    """

    recorded: Positions
    starts: Int64Column
    repeated: Mask
    superseded: Mask
    off_grid: Positions
    adjacent: Mask
    in_order: bool


def place(timestamps_s: Int64Column, period_s: int, *, stamped_at_end: bool) -> PlacedRows:
    """Find the interval of each row from its time stamp."""
    starts = timestamps_s - period_s if stamped_at_end else timestamps_s
    on_grid = starts % period_s == 0
    recorded = np.flatnonzero(on_grid)
    if len(recorded) and starts[recorded[0]] > starts[recorded[-1]]:
        recorded = recorded[::-1]  # newest first: sort method LIFO
    starts = starts[recorded]
    steps = np.diff(starts)
    in_order = bool((steps > 0).all())
    repeated, superseded = np.zeros((2, len(starts)), np.bool_) if in_order else _repetitions(starts)
    adjacent = np.zeros(len(starts), np.bool_)
    adjacent[1:] = steps == period_s
    return PlacedRows(recorded, starts, repeated, superseded, np.flatnonzero(~on_grid), adjacent, in_order)


def _repetitions(starts: Int64Column) -> tuple[Mask, Mask]:
    by_time = np.argsort(starts, kind="stable")
    same_as_next = np.append(np.diff(starts[by_time]) == 0, np.zeros(min(len(starts), 1), np.bool_))
    repeated, superseded = np.zeros((2, len(starts)), np.bool_)
    superseded[by_time] = same_as_next
    repeated[by_time[1:]] = same_as_next[:-1]
    return repeated & ~superseded, superseded


def follows(placed: PlacedRows, known: Mask) -> Mask:
    """True for rows written right after the row of the interval before them, where both have a value."""
    following = placed.adjacent & known
    following[1:] &= known[:-1]
    return following


def differences(totals: Int64Column, modulus: int | None) -> tuple[Int64Column, Mask]:
    """Amount of each row since the row before, and where it can be believed; the first row has none.

    A total that went back has rolled over when that explains it by a small step, else it was reset and the amount is
    not known.
    """
    amounts = np.zeros(len(totals), np.int64)
    amounts[1:] = np.diff(totals)
    went_back = amounts < 0
    believable = ~went_back
    if modulus is not None and went_back.any():
        amounts[went_back] += modulus
        believable |= (amounts >= 0) & (amounts <= modulus // _PLAUSIBLE_SHARE)
    believable[:1] = False
    return amounts, believable
