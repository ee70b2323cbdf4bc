"""Bodies of pushes as meters really send them: strict first, then with the slips that are known from the field.

Known slips: attribute descriptors without a type tag (EGD in Brno, Sagemcom XT211), tag and length of a logical name
swapped (Landis+Gyr ZMF100), list elements that do not decode at all.
"""

import re
from typing import NamedTuple

from amity.kernel.obis import Obis
from amity.protocols.dlms.attributes import DESCRIPTOR_OCTETS, descriptor_fields
from amity.protocols.dlms.data import (
    DEPTH_MAX,
    Data,
    DecodeError,
    Tag,
    decode,
    decode_length,
    integer,
    long_unsigned,
    octet_string,
    structure,
)

_NAME_OCTETS = 6
_SWAPPED_NAME = bytes([_NAME_OCTETS, Tag.OCTET_STRING])
_CLASS_ID_MAX = 0xFF
_ATTRIBUTE_MAX = 30
_DAMAGED_MAX = 32
_MEDIUM_MAX = 15  # value group A
_ELEMENT_START = re.compile(rb"\x02[\x02-\x05](?:\x09\x06|\x06\x09|\x00)")
_TAGS = frozenset(Tag)


class Body(NamedTuple):
    """The value, how many octets it took and what was wrong with it."""

    data: Data
    octets: int
    warnings: tuple[str, ...]


def read_body(raw: bytes) -> Body:
    """Read the body of a push; raise DecodeError (of the strict reading) when nothing helps."""
    try:
        data, end = decode(raw)
    except DecodeError:
        with_slips = _read_with_slips(raw)
        if with_slips is None:
            raise
        return with_slips
    strict = Body(data, end, ())
    if end == len(raw):
        return strict
    # A slip can pass for something else and leave octets over: then the reading that uses up more of them is right.
    with_slips = _read_with_slips(raw)
    return strict if with_slips is None or with_slips.octets <= end else with_slips


def _read_with_slips(raw: bytes) -> Body | None:
    reader = _SlipReader(raw)
    try:
        data, end = reader.value(0, 0)
    except DecodeError:
        return None
    return Body(data, end, tuple(dict.fromkeys(reader.warnings)))


class _SlipReader:
    """Like the strict decoder, but looks for the known slips at the start of every structure."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._damaged_left = _DAMAGED_MAX
        self.warnings: list[str] = []

    def value(self, offset: int, depth: int) -> tuple[Data, int]:
        """One value; arrays and structures are walked here, everything else strictly."""
        head = self._raw[offset : offset + 1]
        if head not in {b"\x01", b"\x02"}:
            return decode(self._raw, offset)
        if depth >= DEPTH_MAX:
            raise DecodeError(f"data nested deeper than {DEPTH_MAX}", offset)
        count, start = decode_length(self._raw, offset + 1)
        if count > len(self._raw) - start:
            raise DecodeError(f"{count} elements are announced; {len(self._raw) - start} octets follow", start)
        return self._array(count, start, depth) if head == b"\x01" else self._structure(count, start, depth)

    def _array(self, count: int, offset: int, depth: int) -> tuple[Data, int]:
        items: list[Data] = []
        for number in range(count):
            try:
                item, offset = self.value(offset, depth + 1)
            except DecodeError:
                offset = self._skip_damaged(number, offset)
                continue
            items.append(item)
        return Data(Tag.ARRAY, tuple(items)), offset

    def _skip_damaged(self, number: int, offset: int) -> int:
        following = _ELEMENT_START.search(self._raw, offset + 2)
        self._damaged_left -= 1  # also bounds the time that nested lists of rubbish can take
        if following is None or self._damaged_left < 0:
            raise DecodeError(f"list element {number + 1} does not decode", offset)
        damaged = self._raw[offset : following.start()]
        self.warnings.append(f"list element {number + 1} does not decode and is left out: {damaged[:32].hex()}")
        return following.start()

    def _structure(self, count: int, offset: int, depth: int) -> tuple[Data, int]:
        items: list[Data] = []
        for number in range(count):
            item, offset = (self._name(offset) if number == 0 else None) or self.value(offset, depth + 1)
            items.append(item)
        return structure(*items), offset

    def _name(self, offset: int) -> tuple[Data, int] | None:
        """A name that is not written as the standard wants it, as the standard would have it."""
        octets = self._raw[offset : offset + DESCRIPTOR_OCTETS]
        if octets.startswith(_SWAPPED_NAME) and len(octets) >= _NAME_OCTETS + 2:
            self.warnings.append("tag and length of a logical name are swapped")
            return octet_string(octets[2 : _NAME_OCTETS + 2]), offset + _NAME_OCTETS + 2
        if self._is_descriptor(offset, octets):
            self.warnings.append("attribute descriptors carry no type tag")
            return _descriptor(octets), offset + DESCRIPTOR_OCTETS
        return None

    def _is_descriptor(self, offset: int, octets: bytes) -> bool:
        following = self._raw[offset + DESCRIPTOR_OCTETS : offset + DESCRIPTOR_OCTETS + 1]
        if len(octets) < DESCRIPTOR_OCTETS or not following or following[0] not in _TAGS:
            return False
        class_id, obis, index = descriptor_fields(octets)
        return 0 < class_id <= _CLASS_ID_MAX and obis[0] <= _MEDIUM_MAX and 0 < index <= _ATTRIBUTE_MAX


def _descriptor(octets: bytes) -> Data:
    class_id, obis, index = descriptor_fields(octets)
    return structure(long_unsigned(class_id), octet_string(bytes(Obis(obis))), integer(index))
