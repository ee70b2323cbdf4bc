"""Profile rows by template: row 0 is walked once, then every row is cut by offsets while all its tags are compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amity.protocols.dlms.clock_columns import CLOCK_FIELDS, clock_seconds
from amity.protocols.dlms.data import FIXED_OCTETS, Data, DecodeError, Tag, decode, decode_length
from amity.protocols.dlms.datetime import OCTETS as CLOCK_OCTETS
from amity.protocols.dlms.profile_columns import ClockReading, Column, ProfileColumns

_NUMBER_FORMS: dict[Tag, str] = {
    Tag.BOOLEAN: "u1", Tag.DOUBLE_LONG: ">i4", Tag.DOUBLE_LONG_UNSIGNED: ">u4", Tag.INTEGER: "i1", Tag.LONG: ">i2",
    Tag.UNSIGNED: "u1", Tag.LONG_UNSIGNED: ">u2", Tag.LONG64: ">i8", Tag.LONG64_UNSIGNED: ">u8", Tag.ENUM: "u1",
    Tag.BCD: "u1", Tag.FLOATING_POINT: ">f4", Tag.FLOAT32: ">f4", Tag.FLOAT64: ">f8",
}  # fmt: skip
_FLOATS = frozenset({Tag.FLOATING_POINT, Tag.FLOAT32, Tag.FLOAT64})
WHOLE_NUMBERS = frozenset(_NUMBER_FORMS) - _FLOATS
DELTA_FORMS = {
    Tag.DELTA_INTEGER: "i1", Tag.DELTA_LONG: ">i2", Tag.DELTA_DOUBLE_LONG: ">i4",
    Tag.DELTA_UNSIGNED: "u1", Tag.DELTA_LONG_UNSIGNED: ">u2", Tag.DELTA_DOUBLE_LONG_UNSIGNED: ">u4",
}  # fmt: skip
_STRINGS = frozenset({Tag.OCTET_STRING, Tag.VISIBLE_STRING})
_INT64_MAX = np.iinfo(np.int64).max
_JOINED_CHECK_ROWS = 4096  # rows compared at a time, so that the work stays in the processor's cache


class Cell(NamedTuple):
    """One cell of a row: it starts at `start` with its tag; its value stands from `offset` on and takes `octets`."""

    name: str
    tag: Tag
    start: int
    offset: int
    octets: int


class BufferSpan(NamedTuple):
    """Where the rows of an encoded buffer begin and how many it announces."""

    rows: int
    start: int


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """The shape of one row; `fixed` holds its tags and lengths, `mask` is 0xFF where they stand.

    `octets_of` says for each cell how many octets it takes by the tag it travels under: its own, null-data, a delta.
    """

    cells: tuple[Cell, ...]
    clock: int
    row_octets: int
    dtype: np.dtype[Any]
    clock_dtype: np.dtype[Any]
    fixed: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    tags: tuple[Tag, ...]
    octets_of: tuple[Mapping[int, int], ...]


def buffer_span(raw: bytes) -> BufferSpan | None:
    """The head of an array with rows; None when it is no array (a compact array, say) or has no rows."""
    if raw[:1] != bytes([Tag.ARRAY]):
        return None
    rows, start = decode_length(raw, 1)
    return BufferSpan(rows, start) if rows else None


def compile_template(raw: bytes, clock_column: int | None = None) -> Template | None:
    """The template of a buffer's first row; None when the row has a cell whose length is not its own to keep."""
    span = buffer_span(raw)
    if span is None or raw[span.start : span.start + 1] != bytes([Tag.STRUCTURE]):
        return None
    cells = _walk(raw, span.start)
    if cells is None:
        return None
    clock = _clock_of(cells) if clock_column is None else clock_column
    if clock is None or not _is_clock(cells, clock):
        return None
    return _build(raw, span.start, cells, clock)


def _walk(raw: bytes, start: int) -> tuple[Cell, ...] | None:
    """The cells of one row with their offsets in the row; None for nested or variable ones."""
    try:
        count, offset = decode_length(raw, start + 1)
        cells: list[Cell] = []
        for number in range(count):
            data, end = decode(raw, offset)
            octets = _cell_octets(data)
            if octets is None:
                return None
            cells.append(Cell(f"c{number}", data.tag, offset - start, end - octets - start, octets))
            offset = end
    except DecodeError:
        return None  # the generic reader says what is wrong
    return tuple(cells)


def _cell_octets(data: Data) -> int | None:
    if data.tag in _NUMBER_FORMS:
        return FIXED_OCTETS[data.tag]
    if data.tag is Tag.DATE_TIME:
        return CLOCK_OCTETS
    if data.tag in _STRINGS and isinstance(data.value, bytes | str):
        return len(data.value)
    return None


def _is_clock(cells: tuple[Cell, ...], number: int) -> bool:
    return (
        number < len(cells)
        and cells[number].octets == CLOCK_OCTETS
        and cells[number].tag in {Tag.OCTET_STRING, Tag.DATE_TIME}
    )


