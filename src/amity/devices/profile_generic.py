"""The meter's Profile generic (class 7): whole buffer, by range of time, by entry, with columns picked out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from amity.devices.interface_classes import PROFILE_GENERIC, InterfaceClass
from amity.devices.objects import Answer, CaptureObject
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import (
    Data,
    Tag,
    array,
    decode_all,
    double_long_unsigned,
    encode,
    encode_length,
    enum,
    structure,
)
from amity.protocols.dlms.datetime import OCTETS as DATE_TIME_OCTETS
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.results import DataAccessResult
from amity.protocols.dlms.selective_access import Access, EntryAccess, RangeAccess

_SORT_FIFO = 1


class ProfileRows(Protocol):
    """Where the rows come from, oldest first, each the A-XDR octets of one structure.

    A row whose time travels as null-data must not be the first of an answer.
    """

    def count(self, now: datetime) -> int:
        """How many rows there are."""
        ...

    def between(self, start: datetime | None, end: datetime | None, now: datetime) -> Sequence[bytes]:
        """The rows whose stamp lies from `start` to `end`, both included; None is no bound."""
        ...

    def entries(self, first: int, last: int, now: datetime) -> Sequence[bytes]:
        """The rows from number `first` to number `last`, counted from 1, both included."""
        ...


@dataclass(frozen=True, slots=True)
class ProfileGeneric:
    """One profile. `default_deviation_min` reads the bounds of a range that leave their deviation open.

    `ranges` and `by_entry` say which selective access this meter understands.
    """

    obis: Obis
    rows: ProfileRows
    capture_objects: tuple[CaptureObject, ...]
    sort_object: CaptureObject
    capture_period_s: int
    entries_max: int
    default_deviation_min: int = 0
    ranges: bool = True
    by_entry: bool = True

    @property
    def interface(self) -> InterfaceClass:
        """Class 7, version 1."""
        return PROFILE_GENERIC

    def attribute(self, index: int, access: Access | None, now: datetime) -> Answer:
        """The buffer, whole or selected, or one of the describing attributes."""
        name = PROFILE_GENERIC.attribute_name(index) or ""
        if name == "buffer":
            return self._buffer(access, now)
        return self._described(name, now) if access is None else DataAccessResult.SCOPE_OF_ACCESS_VIOLATED

    def _described(self, name: str, now: datetime) -> Answer:
        match name:
            case "capture_objects":
                return array(capture.definition() for capture in self.capture_objects)
            case "capture_period":
                return double_long_unsigned(self.capture_period_s)
            case "sort_method":
                return enum(_SORT_FIFO)
            case "sort_object":
                return self.sort_object.definition()
            case "entries_in_use":
                return double_long_unsigned(self.rows.count(now))
            case _:
                return double_long_unsigned(self.entries_max)

    def _buffer(self, access: Access | None, now: datetime) -> Answer:
        if access is None:
            return rows_array(self.rows.between(None, None, now))
        if isinstance(access, RangeAccess) and self.ranges:
            return self._by_range(access, now)
        if isinstance(access, EntryAccess) and self.by_entry:
            return self._by_entry(access, now)
        return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED

    def _by_range(self, access: RangeAccess, now: datetime) -> Answer:
        wanted = self._columns(access.columns)
        if wanted is None or access.restricting != self.sort_object.definition():
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        try:
            start, end = self._bound(access.start), self._bound(access.end)
        except RemoteProtocolError:
            return DataAccessResult.TYPE_UNMATCHED
        return rows_array(_picked(self.rows.between(start, end, now), wanted))

    def _by_entry(self, access: EntryAccess, now: datetime) -> Answer:
        last_column = access.to_column or len(self.capture_objects)
        if not 1 <= access.from_column <= last_column <= len(self.capture_objects):
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        rows = self.rows.entries(max(access.from_entry, 1), access.to_entry or self.rows.count(now), now)
        everything = (access.from_column, last_column) == (1, len(self.capture_objects))
        return rows_array(rows if everything else _picked(rows, tuple(range(access.from_column - 1, last_column))))

    def _columns(self, definitions: tuple[Data, ...]) -> tuple[int, ...] | None:
        """Positions of the columns asked for, () for all of them, None when one is not captured here."""
        known = [capture.definition() for capture in self.capture_objects]
        if any(definition not in known for definition in definitions):
            return None
        return tuple(known.index(definition) for definition in definitions)

    def _bound(self, bound: Data) -> datetime | None:
        if bound.tag is Tag.NULL:
            return None
        if not isinstance(bound.value, bytes) or len(bound.value) != DATE_TIME_OCTETS:
            raise RemoteProtocolError(f"a bound of a range is a date-time, not {bound.tag.label}")
        time = CosemDateTime.from_octets(bound.value)
        return None if time.year is None else time.to_utc(self.default_deviation_min)


def rows_array(rows: Sequence[bytes]) -> bytes:
    """The A-XDR octets of an array of rows that are octets already."""
    return b"".join((bytes([Tag.ARRAY]), encode_length(len(rows)), *rows))


def _picked(rows: Sequence[bytes], columns: tuple[int, ...]) -> Sequence[bytes]:
    if not columns:
        return rows
    return [_picked_row(row, columns) for row in rows]


def _picked_row(row: bytes, columns: tuple[int, ...]) -> bytes:
    cells = decode_all(row).value
    if not isinstance(cells, tuple):
        return row
    return encode(structure(*(cell for position in columns if isinstance(cell := cells[position], Data))))
