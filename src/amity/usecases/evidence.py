"""The octets behind one interval value: which answers of the meter hold it, which row, which cell, which octets.

Answers are COSEM data (IEC 62056-5-3): the buffer of a profile generic object, whole, in blocks (GET with block
transfer) or pushed (DataNotification). No key is needed: an exchange keeps the answer as it was after decryption.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from amity.domain.collection import Exchange
from amity.domain.readings import IntervalSeries
from amity.kernel.errors import AmityError, RemoteProtocolError
from amity.kernel.time import epoch_s
from amity.protocols.dlms import apdu
from amity.protocols.dlms.apdu import DataNotification, GetResponseNormal, GetResponseWithBlock
from amity.usecases.data_tree import DataNode, OctetRange, data_tree

_SCALES = tuple(10**power for power in range(7))  # meters count in Wh, in 10 Wh … in MWh
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


class _Piece(NamedTuple):
    """Data octets that one exchange brought: from `first` of the joined data, from `offset` of its APDU."""

    exchange: int
    first: int
    offset: int
    octets: bytes


def explain(exchanges: Sequence[Exchange], series: IntervalSeries, start_s: int) -> Evidence:
    """Find the interval that starts at `start_s` in the answers that brought `series`; never raises for bad octets."""
    chosen = [exchanges[i] for i in series.evidence if 0 <= i < len(exchanges)] or list(exchanges)
    try:
        pieces = _pieces(chosen)
        rows = _rows(data_tree(b"".join(piece.octets for piece in pieces)))
        place = _find(rows, series, start_s)
    except RemoteProtocolError as error:
        return Evidence(tuple(_explained(exchange, ()) for exchange in chosen), 0, (), error.what)
    marks = _marks(rows, place, pieces)
    explained = tuple(_explained(exchange, tuple(marks.get(i, ()))) for i, exchange in enumerate(chosen))
    problem = None if place.rows else "the answer decodes, but no row of it could be matched to this interval"
    return Evidence(explained, len(rows), tuple(_shown(rows, place)), problem)


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


def _data_octets(answer: apdu.Apdu) -> bytes:
    if isinstance(answer, GetResponseWithBlock):
        return answer.result if isinstance(answer.result, bytes) else b""
    return answer.raw if isinstance(answer, GetResponseNormal | DataNotification) else b""


def _rows(tree: DataNode) -> list[DataNode]:
    """The rows of a buffer; a push that is one flat structure is one row."""
    structures = [child for child in tree.children if child.children]
    return structures if structures and len(structures) == len(tree.children) else [tree]


# ------------------------------------------------------------------ which row, which cell
def _find(rows: Sequence[DataNode], series: IntervalSeries, start_s: int) -> _Place:
    positions = [i for i, start in enumerate(series.starts) if start == start_s]
    if not positions:
        return _Place((), None)
    by_column = _by_column(rows, [int(value) for value in series.values], positions[0])
    return by_column or _by_clock(rows, series, start_s, int(series.values[positions[0]]))


def _by_column(rows: Sequence[DataNode], values: list[int], position: int) -> _Place | None:
    """The column whose numbers, or whose steps, are the whole series: sure without knowing the meter's profile."""
    for column in range(min((len(row.children) for row in rows), default=0)):
        cells = [row.children[column].number for row in rows]
        numbers = [number for number in cells if number is not None]
        if len(numbers) == len(cells) and any(values):
            if _same(numbers, values):
                return _Place((position,), column)
            if _same([b - a for a, b in pairwise(numbers)], values):
                return _Place((position, position + 1), column)
    return None


def _same(numbers: list[int], values: list[int]) -> bool:
    return len(numbers) == len(values) and any([n * scale for n in numbers] == values for scale in _SCALES)


def _by_clock(rows: Sequence[DataNode], series: IntervalSeries, start_s: int, value: int) -> _Place:
    """The row whose clock shows the end or the start of the interval; the one cell in it that is the value."""
    clocks = {clock: row for row, node in enumerate(rows) if (clock := _clock_s(node)) is not None}
    row = clocks.get(start_s + series.reading_type.interval_s, clocks.get(start_s))
    if row is None:
        return _Place((), None)
    cells = [cell.number for cell in rows[row].children]
    equal = [i for i, number in enumerate(cells) if number is not None and value in {number * s for s in _SCALES}]
    return _Place((row,), equal[0] if len(equal) == 1 else None)


def _clock_s(row: DataNode) -> int | None:
    moment = next((cell.moment for cell in row.children if cell.moment is not None), None)
    try:
        return None if moment is None else epoch_s(moment.to_utc(0))
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