def _clock_of(cells: tuple[Cell, ...]) -> int | None:
    return next((number for number in range(len(cells)) if _is_clock(cells, number)), None)


def _build(raw: bytes, start: int, cells: tuple[Cell, ...], clock: int) -> Template:
    row_octets = cells[-1].offset + cells[-1].octets
    mask = np.full(row_octets, 0xFF, np.uint8)
    for cell in cells:
        mask[cell.offset : cell.offset + cell.octets] = 0
    fixed = np.frombuffer(raw, np.uint8, row_octets, start) & mask
    numbers = [cell for cell in cells if cell.tag in _NUMBER_FORMS]
    return Template(
        cells, clock, row_octets,
        dtype=rows_dtype([(cell.name, _NUMBER_FORMS[cell.tag], cell.offset) for cell in numbers], row_octets),
        clock_dtype=rows_dtype([(n, form, cells[clock].offset + at) for n, form, at in CLOCK_FIELDS], row_octets),
        fixed=fixed, mask=mask, tags=tuple(cell.tag for cell in cells),
        octets_of=tuple(map(_octets_of, cells)),
    )  # fmt: skip


def _octets_of(cell: Cell) -> dict[int, int]:
    octets = {int(Tag.NULL): 1, int(cell.tag): cell.offset + cell.octets - cell.start}
    if cell.tag in WHOLE_NUMBERS:
        octets |= {int(tag): 1 + FIXED_OCTETS[tag] for tag in DELTA_FORMS}
    return octets


def rows_dtype(fields: list[tuple[str, str, int]], row_octets: int) -> np.dtype[Any]:
    """Rows of so many octets with these fields (name, form, offset) in each."""
    names, forms, offsets = zip(*fields, strict=True) if fields else ((), (), ())
    return np.dtype({"names": names, "formats": forms, "offsets": offsets, "itemsize": row_octets})


def read_rows(template: Template, octets: bytes, start: int, rows: int, clock: ClockReading) -> ProfileColumns | None:
    """Decode rows that follow each other; None when one of them differs from the template in a tag or length.

    Also None for a time that is no instant and for an unsigned number beyond 63 bits: the generic reader handles those.
    """
    if len(octets) - start != rows * template.row_octets or not same_shape(template, octets, start, rows):
        return None
    clocks = np.frombuffer(octets, template.clock_dtype, rows, start)
    seconds = clock_seconds(clocks, clock.default_deviation_min, deviation_inverted=clock.deviation_inverted)
    if seconds is None:
        return None
    numbers = np.frombuffer(octets, template.dtype, rows, start)
    columns: list[Column] = []
    for place, cell in enumerate(template.cells):
        column = seconds if place == template.clock else read_column(cell, numbers, octets, start)
        if column is None:
            return None
        columns.append(column)
    missing = (None,) * len(columns)
    return ProfileColumns(rows, seconds, clocks["status"].copy(), tuple(columns), template.tags, missing)


def same_shape(template: Template, octets: bytes, start: int, rows: int) -> bool:
    """True when every tag and length of rows that fill the octets from `start` on is that of the template."""
    grid = np.frombuffer(octets, np.uint8, rows * template.row_octets, start).reshape(rows, template.row_octets)
    for first in range(0, rows, _JOINED_CHECK_ROWS):
        fixed = grid[first : first + _JOINED_CHECK_ROWS] & template.mask
        if (fixed != template.fixed).any():
            return False
    return True


def cells(template: Template, octets: bytes, span: BufferSpan, number: int) -> bytes | None:
    """One cell of each row, tags included, one after the other; None when a row differs from the template."""
    if len(octets) - span.start != span.rows * template.row_octets:
        return None
    if not same_shape(template, octets, span.start, span.rows):
        return None
    cell = template.cells[number]
    grid = np.frombuffer(octets, np.uint8, offset=span.start).reshape(span.rows, template.row_octets)
    return grid[:, cell.start : cell.offset + cell.octets].tobytes()


def read_column(cell: Cell, numbers: NDArray[np.void], octets: bytes, start: int) -> Column | None:
    """The values of one cell in all rows; None for a number beyond 63 bits.

    `numbers` are the rows as a structured array with the template's `dtype`, `octets` the same rows from `start` on.
    """
    if cell.tag in _FLOATS:
        return numbers[cell.name].astype(np.float64)
    if cell.tag not in _NUMBER_FORMS:
        return _strings(cell, octets, start, numbers.itemsize)
    if cell.tag is Tag.LONG64_UNSIGNED and numbers[cell.name].max() > _INT64_MAX:
        return None
    return numbers[cell.name].astype(np.int64)


def _strings(cell: Cell, octets: bytes, start: int, row_octets: int) -> Column:
    firsts = range(start + cell.offset, len(octets), row_octets)
    if cell.tag is Tag.VISIBLE_STRING:
        return [octets[first : first + cell.octets].decode("latin-1") for first in firsts]
    return [octets[first : first + cell.octets] for first in firsts]
