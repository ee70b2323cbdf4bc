"""The shape of a push that describes itself: where its numbers stand, so that the next one alike is cut, not decoded.

Most pushes of a fleet differ in nothing but numbers, time and the meter's name. One that was read the long way
(`push.normalise`) and is no more than named numbers gives a shape; whatever has the same octets elsewhere means the
same, for none of the rules of `push.normalise` looks at a number.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from amity.devices.profiles import CLOCK_OBIS
from amity.devices.push import name_of, text_of
from amity.devices.push_reading import NormalisedReading
from amity.devices.readout import LOGICAL_DEVICE_NAME
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import FIXED_OCTETS, DecodeError, Tag, decode, decode_length
from amity.protocols.dlms.datetime import OCTETS as DATE_TIME_OCTETS

_FORMS: Final = {
    Tag.DOUBLE_LONG: "i", Tag.DOUBLE_LONG_UNSIGNED: "I", Tag.INTEGER: "b", Tag.LONG: "h", Tag.UNSIGNED: "B",
    Tag.LONG_UNSIGNED: "H", Tag.LONG64: "q", Tag.LONG64_UNSIGNED: "Q", Tag.ENUM: "B",
}  # fmt: skip
_SEQUENCES: Final = frozenset({Tag.ARRAY, Tag.STRUCTURE})
_NAMED_VALUE: Final = frozenset({2, 3})
_FIXED: Final = 0xFF


class ShapedNumber(NamedTuple):
    """A number of the shape: its name, what was read there, and where it stands in the body, type tag included."""

    obis: Obis
    reading: NormalisedReading
    start: int
    end: int


class Cut(NamedTuple):
    """What one body of the shape holds: its numbers in the order sent; clock and name, empty where it has none."""

    numbers: Sequence[int]
    clock: bytes
    name: bytes

    @property
    def told_name(self) -> str | None:
        """The logical device name as text, None where it is none."""
        name = text_of(self.name)
        return name if isinstance(name, str) and name else None


@dataclass(frozen=True, slots=True, eq=False)
class PushShape:
    """`fixed` are the octets, as one number, of which `mask` says where they stand; the rest is what `form` cuts out.

    The places are those of numbers, clock and name among what is cut out.
    """

    numbers: tuple[ShapedNumber, ...]
    octets: int
    fixed: int
    mask: int
    form: struct.Struct
    number_places: tuple[int, ...]
    clock_place: int | None
    name_place: int | None

    def cut(self, body: bytes) -> Cut | None:
        """The numbers of a body (A-XDR octets), None when it has another shape."""
        if len(body) != self.octets or int.from_bytes(body, "big") & self.mask != self.fixed:
            return None
        values = self.form.unpack(body)
        return Cut(
            [values[place] for place in self.number_places],
            b"" if self.clock_place is None else values[self.clock_place],
            b"" if self.name_place is None else values[self.name_place],
        )


class _Element(NamedTuple):
    """One `structure(name, value[, scaler_unit])`: its value's tag starts at `start`, its octets at `value`."""

    obis: Obis
    tag: Tag
    start: int
    value: int
    end: int


def shape_of(body: bytes, readings: Sequence[NormalisedReading]) -> PushShape | None:
    """The shape of a body from which these readings were read; None when it holds more than named numbers."""
    try:
        elements = list(_elements(body))
    except DecodeError:
        return None
    if len(elements) != len(readings) or not all(map(_is_told, elements, readings)):
        return None
    if not all(one.tag in _FORMS or _is_text(one) for one in elements) or not _once(elements):
        return None
    return _shape(body, elements, readings)


def _is_text(element: _Element) -> bool:
    """The clock and the meter's name are the texts that differ from push to push."""
    if element.tag is not Tag.OCTET_STRING:
        return False
    is_clock = element.obis == CLOCK_OBIS and element.end - element.value == DATE_TIME_OCTETS
    return is_clock or element.obis == LOGICAL_DEVICE_NAME.obis


def _once(elements: Sequence[_Element]) -> bool:
    """True when there is one clock and one name at the most, and no number under their names."""
    texts = [one.obis for one in elements if one.tag is Tag.OCTET_STRING]
    named = [one.obis for one in elements if one.obis in {CLOCK_OBIS, LOGICAL_DEVICE_NAME.obis}]
    return len(named) == len(set(texts))


def _is_told(element: _Element, reading: NormalisedReading) -> bool:
    plain = reading.class_id is None and reading.attribute is None and reading.time is None
    return plain and reading.obis == element.obis and reading.tag is element.tag


def _elements(body: bytes) -> Iterator[_Element]:
    """The named values of a body; raise DecodeError for anything else in it."""
    if body[:1] not in {bytes([tag]) for tag in _SEQUENCES}:
        raise DecodeError("no list", 0)
    count, offset = decode_length(body, 1)
    for _ in range(count):
        element, offset = _element(body, offset)
        yield element
    if offset != len(body):
        raise DecodeError("octets are left over", offset)


def _element(body: bytes, offset: int) -> tuple[_Element, int]:
    if body[offset : offset + 1] != bytes([Tag.STRUCTURE]):
        raise DecodeError("no structure", offset)
    count, at = decode_length(body, offset + 1)
    named, start = decode(body, at)
    obis = name_of(named)
    if count not in _NAMED_VALUE or obis is None:
        raise DecodeError("no named value", offset)
    value, end = decode(body, start)
    after = end if count == min(_NAMED_VALUE) else decode(body, end)[1]
    octets = FIXED_OCTETS.get(value.tag) or (len(value.value) if isinstance(value.value, bytes) else 0)
    return _Element(obis, value.tag, start, end - octets, end), after


def _shape(body: bytes, elements: Sequence[_Element], readings: Sequence[NormalisedReading]) -> PushShape:
    form, mask, at = ">", bytearray([_FIXED]) * len(body), 0
    for one in elements:
        octets = one.end - one.value
        form += f"{one.value - at}x" + _FORMS.get(one.tag, f"{octets}s")
        mask[one.value : one.end] = bytes(octets)
        at = one.end
    kept = int.from_bytes(mask, "big")
    texts = {one.obis: place for place, one in enumerate(elements) if one.tag is Tag.OCTET_STRING}
    numbers = [place for place, one in enumerate(elements) if one.tag in _FORMS]
    shaped = [ShapedNumber(elements[at].obis, readings[at], elements[at].start, elements[at].end) for at in numbers]
    return PushShape(
        tuple(shaped),
        len(body),
        int.from_bytes(body, "big") & kept,
        kept,
        struct.Struct(f"{form}{len(body) - at}x"),
        tuple(numbers),
        texts.get(CLOCK_OBIS),
        texts.get(LOGICAL_DEVICE_NAME.obis),
    )
