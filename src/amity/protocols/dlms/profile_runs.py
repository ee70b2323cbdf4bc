"""Profile rows by template where cells are left out or told as differences: each row is stretched to a full one.

Compressed profiles write the time in the first row (perhaps again at midnight or after an outage) and null-data after
it, null-data for a status that stays, and differences for registers that count on. How the cells of a row travel is its
shape. Rows of one shape that follow each other are stretched as a whole; where each row has another shape than the one
before, row by row. From there on they are read like those of a buffer without gaps.
"""

from functools import lru_cache
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from amity.protocols.dlms.clock_columns import clock_seconds
from amity.protocols.dlms.data import FIXED_OCTETS, Tag
from amity.protocols.dlms.profile_columns import STATUS_NOT_SPECIFIED, ClockReading, Column, ProfileColumns
from amity.protocols.dlms.profile_template import (
    DELTA_FORMS,
    BufferSpan,
    Cell,
    Template,
    read_column,
    rows_dtype,
    same_shape,
)

_RUN_ROWS_MAX = 4096  # compared at a time, so that the work stays in the processor's cache
_RUN_ROWS_MIN = 2  # so many rows of one shape in a row, and it is worth looking how many more there are
_SHAPES_MAX = 1024
_NULL = int(Tag.NULL)
_FULL, _ABSENT, _DELTA = range(3)
_SUM_MAX = 1 << 62  # beyond, sums are left to the generic reader, whose numbers have no end

_Mask = NDArray[np.bool_]
_Ints = NDArray[np.int64]


class _Shape(NamedTuple):
    """How the cells of a row travel.

    `kinds` has an octet for each cell. A full row is made of `pieces` of the row and `fillers` between them: tag and
    length of what is missing, zeros for its value. `fixed` and `mask` are as in the template, `deltas` reads the
    differences (column `c3` for cell 3); `differences` says the same of a single row: name, start, end, signed.
    """

    kinds: bytes
    row_octets: int
    pieces: tuple[slice, ...]
    fillers: tuple[bytes, ...]
    fixed: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    deltas: np.dtype[Any]
    differences: tuple[tuple[str, int, int, bool], ...]

    def stretched(self, raw: bytes, at: int) -> bytes:
        """The row at `at` in full."""
        row = raw[at : at + self.row_octets]
        parts = [row[self.pieces[0]]]
        for filler, piece in zip(self.fillers, self.pieces[1:], strict=True):
            parts += (filler, row[piece])
        return b"".join(parts)


class _Rows:
    """Full rows, what each cell was, and the differences of the columns that have some."""

    def __init__(self, rows: int) -> None:
        self.full: list[bytes] = []
        self.kinds: list[bytes] = []
        self.deltas: dict[str, _Ints] = {}
        self.count = 0
        self._rows = rows

    def add(self, shape: _Shape, raw: bytes, at: int, rows: int) -> None:
        """Rows of one shape that follow each other from `at` on."""
        if rows == 1:  # NumPy is slower than Python at a single row
            self.full.append(shape.stretched(raw, at))
            for name, start, end, signed in shape.differences:
                self._column(name)[self.count] = int.from_bytes(raw[at + start : at + end], "big", signed=signed)
        else:
            self.full.append(_stretched_run(shape, raw, at, rows))
            for name in shape.deltas.names or ():
                column = np.frombuffer(raw, shape.deltas, rows, at)[name]
                self._column(name)[self.count : self.count + rows] = column
        self.kinds.append(shape.kinds * rows)
        self.count += rows

    def _column(self, name: str) -> _Ints:
        column = self.deltas.get(name)
        if column is None:
            column = self.deltas[name] = np.zeros(self._rows, np.int64)
        return column


