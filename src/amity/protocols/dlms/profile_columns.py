"""A profile generic buffer as columns: one array per captured attribute, instants in epoch seconds."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amity.protocols.dlms.data_types import Tag, Value

IntColumn = NDArray[np.int64]
FloatColumn = NDArray[np.float64]
Column = IntColumn | FloatColumn | list[Value]

STATUS_NOT_SPECIFIED = 0xFF
"""The clock status of a time that the meter left out."""


class ProfileColumns(NamedTuple):
    """The rows of a buffer, column by column, in the order of the capture objects.

    `timestamps_s` are the instants of the clock column in epoch seconds, which also stand at its place in `columns`;
    `clock_status` is the status octet of each (0xFF: not specified, also where the meter left the time out).
    Whole numbers, booleans and enums become int64 arrays, floats float64 arrays, anything else a list; `tags` say what
    travelled. `missing` has a mask per column, True where the meter sent null-data (the array holds 0, the list None
    there), or None when every cell is there: a missing cell never shifts its neighbours.
    """

    rows: int
    timestamps_s: IntColumn
    clock_status: NDArray[np.uint8]
    columns: tuple[Column, ...]
    tags: tuple[Tag, ...]
    missing: tuple[NDArray[np.bool_] | None, ...]


class ClockReading(NamedTuple):
    """How the clock column of a profile is to be read.

    Args:
        default_deviation_min: taken where the meter leaves its deviation open; None refuses such a time.
        deviation_inverted: for meters that send minutes from UTC to local time, against the standard.
        capture_period_s: fills a time that the meter left out (null-data) from the row before; None refuses it.
        column: number of the clock column from 0; None takes the first that looks like a date-time.
    """

    default_deviation_min: int | None = None
    deviation_inverted: bool = False
    capture_period_s: int | None = None
    column: int | None = None


EMPTY = ProfileColumns(0, np.empty(0, np.int64), np.empty(0, np.uint8), (), (), ())
