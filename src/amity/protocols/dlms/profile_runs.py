"""Profile rows by template where cells are left out: runs of rows with the same cells as null-data, cut as a whole.

Compressed profiles write the time in the first row (perhaps again at midnight or after an outage) and null-data after
it, and null-data for a status that stays. The rows between two such changes are of one length: a run. Each run is
copied into a grid of full rows; from there on the rows are read like those of a buffer without gaps.
"""

from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from amity.protocols.dlms.clock_columns import clock_seconds
from amity.protocols.dlms.profile_columns import STATUS_NOT_SPECIFIED, ClockReading, Column, ProfileColumns
from amity.protocols.dlms.profile_template import BufferSpan, Template, read_column

_RUN_ROWS_MAX = 4096  # compared at a time, so that the work stays in the processor's cache
_SHAPES_MAX = 1024
_NULL = 0

_Mask = NDArray[np.bool_]


class _Shape(NamedTuple):
    """A row of a template with some cells as null-data; `pieces` are what is copied: from where, to where."""

    nulls: frozenset[int]
    row_octets: int
    fixed: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    pieces: tuple[tuple[slice, slice], ...]


class _Run(NamedTuple):
    """Rows of one shape that follow each other, from `first` to before `end`."""

    first: int
    end: int
    nulls: frozenset[int]


def read_rows(
    template: Template, raw: bytes, span: BufferSpan, clock: ClockReading, *, null_repeats: bool
) -> ProfileColumns | None:
    """Decode the rows of a buffer; None when one differs from the template by more than null-data.

    Also None for what the generic reader alone handles or refuses: a column without any value, a first row without a
    time, a time that is no instant.
    """
    grid = np.zeros((span.rows, template.row_octets), np.uint8)
    runs = _copy_runs(template, raw, span, grid)
    if runs is None or frozenset.intersection(*(run.nulls for run in runs)):
        return None
    times = _times(template, grid, runs, clock)
    if times is None:
        return None
    columns: list[Column] = []
    missing: list[_Mask | None] = []
    with_gaps = frozenset.union(*(run.nulls for run in runs)) - {template.clock}
    numbers = grid.reshape(-1).view(template.dtype)
    with_strings = len(template.dtype.names or ()) < len(template.cells)
    octets = grid.tobytes() if with_strings else b""
    for place, cell in enumerate(template.cells):
        column, mask = times[0] if place == template.clock else read_column(cell, numbers, octets, 0), None
        if column is None:
            return None
        if place in with_gaps:
            column, mask = _with_gaps(column, _absent(place, runs), repeat=null_repeats)
        columns.append(column)
        missing.append(mask)
    return ProfileColumns(span.rows, *times, tuple(columns), template.tags, tuple(missing))


# ------------------------------------------------------------------ runs
def _copy_runs(template: Template, raw: bytes, span: BufferSpan, grid: NDArray[np.uint8]) -> list[_Run] | None:
    """Copy run after run into the grid; None when there is a row of another shape, or octets are left over."""
    runs: list[_Run] = []
    first, at = 0, span.start
    while first < span.rows:
        nulls = _nulls_at(template, raw, at)
        shape = None if nulls is None else _shape(template, nulls)
        rows = 0 if shape is None else _run_rows(shape, raw, at, span.rows - first)
        if shape is None or not rows:
            return None
        end, after = first + rows, at + rows * shape.row_octets
        source = np.frombuffer(raw, np.uint8, after - at, at).reshape(rows, shape.row_octets)
        for piece, place in shape.pieces:
            grid[first:end, place] = source[:, piece]
        runs.append(_Run(first, end, shape.nulls))
        first, at = end, after
    return runs if at == len(raw) else None


def _nulls_at(template: Template, raw: bytes, at: int) -> tuple[int, ...] | None:
    """Which cells of the row at `at` are null-data, None when the buffer ends in it."""
    nulls: list[int] = []
    position, end = at + template.cells[0].start, len(raw)
    for number, cell in enumerate(template.cells):
        if position >= end:
            return None
        if raw[position] == _NULL:
            nulls.append(number)
            position += 1
        else:
            position += cell.offset + cell.octets - cell.start
    return tuple(nulls)


