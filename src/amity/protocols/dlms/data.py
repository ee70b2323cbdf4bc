"""A-XDR coding of COSEM Data (IEC 62056-5-3 Annex A, IEC 61334-6): any octets give a value or a DecodeError.

Depth and number of elements are bounded: a telegram of a few octets cannot make the reader run out of stack or
memory, whatever lengths it announces.
"""

import struct
from collections.abc import Callable, Iterable
from functools import partial

from amity.kernel.errors import LocalProtocolError
from amity.protocols.dlms.data_text import natural, to_json
from amity.protocols.dlms.data_types import (
    NULL_DATA,
    BitString,
    CompactArray,
    Data,
    DecodeError,
    Tag,
    TypeDescription,
    Value,
)

__all__ = [
    "BitString", "CompactArray", "Data", "DecodeError", "Tag", "TypeDescription", "Value", "array", "bit_string",
    "boolean", "compact_array", "decode", "decode_all", "double_long", "double_long_unsigned", "encode",
    "encode_length", "enum", "integer", "long", "long64", "long64_unsigned", "long_unsigned", "natural", "null",
    "octet_string", "structure", "to_json", "unsigned", "utf8_string", "visible_string",
]  # fmt: skip

DEPTH_MAX = 32  # real profiles nest four deep; the standard names no bound
ELEMENTS_MAX = 1 << 20  # a year of quarter hours with 30 columns
_LONG_LENGTH = 0x80
_ELEMENTS_PER_OCTET_MAX = 16  # elements of a compact array may take no octets; 14 of them must not make a million
_LENGTH_OCTETS_MAX = 4
_COMPACT_HEADER_DEPTH_MAX = 8

_NUMBERS: dict[Tag, struct.Struct] = {
    Tag.BOOLEAN: struct.Struct(">?"),
    Tag.DOUBLE_LONG: struct.Struct(">i"),
    Tag.DOUBLE_LONG_UNSIGNED: struct.Struct(">I"),
    Tag.FLOATING_POINT: struct.Struct(">f"),
    Tag.BCD: struct.Struct(">B"),
    Tag.INTEGER: struct.Struct(">b"),
    Tag.LONG: struct.Struct(">h"),
    Tag.UNSIGNED: struct.Struct(">B"),
    Tag.LONG_UNSIGNED: struct.Struct(">H"),
    Tag.LONG64: struct.Struct(">q"),
    Tag.LONG64_UNSIGNED: struct.Struct(">Q"),
    Tag.ENUM: struct.Struct(">B"),
    Tag.FLOAT32: struct.Struct(">f"),
    Tag.FLOAT64: struct.Struct(">d"),
    Tag.DELTA_INTEGER: struct.Struct(">b"),
    Tag.DELTA_LONG: struct.Struct(">h"),
    Tag.DELTA_DOUBLE_LONG: struct.Struct(">i"),
    Tag.DELTA_UNSIGNED: struct.Struct(">B"),
    Tag.DELTA_LONG_UNSIGNED: struct.Struct(">H"),
    Tag.DELTA_DOUBLE_LONG_UNSIGNED: struct.Struct(">I"),
}
FIXED_OCTETS: dict[Tag, int] = {tag: form.size for tag, form in _NUMBERS.items()}
_OCTET_BLOCKS: dict[Tag, int] = {Tag.DATE_TIME: 12, Tag.DATE: 5, Tag.TIME: 4}
_EMPTY = frozenset({Tag.NULL, Tag.DONT_CARE})
_TAGS: dict[int, Tag] = {tag.value: tag for tag in Tag}


# ------------------------------------------------------------------ decoding
def decode(buffer: bytes, offset: int = 0) -> tuple[Data, int]:
    """Read one Data that starts at `offset`; return it and the offset after it; raise DecodeError."""
    return _Decoder(buffer).data(offset, 0)


def decode_all(buffer: bytes) -> Data:
    """Read one Data that fills the buffer; raise DecodeError, also when octets are left over."""
    data, end = _Decoder(buffer).data(0, 0)
    if end != len(buffer):
        raise DecodeError(f"{len(buffer) - end} octets are left over after the data", end)
    return data


