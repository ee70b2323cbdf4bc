"""The ACCESS service (IEC 62056-5-3, Access-Request and Access-Response): mixed gets, sets and actions in one APDU."""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, NamedTuple

from amity.protocols.dlms import fields
from amity.protocols.dlms.attributes import Attribute, Method, descriptor_octets
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.data import Data, DecodeError, encode_length
from amity.protocols.dlms.results import ActionResult, DataAccessResult
from amity.protocols.dlms.selective_access import Access

REQUEST_TAG = 0xD9
RESPONSE_TAG = 0xDA
SELF_DESCRIPTIVE, BREAK_ON_ERROR, CONFIRMED = 1 << 28, 1 << 29, 1 << 30
"""Bits of long-invoke-id-and-priority: repeat the specifications in the answer, stop at an error, answer at all."""


class AccessKind(IntEnum):
    """What one part of an Access-Request asks for."""

    GET = 1
    SET = 2
    ACTION = 3
    GET_WITH_SELECTION = 4
    SET_WITH_SELECTION = 5


class AccessSpecification(NamedTuple):
    """One part of the request; its parameter stands at the same place in the list of data."""

    kind: AccessKind
    target: Attribute | Method
    access: Access | None = None


class AccessOutcome(NamedTuple):
    """How one part went; what it returned stands at the same place in the list of data."""

    kind: AccessKind
    result: DataAccessResult | ActionResult


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """Gets, sets and actions, done in this order."""

    TAG: ClassVar[int] = REQUEST_TAG
    long_invoke_id_and_priority: int
    date_time: bytes
    specifications: tuple[AccessSpecification, ...]
    data: tuple[Data, ...]

    def encode(self) -> bytes:
        """The octets of the APDU."""
        head = fields.number(self.long_invoke_id_and_priority, 4) + fields.octet_string(self.date_time)
        return bytes([REQUEST_TAG]) + head + _specifications(self.specifications) + fields.data_list(self.data)


@dataclass(frozen=True, slots=True)
class AccessResponse:
    """What each part returned and how it went; the specifications are repeated when the client asked for it."""

    TAG: ClassVar[int] = RESPONSE_TAG
    long_invoke_id_and_priority: int
    date_time: bytes
    specifications: tuple[AccessSpecification, ...] | None
    data: tuple[Data, ...]
    outcomes: tuple[AccessOutcome, ...]

    def encode(self) -> bytes:
        """The octets of the APDU."""
        head = fields.number(self.long_invoke_id_and_priority, 4) + fields.octet_string(self.date_time)
        repeated = b"\x00" if self.specifications is None else b"\x01" + _specifications(self.specifications)
        outcomes = encode_length(len(self.outcomes)) + b"".join(bytes(one) for one in self.outcomes)
        return bytes([RESPONSE_TAG]) + head + repeated + fields.data_list(self.data) + outcomes


def _specifications(specifications: tuple[AccessSpecification, ...]) -> bytes:
    return encode_length(len(specifications)) + b"".join(map(_specification, specifications))


def _specification(one: AccessSpecification) -> bytes:
    target = descriptor_octets(one.target)
    if one.access is None:
        return bytes([one.kind]) + target
    return bytes([one.kind]) + target + fields.selection(one.access)


def read_request(cursor: Cursor) -> AccessRequest:
    """What follows the tag of an Access-Request."""
    invoke, date_time = cursor.unsigned(4), cursor.octets()
    return AccessRequest(invoke, date_time, _read_specifications(cursor), fields.read_data_list(cursor))


def read_response(cursor: Cursor) -> AccessResponse:
    """What follows the tag of an Access-Response."""
    invoke, date_time = cursor.unsigned(4), cursor.octets()
    repeated = _read_specifications(cursor) if cursor.flag() else None
    data = fields.read_data_list(cursor)
    outcomes = tuple(_read_outcome(cursor) for _ in range(cursor.count(2)))
    return AccessResponse(invoke, date_time, repeated, data, outcomes)


def _kind(cursor: Cursor) -> AccessKind:
    code = cursor.unsigned()
    try:
        return AccessKind(code)
    except ValueError:
        raise DecodeError(f"{code} is no kind of access", cursor.offset - 1) from None


def _read_specifications(cursor: Cursor) -> tuple[AccessSpecification, ...]:
    return tuple(_read_specification(cursor) for _ in range(cursor.count(10)))


def _read_specification(cursor: Cursor) -> AccessSpecification:
    kind = _kind(cursor)
    if kind is AccessKind.ACTION:
        return AccessSpecification(kind, fields.read_method(cursor))
    attribute = fields.read_attribute(cursor)
    if kind in {AccessKind.GET, AccessKind.SET}:
        return AccessSpecification(kind, attribute)
    return AccessSpecification(kind, attribute, fields.read_selection(cursor))


def _read_outcome(cursor: Cursor) -> AccessOutcome:
    kind, code = _kind(cursor), cursor.unsigned()
    return AccessOutcome(kind, ActionResult(code) if kind is AccessKind.ACTION else DataAccessResult(code))
