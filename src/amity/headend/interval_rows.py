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
    """Positions of rows in the buffer, by what became of them.

    `kept` are in order of time, `starts` (epoch seconds) are theirs, each once; of rows for the same interval the one
    that the meter wrote last is kept and the others are `doubled`; `off_grid` rows start at no multiple of the period.
    """

    kept: Positions
    starts: Int64Column
    doubled: Positions
    off_grid: Positions


def place(timestamps_s: Int64Column, period_s: int, *, stamped_at_end: bool) -> PlacedRows:
    """Find the interval of each row from its time stamp."""
    starts = timestamps_s - period_s if stamped_at_end else timestamps_s
    on_grid = starts % period_s == 0
    positions = np.flatnonzero(on_grid)
    ordered = positions[np.argsort(starts[positions], kind="stable")]
    last_of_its_interval = np.append(np.diff(starts[ordered]) != 0, np.ones(min(len(ordered), 1), np.bool_))
    kept = ordered[last_of_its_interval]
    return PlacedRows(kept, starts[kept], ordered[~last_of_its_interval], np.flatnonzero(~on_grid))


def follows(starts: Int64Column, known: Mask, period_s: int) -> Mask:
    """True for rows whose predecessor is the interval before them and has a value too."""
    following = np.zeros(len(starts), np.bool_)
    following[1:] = (np.diff(starts) == period_s) & known[1:] & known[:-1]
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
    if modulus is not None:
        amounts[went_back] += modulus
        believable |= (amounts >= 0) & (amounts <= modulus // _PLAUSIBLE_SHARE)
    believable[:1] = False
    return amounts, believable
