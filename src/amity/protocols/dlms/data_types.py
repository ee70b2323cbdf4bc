"""The COSEM Data type (IEC 62056-5-3, Annex A and IEC 62056-6-2, 4.1.5): tags, values and their constructors."""

from enum import IntEnum
from typing import NamedTuple, Self

from amity.kernel.errors import RemoteProtocolError


class DecodeError(RemoteProtocolError):
    """Octets that are not what the standard says should stand there; `offset` counts from the start of the buffer."""

    def __init__(self, what: str, offset: int, *, next_step: str | None = None) -> None:
        super().__init__(f"{what} (at octet {offset})", next_step=next_step)
        self.offset = offset


class Tag(IntEnum):
    """The choice tags of Data; the name with dashes is the name in the standard."""

    NULL = 0
    ARRAY = 1
    STRUCTURE = 2
    BOOLEAN = 3
    BIT_STRING = 4
    DOUBLE_LONG = 5
    DOUBLE_LONG_UNSIGNED = 6
    FLOATING_POINT = 7
    OCTET_STRING = 9
    VISIBLE_STRING = 10
    UTF8_STRING = 12
    BCD = 13
    INTEGER = 15
    LONG = 16
    UNSIGNED = 17
    LONG_UNSIGNED = 18
    COMPACT_ARRAY = 19
    LONG64 = 20
    LONG64_UNSIGNED = 21
    ENUM = 22
    FLOAT32 = 23
    FLOAT64 = 24
    DATE_TIME = 25
    DATE = 26
    TIME = 27
    DELTA_INTEGER = 28
    DELTA_LONG = 29
    DELTA_DOUBLE_LONG = 30
    DELTA_UNSIGNED = 31
    DELTA_LONG_UNSIGNED = 32
    DELTA_DOUBLE_LONG_UNSIGNED = 33
    DONT_CARE = 255

    @property
    def label(self) -> str:
        """`double-long-unsigned` and so on; `null-data` for NULL."""
        return "null-data" if self is Tag.NULL else self.name.lower().replace("_", "-")


class BitString(NamedTuple):
    """`length` bits, the first bit of the standard being the high bit of the first octet; spare bits are kept."""

    length: int
    octets: bytes

    @classmethod
    def from_bits(cls, bits: str) -> Self:
        """Build from text like `"1101"`."""
        octet_count = (len(bits) + 7) // 8
        number = int(bits.ljust(octet_count * 8, "0") or "0", 2)
        return cls(len(bits), number.to_bytes(octet_count, "big"))

    def __str__(self) -> str:
        """The bits as `0` and `1`."""
        return "".join(f"{octet:08b}" for octet in self.octets)[: self.length]


class TypeDescription(NamedTuple):
    """What one element of a compact array is; `element_count` only for an array, `elements` for array and structure."""

    tag: Tag
    elements: tuple["TypeDescription", ...] = ()
    element_count: int = 0


class CompactArray(NamedTuple):
    """An array whose type is written once (tag 19); `items` are the elements, `contents` their octets as sent."""

    description: TypeDescription
    contents: bytes
    items: tuple["Data", ...]


Value = None | bool | int | float | bytes | str | BitString | tuple["Data", ...] | CompactArray


class Data(NamedTuple):
    """One value with the type it travels as.

    The Python type of `value` follows the tag: None, bool, int, float, str (visible and UTF-8 strings), bytes (octet
    strings, date-time 12 octets, date 5, time 4), BitString, tuple of Data (array, structure) or CompactArray.
    """

    tag: Tag
    value: Value = None

    @property
    def items(self) -> tuple["Data", ...]:
        """The elements of an array, structure or compact array; raise DecodeError for any other type."""
        value = self.value
        if isinstance(value, CompactArray):
            return value.items
        if isinstance(value, tuple) and not isinstance(value, BitString):
            return value
        raise DecodeError(f"an array or structure was expected, not {self.tag.label}", 0)

    @property
    def is_sequence(self) -> bool:
        """True for an array, structure or compact array."""
        return isinstance(self.value, tuple) and not isinstance(self.value, BitString)


NULL_DATA = Data(Tag.NULL)
