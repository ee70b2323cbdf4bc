"""Fields that several xDLMS services share: descriptors, selective access, results, data blocks (IEC 62056-5-3)."""

from dataclasses import dataclass

from amity.kernel.errors import LocalProtocolError
from amity.protocols.dlms.attributes import DESCRIPTOR_OCTETS, Attribute, Method, descriptor_fields, descriptor_octets
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.data import Data, DecodeError, encode, encode_length
from amity.protocols.dlms.results import DataAccessResult
from amity.protocols.dlms.selective_access import Access, parse_access

CONFIRMED_SERVICE = 0x40
"""The bit of invoke-id-and-priority by which a client asks for an answer."""
DEFAULT_INVOKE = 0xC1  # invoke id 1, confirmed service, high priority
_ABSENT = b"\x00"
_PRESENT = b"\x01"


@dataclass(frozen=True, slots=True)
class DataBlock:
    """One block of a long SET or ACTION; blocks are numbered from 1."""

    last_block: bool
    block_number: int
    raw: bytes

    def encode(self) -> bytes:
        """The octets of DataBlock-SA."""
        return bytes([self.last_block]) + number(self.block_number, 4) + octet_string(self.raw)


def number(value: int, octet_count: int = 1) -> bytes:
    """A big-endian number; raise LocalProtocolError when it does not fit."""
    try:
        return value.to_bytes(octet_count, "big")
    except OverflowError as error:
        raise LocalProtocolError(f"{value} does not fit {octet_count} octets") from error


def head(tag: int, choice: int, invoke_id_and_priority: int) -> bytes:
    """Tag, choice and invoke-id-and-priority, the first three octets of most services."""
    return bytes([tag, choice]) + number(invoke_id_and_priority)


def octet_string(octets: bytes) -> bytes:
    """Octets with their length before them."""
    return encode_length(len(octets)) + octets


def optional_octets(octets: bytes | None) -> bytes:
    """A presence mark and, when present, octets with their length."""
    return _ABSENT if octets is None else _PRESENT + octet_string(octets)


def optional_data(data: Data | None) -> bytes:
    """A presence mark and, when present, the data."""
    return _ABSENT if data is None else _PRESENT + encode(data)


def data_list(values: tuple[Data, ...]) -> bytes:
    """A list of Data with its count before it."""
    return encode_length(len(values)) + b"".join(map(encode, values))


def selected(attribute: Attribute, access: Access | None) -> bytes:
    """An attribute descriptor with its optional access selection."""
    if access is None:
        return descriptor_octets(attribute) + _ABSENT
    return descriptor_octets(attribute) + _PRESENT + selection(access)


def selection(access: Access) -> bytes:
    """Selective-Access-Descriptor: the selector and its parameters."""
    return number(access.selector) + encode(access.parameters())


def data_result(result: Data | DataAccessResult | bytes) -> bytes:
    """Get-Data-Result: data (already encoded when given as octets) or the reason why there is none."""
    if isinstance(result, DataAccessResult):
        return b"\x01" + number(result)
    return b"\x00" + (result if isinstance(result, bytes) else encode(result))


# ------------------------------------------------------------------ reading
def read_attribute(cursor: Cursor) -> Attribute:
    """Cosem-Attribute-Descriptor."""
    return Attribute(*descriptor_fields(cursor.take(DESCRIPTOR_OCTETS)))


def read_method(cursor: Cursor) -> Method:
    """Cosem-Method-Descriptor."""
    return Method(*descriptor_fields(cursor.take(DESCRIPTOR_OCTETS)))


def read_access(cursor: Cursor) -> Access | None:
    """An optional Selective-Access-Descriptor."""
    return read_selection(cursor) if cursor.flag() else None


def read_selection(cursor: Cursor) -> Access:
    """Selective-Access-Descriptor."""
    selector = cursor.unsigned()
    return parse_access(selector, cursor.data())


def read_selected(cursor: Cursor) -> tuple[Attribute, Access | None]:
    """An attribute descriptor with its optional access selection."""
    return read_attribute(cursor), read_access(cursor)


def read_optional_data(cursor: Cursor) -> Data | None:
    """A presence mark and, when present, data."""
    return cursor.data() if cursor.flag() else None


def read_data_result(cursor: Cursor) -> Data | DataAccessResult:
    """Get-Data-Result."""
    choice = cursor.unsigned()
    if choice == 0:
        return cursor.data()
    if choice == 1:
        return read_access_result(cursor)
    raise DecodeError(f"{choice} is neither data (0) nor a result (1)", cursor.offset - 1)


def read_access_result(cursor: Cursor) -> DataAccessResult:
    """Data-Access-Result."""
    return DataAccessResult(cursor.unsigned())


def read_data_list(cursor: Cursor) -> tuple[Data, ...]:
    """A list of Data with its count before it."""
    return tuple(cursor.data() for _ in range(cursor.count()))


def read_block(cursor: Cursor) -> DataBlock:
    """DataBlock-SA."""
    return DataBlock(cursor.flag(), cursor.unsigned(4), cursor.octets())


def unknown_choice(service: str, choice: int) -> DecodeError:
    """The error for a choice that a service does not have."""
    return DecodeError(f"{service} has no choice {choice}", 1)
