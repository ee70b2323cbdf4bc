"""Profile rows one by one, for buffers with null-data, delta values, compact arrays or rows of different shape."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from amity.kernel.errors import RemoteProtocolError
from amity.kernel.time import epoch_s
from amity.protocols.dlms.data import CompactArray, Data, DecodeError, Tag, Value, array, decode_all, encode
from amity.protocols.dlms.datetime import OCTETS as CLOCK_OCTETS
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.profile_columns import EMPTY, STATUS_NOT_SPECIFIED, ClockReading, Column, ProfileColumns

_DELTAS = frozenset(tag for tag in Tag if tag.name.startswith("DELTA_"))
_WHOLE_NUMBERS = frozenset({
    Tag.BOOLEAN, Tag.DOUBLE_LONG, Tag.DOUBLE_LONG_UNSIGNED, Tag.BCD, Tag.INTEGER, Tag.LONG, Tag.UNSIGNED,
    Tag.LONG_UNSIGNED, Tag.LONG64, Tag.LONG64_UNSIGNED, Tag.ENUM,
})  # fmt: skip
_FLOATS = frozenset({Tag.FLOATING_POINT, Tag.FLOAT32, Tag.FLOAT64})
_INT64_MAX = (1 << 63) - 1


def read_rows(raw: bytes, clock: ClockReading, *, null_repeats: bool) -> ProfileColumns:
    """Decode a buffer of any encoding the standard allows; raise DecodeError or RemoteProtocolError, never guess.

    Args:
        raw: the A-XDR octets of the buffer attribute.
        clock: how times are to be read.
        null_repeats: null-data in a value column means "as in the row before" (compression), not "no value".
    """
    rows = _rows(raw)
    if not rows:
        return EMPTY
    columns = [_undelta(list(cells)) for cells in zip(*rows, strict=True)]
    place = _clock_column(columns) if clock.column is None else clock.column
    if not 0 <= place < len(columns):
        raise DecodeError(f"the rows have {len(columns)} columns and no number {place} for the clock", 0)
    seconds, status = _times(columns[place], clock)
    read = [_column(_repeated(cells) if null_repeats else cells) for cells in columns]
    values = tuple(seconds if number == place else column for number, (column, _) in enumerate(read))
    missing = tuple(None if number == place else mask for number, (_, mask) in enumerate(read))
    return ProfileColumns(len(rows), seconds, status, values, tuple(map(_tag_of, columns)), missing)


def column_octets(raw: bytes, number: int) -> bytes:
    """One column as an encoded array of its cells; raise DecodeError for rows that have no such column."""
    rows = _rows(raw)
    if rows and not 0 <= number < len(rows[0]):
        raise DecodeError(f"the rows have {len(rows[0])} columns and no number {number}", 0)
    return encode(array([row[number] for row in rows]))


def _rows(raw: bytes) -> list[tuple[Data, ...]]:
    buffer = decode_all(raw)
    if buffer.tag not in {Tag.ARRAY, Tag.COMPACT_ARRAY}:
        raise DecodeError(f"a profile buffer is an array, not {buffer.tag.label}", 0)
    rows = [_cells(row, number) for number, row in enumerate(buffer.items)]
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise DecodeError(f"row {number} has {len(row)} cells, row 0 has {len(rows[0])}", 0)
    return rows


def _cells(row: Data, number: int) -> tuple[Data, ...]:
    if row.tag is not Tag.STRUCTURE or not row.items:
        raise DecodeError(f"row {number} is {row.tag.label}; a profile row is a structure with cells", 0)
    return row.items


def _undelta(cells: list[Data]) -> list[Data]:
    """Replace differences by the values they lead to."""
    base: Data | None = None
    for number, cell in enumerate(cells):
        if cell.tag in _DELTAS:
            if base is None:
                raise DecodeError(f"row {number} gives a difference and no value stands before it", 0)
            cells[number] = Data(base.tag, cast("int", base.value) + cast("int", cell.value))
        if cells[number].tag in _WHOLE_NUMBERS:
            base = cells[number]
    return cells


def _repeated(cells: list[Data]) -> list[Data]:
    """Fill null-data with the value of the row before."""
    filled = list(cells)
    for number in range(1, len(filled)):
        if filled[number].tag is Tag.NULL:
            filled[number] = filled[number - 1]
    return filled


def _tag_of(cells: list[Data]) -> Tag:
    return next((cell.tag for cell in cells if cell.tag is not Tag.NULL), Tag.NULL)


def _column(cells: list[Data]) -> tuple[Column, NDArray[np.bool_] | None]:
    """Values and the mask of those that are missing; one kind of number makes an array, a mixture a list."""
    absent = [cell.tag is Tag.NULL for cell in cells]
    mask = np.array(absent) if any(absent) else None
    tags = {cell.tag for cell in cells} - {Tag.NULL}
    numbers = [cell.value or 0 for cell in cells]
    if tags and tags <= _WHOLE_NUMBERS and all(-_INT64_MAX <= cast("int", value) <= _INT64_MAX for value in numbers):
        return np.array(numbers, np.int64), mask
    if tags and tags <= _FLOATS:
        return np.array(numbers, np.float64), mask
    return [_plain(cell) for cell in cells], mask


def _plain(cell: Data) -> Value:
    return cell.value.items if isinstance(cell.value, CompactArray) else cell.value


# ------------------------------------------------------------------ the clock column
def _clock_column(columns: list[list[Data]]) -> int:
    for number, cells in enumerate(columns):
        first = next((cell for cell in cells if cell.tag is not Tag.NULL), None)
        if first is not None and _is_time(first):
            return number
    raise DecodeError("no column of this profile holds times", 0)


def _is_time(cell: Data) -> bool:
    octets = cell.value
    return cell.tag in {Tag.OCTET_STRING, Tag.DATE_TIME} and isinstance(octets, bytes) and len(octets) == CLOCK_OCTETS


def _times(cells: list[Data], clock: ClockReading) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    seconds = np.zeros(len(cells), np.int64)
    status = np.full(len(cells), STATUS_NOT_SPECIFIED, np.uint8)
    for number, cell in enumerate(cells):
        if cell.tag is Tag.NULL:
            seconds[number] = _next_time(seconds, number, clock)
            continue
        if not _is_time(cell):
            raise DecodeError(f"row {number} has {cell.tag.label} where the time should be", 0)
        time = CosemDateTime.from_octets(cast("bytes", cell.value))
        seconds[number] = _instant(time, clock, number)
        status[number] = STATUS_NOT_SPECIFIED if time.status is None else time.status
    return seconds, status


def _next_time(seconds: NDArray[np.int64], number: int, clock: ClockReading) -> int:
    if number == 0 or not clock.capture_period_s:
        raise DecodeError(
            f"row {number} leaves its time out and there is nothing to count from",
            0,
            next_step="read the profile's capture period and hand it to the decoder",
        )
    return int(seconds[number - 1]) + clock.capture_period_s


def _instant(time: CosemDateTime, clock: ClockReading, number: int) -> int:
    try:
        return epoch_s(time.to_utc(clock.default_deviation_min, deviation_inverted=clock.deviation_inverted))
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"row {number}: {error.what}", next_step=error.next_step) from error