def read_rows(
    template: Template, raw: bytes, span: BufferSpan, clock: ClockReading, *, null_repeats: bool
) -> ProfileColumns | None:
    """Decode the rows of a buffer; None when one differs from the template by more than null-data and differences.

    Also None for what the generic reader alone handles or refuses: a column without any value, a first row without a
    time, a time that is no instant, a difference to nothing.
    """
    rows = _rows(template, raw, span)
    if rows is None:
        return None
    octets, kinds_by_row = b"".join(rows.full), b"".join(rows.kinds)
    gaps = [kinds_by_row[place :: len(template.cells)].count(_ABSENT) for place in range(len(template.cells))]
    kinds = np.frombuffer(kinds_by_row, np.uint8).reshape(span.rows, len(template.cells))
    if not same_shape(template, octets, 0, span.rows) or span.rows in gaps:
        return None
    times = _times(template, octets, kinds[:, template.clock] == _FULL, clock)
    if times is None:
        return None
    numbers = np.frombuffer(octets, template.dtype)
    columns: list[Column] = []
    missing: list[_Mask | None] = []
    for place, cell in enumerate(template.cells):
        column, mask = times[0] if place == template.clock else read_column(cell, numbers, octets, 0), None
        if cell.name in rows.deltas and column is not None:
            column = _added_up(cast("_Ints", column), rows.deltas[cell.name], kinds[:, place])
        if column is None:
            return None
        if gaps[place] and place != template.clock:
            column, mask = _with_gaps(column, kinds[:, place] == _ABSENT, repeat=null_repeats)
        columns.append(column)
        missing.append(mask)
    return ProfileColumns(span.rows, *times, tuple(columns), template.tags, tuple(missing))


# ------------------------------------------------------------------ shapes
def _rows(template: Template, raw: bytes, span: BufferSpan) -> _Rows | None:
    """Every row in full; None when there is one of another shape, or octets are left over."""
    found = _Rows(span.rows)
    at, same, before = span.start, 0, None
    while found.count < span.rows:
        tags = _tags_at(template, raw, at)
        if tags is None:
            return None
        same = same + 1 if tags == before else 1
        shape, before = _shape(template, tags), tags
        rest = span.rows - found.count
        all_alike = rest * shape.row_octets == len(raw) - at
        rows = _run_rows(shape, raw, at, rest) if all_alike or same >= _RUN_ROWS_MIN else 1
        if not rows or at + shape.row_octets > len(raw):
            return None
        found.add(shape, raw, at, rows)
        at += rows * shape.row_octets
    return found if at == len(raw) else None


def _tags_at(template: Template, raw: bytes, at: int) -> bytes | None:
    """The tags of the row at `at`, None when it is no row of this template or the buffer ends in it."""
    tags = bytearray()
    position, end = at + template.cells[0].start, len(raw)
    for octets_of in template.octets_of:
        if position >= end:
            return None
        tag = raw[position]
        octets = octets_of.get(tag)
        if octets is None:
            return None
        tags.append(tag)
        position += octets
    return bytes(tags)


@lru_cache(maxsize=_SHAPES_MAX)
def _shape(template: Template, tags: bytes) -> _Shape:
    """The row whose cells have these tags."""
    pieces: list[slice] = []
    fillers: list[bytes] = []
    fixed: list[NDArray[np.uint8]] = []
    mask: list[NDArray[np.uint8]] = []
    deltas: list[tuple[str, str, int]] = []
    source = begin = 0
    for cell, tag in zip(template.cells, tags, strict=True):
        if tag == cell.tag:
            continue
        end = source + cell.start - begin
        pieces.append(slice(source, end))
        after = cell.offset + cell.octets
        fillers.append(template.fixed[cell.start : after].tobytes())
        travels = 1 if tag == _NULL else 1 + FIXED_OCTETS[Tag(tag)]
        fixed += [template.fixed[begin : cell.start], np.array([tag, *[0] * (travels - 1)], np.uint8)]
        mask += [template.mask[begin : cell.start], np.array([0xFF, *[0] * (travels - 1)], np.uint8)]
        if tag != _NULL:
            deltas.append((cell.name, DELTA_FORMS[Tag(tag)], end + 1))
        source, begin = end + travels, after
    pieces.append(slice(source, source + template.row_octets - begin))
    row_octets = pieces[-1].stop
    return _Shape(
        bytes(map(_kind, template.cells, tags)), row_octets, tuple(pieces), tuple(fillers),
        np.concatenate([*fixed, template.fixed[begin:]]), np.concatenate([*mask, template.mask[begin:]]),
        rows_dtype(deltas, row_octets),
        tuple((name, at, at + np.dtype(form).itemsize, np.dtype(form).kind == "i") for name, form, at in deltas),
    )  # fmt: skip