@lru_cache(maxsize=_SHAPES_MAX)
def _shape(template: Template, nulls: tuple[int, ...]) -> _Shape:
    """The row with these cells as null-data; between two of them lies a piece that stays as it is."""
    fixed: list[NDArray[np.uint8]] = []
    mask: list[NDArray[np.uint8]] = []
    pieces: list[tuple[slice, slice]] = []
    source = begin = 0
    for end, after in _gaps(template, nulls):
        pieces.append((slice(source, source + end - begin), slice(begin, end)))
        fixed.append(template.fixed[begin:end])
        mask.append(template.mask[begin:end])
        source, begin = source + end - begin, after
        if after > end:  # one octet for what is left out
            fixed.append(np.zeros(1, np.uint8))
            mask.append(np.full(1, 0xFF, np.uint8))
            source += 1
    return _Shape(frozenset(nulls), source, np.concatenate(fixed), np.concatenate(mask), tuple(pieces))


def _gaps(template: Template, nulls: tuple[int, ...]) -> list[tuple[int, int]]:
    """From where to where the full row is left out, and the end of the row as the last, empty gap."""
    gone = [template.cells[number] for number in nulls]
    return [*((cell.start, cell.offset + cell.octets) for cell in gone), (template.row_octets, template.row_octets)]


def _run_rows(shape: _Shape, raw: bytes, at: int, rows_max: int) -> int:
    """How many rows of this shape follow each other."""
    rows = min(rows_max, (len(raw) - at) // shape.row_octets, _RUN_ROWS_MAX)
    run = np.frombuffer(raw, np.uint8, rows * shape.row_octets, at).reshape(rows, shape.row_octets)
    differs = (run & shape.mask) != shape.fixed
    return int(differs.any(axis=1).argmax()) if differs.any() else rows


# ------------------------------------------------------------------ values
def _times(
    template: Template, grid: NDArray[np.uint8], runs: list[_Run], clock: ClockReading
) -> tuple[NDArray[np.int64], NDArray[np.uint8]] | None:
    """Instants and clock status of all rows, counted on by the capture period from the last time that was said."""
    gaps = [run for run in runs if template.clock in run.nulls]
    if gaps and (gaps[0].first == 0 or not clock.capture_period_s):
        return None
    said = ~_absent(template.clock, gaps, len(grid))
    clocks = grid[said].reshape(-1).view(template.clock_dtype)
    read = clock_seconds(clocks, clock.default_deviation_min, deviation_inverted=clock.deviation_inverted)
    if read is None:
        return None
    seconds, status = np.empty(len(grid), np.int64), np.full(len(grid), STATUS_NOT_SPECIFIED, np.uint8)
    seconds[said], status[said] = read, clocks["status"]
    for first, end, _ in gaps:
        seconds[first:end] = clock.capture_period_s or 0
        seconds[first - 1 : end].cumsum(out=seconds[first - 1 : end])
    return seconds, status


def _absent(place: int, runs: list[_Run], rows: int | None = None) -> _Mask:
    """In which rows a cell is null-data."""
    mask = np.zeros(runs[-1].end if rows is None else rows, np.bool_)
    for run in runs:
        if place in run.nulls:
            mask[run.first : run.end] = True
    return mask


def _with_gaps(column: Column, gone: _Mask, *, repeat: bool) -> tuple[Column, _Mask | None]:
    """A column with missing cells, filled with the value before them where null-data means that."""
    if repeat:
        last = _last_of(~gone)
        gone = gone & gone[last]  # what has nothing before it stays missing
        column = column[last] if isinstance(column, np.ndarray) else [column[number] for number in last]
    if isinstance(column, np.ndarray):
        return column, gone if gone.any() else None
    return [None if absent else value for value, absent in zip(column, gone, strict=True)], gone if gone.any() else None


def _last_of(there: _Mask) -> NDArray[np.int64]:
    """For each row the number of the last row up to it that is there, 0 before the first."""
    return cast("NDArray[np.int64]", np.maximum.accumulate(np.where(there, np.arange(there.size), 0)))