def decode_length(buffer: bytes, offset: int) -> tuple[int, int]:
    """Read an A-XDR length (short, or 81 to 84 and that many octets); return it and the offset after it."""
    if offset >= len(buffer):
        raise DecodeError("the buffer ends where a length should be", offset)
    first = buffer[offset]
    if first < _LONG_LENGTH:
        return first, offset + 1
    width = first - _LONG_LENGTH
    end = offset + 1 + width
    if not 0 < width <= _LENGTH_OCTETS_MAX:
        raise DecodeError(f"a length of {width} octets is not used by DLMS", offset)
    if end > len(buffer):
        raise DecodeError("the buffer ends inside a length", offset)
    return int.from_bytes(buffer[offset + 1 : end], "big"), end


class _Decoder:
    """One walk over one buffer; the budget of elements belongs to the walk."""

    __slots__ = ("_budget", "_buffer", "_size")

    def __init__(self, buffer: bytes) -> None:
        self._buffer = buffer
        self._size = len(buffer)
        self._budget = min(ELEMENTS_MAX, _ELEMENTS_PER_OCTET_MAX * len(buffer))

    def data(self, offset: int, depth: int) -> tuple[Data, int]:
        """One tagged value."""
        if offset >= self._size:
            raise DecodeError("the buffer ends where a type tag should be", offset)
        tag = _TAGS.get(self._buffer[offset])
        if tag is None:
            raise DecodeError(f"{self._buffer[offset]:#04x} is no type tag of COSEM data", offset)
        return self._content(tag, offset + 1, depth)

    def _content(self, tag: Tag, offset: int, depth: int) -> tuple[Data, int]:
        form = _NUMBERS.get(tag)
        if form is not None:
            end = self._end(offset, form.size, tag)
            return Data(tag, form.unpack_from(self._buffer, offset)[0]), end
        if tag in _EMPTY:
            return (NULL_DATA if tag is Tag.NULL else Data(tag)), offset
        if tag in _OCTET_BLOCKS:
            end = self._end(offset, _OCTET_BLOCKS[tag], tag)
            return Data(tag, self._buffer[offset:end]), end
        if tag is Tag.ARRAY or tag is Tag.STRUCTURE:
            return self._sequence(tag, offset, depth)
        if tag is Tag.COMPACT_ARRAY:
            return self._compact_array(offset, depth)
        return self._string(tag, offset)

    def _end(self, offset: int, octet_count: int, tag: Tag) -> int:
        end = offset + octet_count
        if end > self._size:
            raise DecodeError(f"the buffer ends inside a value of type {tag.label}", offset)
        return end

    def _sequence(self, tag: Tag, offset: int, depth: int) -> tuple[Data, int]:
        self._descend(offset, depth)
        count, offset = decode_length(self._buffer, offset)
        if count > self._size - offset:
            raise DecodeError(f"{tag.label} announces {count} elements; {self._size - offset} octets follow", offset)
        self._spend(count, offset)
        items: list[Data] = []
        for _ in range(count):
            item, offset = self.data(offset, depth + 1)
            items.append(item)
        return Data(tag, tuple(items)), offset

    def _string(self, tag: Tag, offset: int) -> tuple[Data, int]:
        length, start = decode_length(self._buffer, offset)
        end = self._end(start, (length + 7) // 8 if tag is Tag.BIT_STRING else length, tag)
        return Data(tag, _string_value(tag, length, self._buffer[start:end])), end

    def _descend(self, offset: int, depth: int) -> None:
        if depth >= DEPTH_MAX:
            raise DecodeError(f"data nested deeper than {DEPTH_MAX}", offset)

    def _spend(self, count: int, offset: int) -> None:
        self._budget -= count
        if self._budget < 0:
            raise DecodeError(f"more elements than a value of {self._size} octets may have", offset)

    # -------------------------------------------------------------- compact array
    def _compact_array(self, offset: int, depth: int) -> tuple[Data, int]:
        self._descend(offset, depth)
        description, offset = self._description(offset, 0)
        length, start = decode_length(self._buffer, offset)
        end = self._end(start, length, Tag.COMPACT_ARRAY)
        items: list[Data] = []
        offset = start
        while offset < end:
            self._spend(1, offset)
            before = offset
            item, offset = self._described(description, offset, depth + 1)
            if offset == before:
                raise DecodeError("the elements of this compact array take no octets", offset)
            items.append(item)
        if offset != end:
            raise DecodeError("the last element of a compact array is cut short", offset)
        return Data(Tag.COMPACT_ARRAY, CompactArray(description, self._buffer[start:end], tuple(items))), end

    def _description(self, offset: int, depth: int) -> tuple[TypeDescription, int]:
        if depth >= _COMPACT_HEADER_DEPTH_MAX:
            raise DecodeError(f"a type description nested deeper than {_COMPACT_HEADER_DEPTH_MAX}", offset)
        tag = _TAGS.get(self._buffer[offset]) if offset < self._size else None
        if tag is None or tag is Tag.COMPACT_ARRAY:
            raise DecodeError("no type description where one should be", offset)
        if tag is Tag.ARRAY:
            end = self._end(offset + 1, 2, tag)
            count = int.from_bytes(self._buffer[offset + 1 : end], "big")
            element, end = self._description(end, depth + 1)
            return TypeDescription(tag, (element,), count), end
        if tag is Tag.STRUCTURE:
            return self._structure_description(offset + 1, depth)
        return TypeDescription(tag), offset + 1

    def _structure_description(self, offset: int, depth: int) -> tuple[TypeDescription, int]:
        count, offset = decode_length(self._buffer, offset)
        self._spend(count, offset)
        elements: list[TypeDescription] = []
        for _ in range(count):
            element, offset = self._description(offset, depth + 1)
            elements.append(element)
        return TypeDescription(Tag.STRUCTURE, tuple(elements)), offset

    def _described(self, description: TypeDescription, offset: int, depth: int) -> tuple[Data, int]:
        """One untagged value of the type that the compact array's header gave."""
        tag = description.tag
        if tag is not Tag.ARRAY and tag is not Tag.STRUCTURE:
            return self._content(tag, offset, depth)
        times = description.element_count if tag is Tag.ARRAY else 1
        self._spend(times * len(description.elements), offset)
        items: list[Data] = []
        for element in description.elements * times:
            item, offset = self._described(element, offset, depth + 1)
            items.append(item)
        return Data(tag, tuple(items)), offset


def _string_value(tag: Tag, length: int, octets: bytes) -> Value:
    if tag is Tag.BIT_STRING:
        return BitString(length, octets)
    if tag is Tag.VISIBLE_STRING:
        return octets.decode("latin-1")
    if tag is Tag.UTF8_STRING:  # a meter's broken text is no reason to lose the values beside it
        return octets.decode("utf-8", "surrogateescape")
    return octets


# ------------------------------------------------------------------ encoding
def encode(data: Data) -> bytes:
    """The A-XDR octets of one Data; raise LocalProtocolError when the value does not fit its type."""
    try:
        return bytes([data.tag]) + _encode_content(data)
    except (struct.error, OverflowError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise LocalProtocolError(f"this value cannot travel as {_label(data)}: {error}") from error


def encode_length(length: int) -> bytes:
    """The shortest A-XDR length: one octet below 128, else 81 to 84 and that many octets."""
    if length < _LONG_LENGTH:
        return bytes([length])
    width = (length.bit_length() + 7) // 8
    return bytes([_LONG_LENGTH + width]) + length.to_bytes(width, "big")


def _label(data: Data) -> str:
    return data.tag.label if isinstance(data, Data) and isinstance(data.tag, Tag) else repr(data)[:40]


def _encode_content(data: Data) -> bytes:
    tag, value = data
    form = _NUMBERS.get(tag)
    if form is not None:
        return form.pack(value)
    if tag in _EMPTY:
        return b""
    return _ENCODERS[tag](value)


def _encode_sequence(items: Iterable[Data]) -> bytes:
    parts = [bytes([item.tag]) + _encode_content(item) for item in items]
    return encode_length(len(parts)) + b"".join(parts)


def _encode_octets(octets: bytes) -> bytes:
    return encode_length(len(octets)) + octets


def _encode_block(octets: bytes, *, size: int) -> bytes:
    if len(octets) != size:
        raise ValueError(f"{size} octets wanted, not {len(octets)}")
    return octets


def _encode_bits(bits: BitString) -> bytes:
    if len(bits.octets) != (bits.length + 7) // 8:
        raise ValueError(f"{bits.length} bits do not take {len(bits.octets)} octets")
    return encode_length(bits.length) + bits.octets


def _encode_compact_array(value: CompactArray) -> bytes:
    return _encode_description(value.description) + _encode_octets(value.contents)


def _encode_description(description: TypeDescription) -> bytes:
    elements = b"".join(_encode_description(element) for element in description.elements)
    head = bytes([description.tag])
    if description.tag is Tag.ARRAY:
        return head + description.element_count.to_bytes(2, "big") + elements
    if description.tag is Tag.STRUCTURE:
        return head + encode_length(len(description.elements)) + elements
    return head


_ENCODERS: dict[Tag, Callable[..., bytes]] = {
    Tag.ARRAY: _encode_sequence,
    Tag.STRUCTURE: _encode_sequence,
    Tag.COMPACT_ARRAY: _encode_compact_array,
    Tag.BIT_STRING: _encode_bits,
    Tag.OCTET_STRING: _encode_octets,
    Tag.VISIBLE_STRING: lambda text: _encode_octets(text.encode("latin-1")),
    Tag.UTF8_STRING: lambda text: _encode_octets(text.encode("utf-8", "surrogateescape")),
    **{tag: partial(_encode_block, size=size) for tag, size in _OCTET_BLOCKS.items()},
}


# ------------------------------------------------------------------ constructors
def null() -> Data:
    """Null data."""
    return NULL_DATA


def structure(*items: Data) -> Data:
    """A structure of these elements."""
    return Data(Tag.STRUCTURE, items)


def array(items: Iterable[Data]) -> Data:
    """An array of these elements."""
    return Data(Tag.ARRAY, tuple(items))


def compact_array(description: TypeDescription, items: Iterable[Data]) -> Data:
    """An array whose elements all have the described type."""
    elements = tuple(items)
    contents = b"".join(_encode_described(description, item) for item in elements)
    return Data(Tag.COMPACT_ARRAY, CompactArray(description, contents, elements))


def _encode_described(description: TypeDescription, item: Data) -> bytes:
    if item.tag is not description.tag:
        raise LocalProtocolError(f"a compact array of {description.tag.label} holds no {item.tag.label}")
    if not isinstance(item.value, tuple) or isinstance(item.value, (BitString, CompactArray)):
        return encode(item)[1:]
    kinds = description.elements * description.element_count if item.tag is Tag.ARRAY else description.elements
    if len(kinds) != len(item.value):
        raise LocalProtocolError(f"a compact array element has {len(kinds)} parts, not {len(item.value)}")
    return b"".join(_encode_described(kind, part) for kind, part in zip(kinds, item.value, strict=True))


def unsigned(number: int) -> Data:
    """Unsigned8."""
    return Data(Tag.UNSIGNED, number)


def long_unsigned(number: int) -> Data:
    """Unsigned16."""
    return Data(Tag.LONG_UNSIGNED, number)


def double_long_unsigned(number: int) -> Data:
    """Unsigned32."""
    return Data(Tag.DOUBLE_LONG_UNSIGNED, number)


def long64_unsigned(number: int) -> Data:
    """Unsigned64."""
    return Data(Tag.LONG64_UNSIGNED, number)


def integer(number: int) -> Data:
    """Integer8."""
    return Data(Tag.INTEGER, number)


def long(number: int) -> Data:
    """Integer16."""
    return Data(Tag.LONG, number)


def double_long(number: int) -> Data:
    """Integer32."""
    return Data(Tag.DOUBLE_LONG, number)


def long64(number: int) -> Data:
    """Integer64."""
    return Data(Tag.LONG64, number)


def enum(number: int) -> Data:
    """An enumerated value."""
    return Data(Tag.ENUM, number)


def boolean(value: bool) -> Data:
    """True or false."""
    return Data(Tag.BOOLEAN, value)


def octet_string(octets: bytes) -> Data:
    """Octets; a logical name or a 12-octet date-time often travel so."""
    return Data(Tag.OCTET_STRING, bytes(octets))


def visible_string(text: str) -> Data:
    """Text in ISO/IEC 646."""
    return Data(Tag.VISIBLE_STRING, text)


def utf8_string(text: str) -> Data:
    """Text in UTF-8."""
    return Data(Tag.UTF8_STRING, text)


def bit_string(bits: str) -> Data:
    """Bits from text like `"1101"`."""
    return Data(Tag.BIT_STRING, BitString.from_bits(bits))