def _kind(cell: Cell, tag: int) -> int:
    if tag == cell.tag:
        return _FULL
    return _ABSENT if tag == _NULL else _DELTA


def _run_rows(shape: _Shape, raw: bytes, at: int, rows_max: int) -> int:
    """How many rows of this shape follow each other."""
    rows = min(rows_max, (len(raw) - at) // shape.row_octets, _RUN_ROWS_MAX)
    differs = (_grid(shape, raw, at, rows) & shape.mask) != shape.fixed
    return int(differs.any(axis=1).argmax()) if differs.any() else rows


def _stretched_run(shape: _Shape, raw: bytes, at: int, rows: int) -> bytes:
    grid = _grid(shape, raw, at, rows)
    full = np.tile(np.frombuffer(shape.stretched(raw, at), np.uint8), (rows, 1))
    begin = 0
    for number, piece in enumerate(shape.pieces):
        end = begin + piece.stop - piece.start
        full[:, begin:end] = grid[:, piece]
        begin = end + (len(shape.fillers[number]) if number < len(shape.fillers) else 0)
    return full.tobytes()


def _grid(shape: _Shape, raw: bytes, at: int, rows: int) -> NDArray[np.uint8]:
    return np.frombuffer(raw, np.uint8, rows * shape.row_octets, at).reshape(rows, shape.row_octets)


# ------------------------------------------------------------------ values
def _times(
    template: Template, octets: bytes, said: _Mask, clock: ClockReading
) -> tuple[_Ints, NDArray[np.uint8]] | None:
    """Instants and clock status of all rows, counted on by the capture period from the last time that was said."""
    rows, places = len(said), np.flatnonzero(said)
    period_s = clock.capture_period_s or 0
    if len(places) < rows and not (said[0] and period_s):
        return None
    clocks = np.frombuffer(octets, template.clock_dtype)[places]
    read = clock_seconds(clocks, clock.default_deviation_min, deviation_inverted=clock.deviation_inverted)
    if read is None:
        return None
    status = np.full(rows, STATUS_NOT_SPECIFIED, np.uint8)
    status[places] = clocks["status"]
    spans = [*(places[1:] - places[:-1]).tolist(), rows - int(places[-1])]
    return np.repeat(read - places * period_s, spans) + np.arange(rows) * period_s, status


def _added_up(values: _Ints, deltas: _Ints, kinds: NDArray[np.uint8]) -> _Ints | None:
    """Each row's value: the last one that was said in full and all differences since.

    None when there is a difference before any value, or 62 bits do not hold the sums.
    """
    full = kinds == _FULL
    sums, last = deltas.cumsum(), _last_of(full)
    if (kinds[~full[last]] == _DELTA).any() or max(int(abs(values).max()), int(abs(sums).max())) >= _SUM_MAX:
        return None
    added: _Ints = values[last] + sums - sums[last]
    return added


def _with_gaps(column: Column, gone: _Mask, *, repeat: bool) -> tuple[Column, _Mask | None]:
    """A column with missing cells, filled with the value before them where null-data means that."""
    if repeat:
        last = _last_of(~gone)
        gone = gone & gone[last]  # what has nothing before it stays missing
        column = column[last] if isinstance(column, np.ndarray) else [column[number] for number in last]
    mask = gone if gone.any() else None
    if isinstance(column, np.ndarray):
        return np.where(gone, column.dtype.type(0), column), mask
    return [None if absent else value for value, absent in zip(column, gone, strict=True)], mask


def _last_of(there: _Mask) -> _Ints:
    """For each row the number of the last row up to it that is there, 0 before the first."""
    return cast("_Ints", np.maximum.accumulate(np.where(there, np.arange(there.size), 0)))
