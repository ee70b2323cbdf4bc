"""The octets behind one interval value: which answers of the meter hold it, which row, which cell, which octets.

Answers are COSEM data (IEC 62056-5-3): the buffer of a profile generic object, whole, in blocks (GET with block
transfer) or pushed (DataNotification). No key is needed: an exchange keeps the answer as it was after decryption.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from amity.domain.collection import Exchange
from amity.domain.readings import Int64Column, IntervalSeries
from amity.kernel.errors import AmityError, RemoteProtocolError
from amity.kernel.time import epoch_s
from amity.protocols.dlms import apdu
from amity.protocols.dlms.apdu import DataNotification, GetResponseNormal, GetResponseWithBlock
from amity.usecases.data_tree import DataNode, OctetRange, data_trees

_SCALES = tuple(10**power for power in range(7))  # meters count in Wh, in 10 Wh … in MWh
_INT64_MAX = 2**63 - 1
_NEIGHBOURS = 2


@dataclass(frozen=True, slots=True)
class ExplainedExchange:
    """One question and answer: octets on the wire, the answer's APDU in the clear, and the octets of it that count."""

    at: datetime
    request: bytes
    response: bytes
    plain: bytes
    apdu: str
    marks: tuple[OctetRange, ...]


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """A row of the meter's buffer; `marked`: the value comes from it, `marked_cell`: from this column of it."""

    position: int
    cells: tuple[DataNode, ...]
    marked: bool
    marked_cell: int | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The exchanges, the marked rows among their neighbours, and why nothing could be marked if that is so."""

    exchanges: tuple[ExplainedExchange, ...]
    row_count: int
    rows: tuple[EvidenceRow, ...]
    problem: str | None = None


class _Place(NamedTuple):
    """Rows that a value was computed from and the column it stood in (None: not sure)."""

    rows: tuple[int, ...]
    column: int | None


_NOWHERE = _Place((), None)


class _Piece(NamedTuple):
    """Data octets that one exchange brought: from `first` of the joined data, from `offset` of its APDU."""

    exchange: int
    first: int
    offset: int
    octets: bytes


def explain(
    exchanges: Sequence[Exchange], series: IntervalSeries, start_s: int, siblings: Sequence[IntervalSeries] = ()
) -> Evidence:
    """Find the interval that starts at `start_s` in the answers that brought `series`; never raises for bad octets.

    `siblings` came in the same answers: they find the row where the series itself cannot (a night without sun).
    """
    chosen = [exchanges[i] for i in series.evidence if 0 <= i < len(exchanges)] or list(exchanges)
    try:
        pieces = _pieces(chosen)
        rows = _buffer_rows(pieces)
        place = _find(rows, series, start_s) or _row_of(rows, siblings, start_s) or _NOWHERE
    except RemoteProtocolError as error:
        return Evidence(tuple(_explained(exchange, ()) for exchange in chosen), 0, (), error.what)
    marks = _marks(rows, place, pieces)
    explained = tuple(_explained(exchange, tuple(marks.get(i, ()))) for i, exchange in enumerate(chosen))
    problem = None if place.rows else "the answer decodes, but no row of it could be matched to this interval"
    return Evidence(explained, len(rows), tuple(_shown(rows, place)), problem)


def profile_rows(exchanges: Sequence[Exchange]) -> list[DataNode]:
    """The rows of the buffer that these answers brought; raise RemoteProtocolError when they do not decode."""
    return _buffer_rows(_pieces(exchanges))


# ------------------------------------------------------------------ from exchanges to one buffer
def _pieces(exchanges: Sequence[Exchange]) -> list[_Piece]:
    pieces: list[_Piece] = []
    first = 0
    for number, exchange in enumerate(exchanges):
        octets = _data_octets(apdu.decode(exchange.plain))
        if octets:
            pieces.append(_Piece(number, first, exchange.plain.rfind(octets), octets))
            first += len(octets)
    return pieces


def _buffer_rows(pieces: Sequence[_Piece]) -> list[DataNode]:
    return [row for tree in data_trees(b"".join(piece.octets for piece in pieces)) for row in _rows(tree)]


def _data_octets(answer: apdu.Apdu) -> bytes:
    if isinstance(answer, GetResponseWithBlock):
        return answer.result if isinstance(answer.result, bytes) else b""
    return answer.raw if isinstance(answer, GetResponseNormal | DataNotification) else b""


def _rows(tree: DataNode) -> Sequence[DataNode]:
    """The rows of a buffer; a push that is one flat structure is one row; a bare number (rows in use) is none."""
    if tree.children and all(child.children for child in tree.children):
        return tree.children
    return [tree] if tree.children else []


# ------------------------------------------------------------------ which row, which cell
def _find(rows: Sequence[DataNode], series: IntervalSeries, start_s: int) -> _Place | None:
    positions = np.flatnonzero(series.starts == start_s)
    if not len(positions):
        return None
    position = int(positions[0])
    return _by_column(rows, series, position) or _by_clock(rows, series, position)


def _row_of(rows: Sequence[DataNode], siblings: Sequence[IntervalSeries], start_s: int) -> _Place | None:
    found = (place for sibling in siblings if (place := _find(rows, sibling, start_s)) is not None)
    return next((_Place(place.rows, None) for place in found), None)


def _by_column(rows: Sequence[DataNode], series: IntervalSeries, position: int) -> _Place | None:
    """The column whose numbers, or whose steps, hold the whole series in a row: sure without knowing the profile.

    A meter may send a few rows more than were asked for, so the series may begin later than the column.
    """
    for column, numbers in _number_columns(rows):
        first = _find_slice(numbers, series.values)
        if first is not None:
            return _Place((first + position,), column)
        first = _find_slice(np.diff(numbers), series.values)
        if first is not None:
            return _Place((first + position, first + position + 1), column)
    return None


def _by_clock(rows: Sequence[DataNode], series: IntervalSeries, position: int) -> _Place | None:
    """The row whose clock shows the end or the start of the interval; the column that agrees in all such rows.

    Only clocks that say how far they are from UTC count.
    """
    row_at = {clock: row for row, node in enumerate(rows) if (clock := _clock_s(node)) is not None}
    for stamp in (series.reading_type.interval_s, 0):
        matched = [row_at.get(int(start) + stamp) for start in series.starts]
        row = matched[position]
        if row is not None:
            return _Place((row,), _agreeing_column(rows, matched, series.values))
    return None


def _agreeing_column(rows: Sequence[DataNode], matched: Sequence[int | None], values: Int64Column) -> int | None:
    pairs = [(row, int(value)) for row, value in zip(matched, values, strict=True) if row is not None]
    wanted = np.array([value for _, value in pairs], np.int64)
    agreeing = [
        column
        for column, numbers in _number_columns([rows[row] for row, _ in pairs])
        if _find_slice(numbers, wanted) is not None
    ]
    return agreeing[0] if len(agreeing) == 1 else None


def _number_columns(rows: Sequence[DataNode]) -> Iterator[tuple[int, Int64Column]]:
    """The columns in which every row has a number that fits 64 bits."""
    for column in range(min((len(row.children) for row in rows), default=0)):
        numbers = [number for row in rows if (number := row.children[column].number) is not None]
        if len(numbers) == len(rows) and max(map(abs, numbers)) <= _INT64_MAX:
            yield column, np.array(numbers, np.int64)


def _find_slice(numbers: Int64Column, values: Int64Column) -> int | None:
    """Where `values`, divided by one power of ten, stand in `numbers`; None when nowhere, or all are zero."""
    if not values.any():
        return None
    for scale in _SCALES:
        if not (values % scale).any():
            wanted = values // scale
            for first in np.flatnonzero(numbers[: len(numbers) - len(wanted) + 1] == wanted[0]):
                if np.array_equal(numbers[first : first + len(wanted)], wanted):
                    return int(first)
    return None


def _clock_s(row: DataNode) -> int | None:
    moment = next((cell.moment for cell in row.children if cell.moment is not None), None)
    try:
        return None if moment is None else epoch_s(moment.to_utc())
    except AmityError:
        return None


# ------------------------------------------------------------------ what is shown
def _shown(rows: Sequence[DataNode], place: _Place) -> list[EvidenceRow]:
    around = {i for row in place.rows or (0,) for i in range(row - _NEIGHBOURS, row + _NEIGHBOURS + 1)}
    return [
        EvidenceRow(i, rows[i].children or (rows[i],), i in place.rows, place.column if i in place.rows else None)
        for i in sorted(around)
        if 0 <= i < len(rows)
    ]


def _marks(rows: Sequence[DataNode], place: _Place, pieces: Sequence[_Piece]) -> dict[int, list[OctetRange]]:
    """The octets of each exchange's APDU that hold the marked cells (the marked rows when no cell is sure)."""
    marks: dict[int, list[OctetRange]] = {}
    for row in place.rows:
        node = rows[row] if place.column is None else rows[row].children[place.column]
        for piece in pieces:
            first = max(node.octets.first, piece.first)
            end = min(node.octets.end, piece.first + len(piece.octets))
            if first < end:
                shift = piece.offset - piece.first
                marks.setdefault(piece.exchange, []).append(OctetRange(first + shift, end + shift))
    return marks


def _explained(exchange: Exchange, marks: tuple[OctetRange, ...]) -> ExplainedExchange:
    return ExplainedExchange(
        exchange.at, exchange.request, exchange.response, exchange.plain, _apdu_name(exchange.plain), marks
    )


def _apdu_name(plain: bytes) -> str:
    try:
        answer = apdu.decode(plain)
    except RemoteProtocolError as error:
        return f"does not decode: {error.what}"
    if isinstance(answer, GetResponseWithBlock):
        return f"get-response-with-datablock, block {answer.block_number}{', the last' if answer.last_block else ''}"
    return _APDU_NAMES.get(type(answer), type(answer).__name__)


_APDU_NAMES: dict[type, str] = {GetResponseNormal: "get-response-normal", DataNotification: "data-notification"}
