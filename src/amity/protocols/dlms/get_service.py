"""The GET service (IEC 62056-5-3, Get-Request and Get-Response)."""

from dataclasses import dataclass
from typing import ClassVar

from amity.protocols.dlms import fields
from amity.protocols.dlms.attributes import Attribute
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.data import Data, DecodeError, decode_all, encode, encode_length
from amity.protocols.dlms.results import DataAccessResult
from amity.protocols.dlms.selective_access import Access

REQUEST_TAG = 0xC0
RESPONSE_TAG = 0xC4
_NORMAL, _BLOCK, _LIST = 1, 2, 3


@dataclass(frozen=True, slots=True)
class GetRequestNormal:
    """Read one attribute, or the part of it that `access` selects."""

    TAG: ClassVar[int] = REQUEST_TAG
    invoke_id_and_priority: int
    attribute: Attribute
    access: Access | None = None

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return fields.head(REQUEST_TAG, _NORMAL, self.invoke_id_and_priority) + fields.selected(
            self.attribute, self.access
        )


@dataclass(frozen=True, slots=True)
class GetRequestNext:
    """Acknowledge block `block_number` and ask for the one after it."""

    TAG: ClassVar[int] = REQUEST_TAG
    invoke_id_and_priority: int
    block_number: int

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return fields.head(REQUEST_TAG, _BLOCK, self.invoke_id_and_priority) + fields.number(self.block_number, 4)


@dataclass(frozen=True, slots=True)
class GetRequestWithList:
    """Read several attributes at once."""

    TAG: ClassVar[int] = REQUEST_TAG
    invoke_id_and_priority: int
    attributes: tuple[tuple[Attribute, Access | None], ...]

    def encode(self) -> bytes:
        """The octets of the APDU."""
        listed = b"".join(fields.selected(attribute, access) for attribute, access in self.attributes)
        return (
            fields.head(REQUEST_TAG, _LIST, self.invoke_id_and_priority) + encode_length(len(self.attributes)) + listed
        )


@dataclass(frozen=True, slots=True, init=False)
class GetResponseNormal:
    """The attribute's octets as they came (`raw`), decoded only when `result` is asked for, or the reason of refusal.

    `result` given to the constructor is Data, a DataAccessResult, or the A-XDR octets of a Data.
    """

    TAG: ClassVar[int] = RESPONSE_TAG
    invoke_id_and_priority: int
    raw: bytes
    error: DataAccessResult | None

    def __init__(self, invoke_id_and_priority: int, result: Data | DataAccessResult | bytes) -> None:
        error = result if isinstance(result, DataAccessResult) else None
        octets = b"" if isinstance(result, DataAccessResult) else result
        object.__setattr__(self, "invoke_id_and_priority", invoke_id_and_priority)
        object.__setattr__(self, "raw", octets if isinstance(octets, bytes) else encode(octets))
        object.__setattr__(self, "error", error)

    @property
    def result(self) -> Data | DataAccessResult:
        """The value or the refusal; raise DecodeError when the octets are no Data."""
        return decode_all(self.raw) if self.error is None else self.error

    def encode(self) -> bytes:
        """The octets of the APDU."""
        outcome = self.raw if self.error is None else self.error
        return fields.head(RESPONSE_TAG, _NORMAL, self.invoke_id_and_priority) + fields.data_result(outcome)


@dataclass(frozen=True, slots=True)
class GetResponseWithBlock:
    """One block of a long answer, or the reason why the transfer ends."""

    TAG: ClassVar[int] = RESPONSE_TAG
    invoke_id_and_priority: int
    last_block: bool
    block_number: int
    result: bytes | DataAccessResult

    def encode(self) -> bytes:
        """The octets of the APDU."""
        if isinstance(self.result, DataAccessResult):
            outcome = b"\x01" + fields.number(self.result)
        else:
            outcome = b"\x00" + fields.octet_string(self.result)
        block = bytes([self.last_block]) + fields.number(self.block_number, 4)
        return fields.head(RESPONSE_TAG, _BLOCK, self.invoke_id_and_priority) + block + outcome


@dataclass(frozen=True, slots=True)
class GetResponseWithList:
    """One result per attribute asked for, in the same order."""

    TAG: ClassVar[int] = RESPONSE_TAG
    invoke_id_and_priority: int
    results: tuple[Data | DataAccessResult, ...]

    def encode(self) -> bytes:
        """The octets of the APDU."""
        listed = encode_length(len(self.results)) + b"".join(map(fields.data_result, self.results))
        return fields.head(RESPONSE_TAG, _LIST, self.invoke_id_and_priority) + listed


GetRequest = GetRequestNormal | GetRequestNext | GetRequestWithList
GetResponse = GetResponseNormal | GetResponseWithBlock | GetResponseWithList


def read_request(cursor: Cursor) -> GetRequest:
    """What follows the tag of a Get-Request."""
    choice, invoke = cursor.unsigned(), cursor.unsigned()
    if choice == _NORMAL:
        return GetRequestNormal(invoke, *fields.read_selected(cursor))
    if choice == _BLOCK:
        return GetRequestNext(invoke, cursor.unsigned(4))
    if choice == _LIST:
        return GetRequestWithList(invoke, tuple(fields.read_selected(cursor) for _ in range(cursor.count(10))))
    raise fields.unknown_choice("a get-request", choice)


def read_response(cursor: Cursor) -> GetResponse:
    """What follows the tag of a Get-Response."""
    choice, invoke = cursor.unsigned(), cursor.unsigned()
    if choice == _NORMAL:
        return _normal_response(cursor, invoke)
    if choice == _BLOCK:
        last_block, number = cursor.flag(), cursor.unsigned(4)
        return GetResponseWithBlock(invoke, last_block, number, _block_result(cursor))
    if choice == _LIST:
        return GetResponseWithList(invoke, tuple(fields.read_data_result(cursor) for _ in range(cursor.count(2))))
    raise fields.unknown_choice("a get-response", choice)


def _normal_response(cursor: Cursor, invoke: int) -> GetResponseNormal:
    choice = cursor.unsigned()
    if choice == 0:
        return GetResponseNormal(invoke, cursor.rest())
    if choice == 1:
        return GetResponseNormal(invoke, fields.read_access_result(cursor))
    raise DecodeError(f"{choice} is neither data (0) nor a result (1)", cursor.offset - 1)


def _block_result(cursor: Cursor) -> bytes | DataAccessResult:
    choice = cursor.unsigned()
    if choice == 0:
        return cursor.octets()
    if choice == 1:
        return fields.read_access_result(cursor)
    raise DecodeError(f"{choice} is neither a block (0) nor a result (1)", cursor.offset - 1)
