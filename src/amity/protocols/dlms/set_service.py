"""The SET service (IEC 62056-5-3, Set-Request and Set-Response)."""

from dataclasses import dataclass
from typing import ClassVar

from amity.protocols.dlms import fields
from amity.protocols.dlms.attributes import Attribute
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.data import Data, encode, encode_length
from amity.protocols.dlms.fields import DataBlock
from amity.protocols.dlms.results import DataAccessResult
from amity.protocols.dlms.selective_access import Access

REQUEST_TAG = 0xC1
RESPONSE_TAG = 0xC5
Selected = tuple[Attribute, Access | None]


@dataclass(frozen=True, slots=True)
class SetRequestNormal:
    """Write one attribute."""

    TAG: ClassVar[int] = REQUEST_TAG
    invoke_id_and_priority: int
    attribute: Attribute
    access: Access | None
    value: Data

    def encode(self) -> bytes:
        """The octets of the APDU."""
        target = fields.selected(self.attribute, self.access)
        return fields.head(REQUEST_TAG, 1, self.invoke_id_and_priority) + target + encode(self.value)


@dataclass(frozen=True, slots=True)
class SetRequestWithFirstDataBlock:
    """Begin to write one attribute in blocks."""

    TAG: ClassVar[int] = REQUEST_TAG
    invoke_id_and_priority: int
    attribute: Attribute
    access: Access | None
    block: DataBlock

    def encode(self) -> bytes:
        """The octets of the APDU."""
        target = fields.selected(self.attribute, self.access)
        return fields.head(REQUEST_TAG, 2, self.invoke_id_and_priority) + target + self.block.encode()


@dataclass(frozen=True, slots=True)
class SetRequestWithDataBlock:
    """Go on writing in blocks."""

    TAG: ClassVar[int] = REQUEST_TAG
    invoke_id_and_priority: int
    block: DataBlock

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return fields.head(REQUEST_TAG, 3, self.invoke_id_and_priority) + self.block.encode()


@dataclass(frozen=True, slots=True)
class SetRequestWithList:
    """Write several attributes; one value each, in the same order."""

    TAG: ClassVar[int] = REQUEST_TAG
    invoke_id_and_priority: int
    attributes: tuple[Selected, ...]
    values: tuple[Data, ...]

    def encode(self) -> bytes:
        """The octets of the APDU."""
        listed = _selected_list(self.attributes) + fields.data_list(self.values)
        return fields.head(REQUEST_TAG, 4, self.invoke_id_and_priority) + listed


@dataclass(frozen=True, slots=True)
class SetRequestWithListAndFirstDataBlock:
    """Begin to write several attributes in blocks."""

    TAG: ClassVar[int] = REQUEST_TAG
    invoke_id_and_priority: int
    attributes: tuple[Selected, ...]
    block: DataBlock

    def encode(self) -> bytes:
        """The octets of the APDU."""
        listed = _selected_list(self.attributes) + self.block.encode()
        return fields.head(REQUEST_TAG, 5, self.invoke_id_and_priority) + listed


@dataclass(frozen=True, slots=True)
class SetResponseNormal:
    """How writing one attribute went."""

    TAG: ClassVar[int] = RESPONSE_TAG
    invoke_id_and_priority: int
    result: DataAccessResult

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return fields.head(RESPONSE_TAG, 1, self.invoke_id_and_priority) + fields.number(self.result)


@dataclass(frozen=True, slots=True)
class SetResponseDataBlock:
    """A block has arrived; the next one may come."""

    TAG: ClassVar[int] = RESPONSE_TAG
    invoke_id_and_priority: int
    block_number: int

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return fields.head(RESPONSE_TAG, 2, self.invoke_id_and_priority) + fields.number(self.block_number, 4)


@dataclass(frozen=True, slots=True)
class SetResponseLastDataBlock:
    """The last block has arrived; how writing went."""

    TAG: ClassVar[int] = RESPONSE_TAG
    invoke_id_and_priority: int
    result: DataAccessResult
    block_number: int

    def encode(self) -> bytes:
        """The octets of the APDU."""
        outcome = fields.number(self.result) + fields.number(self.block_number, 4)
        return fields.head(RESPONSE_TAG, 3, self.invoke_id_and_priority) + outcome


@dataclass(frozen=True, slots=True)
class SetResponseLastDataBlockWithList:
    """The last block has arrived; how writing each attribute went."""

    TAG: ClassVar[int] = RESPONSE_TAG
    invoke_id_and_priority: int
    results: tuple[DataAccessResult, ...]
    block_number: int

    def encode(self) -> bytes:
        """The octets of the APDU."""
        outcome = _result_list(self.results) + fields.number(self.block_number, 4)
        return fields.head(RESPONSE_TAG, 4, self.invoke_id_and_priority) + outcome


@dataclass(frozen=True, slots=True)
class SetResponseWithList:
    """How writing each attribute went."""

    TAG: ClassVar[int] = RESPONSE_TAG
    invoke_id_and_priority: int
    results: tuple[DataAccessResult, ...]

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return fields.head(RESPONSE_TAG, 5, self.invoke_id_and_priority) + _result_list(self.results)


SetRequest = (
    SetRequestNormal
    | SetRequestWithFirstDataBlock
    | SetRequestWithDataBlock
    | SetRequestWithList
    | SetRequestWithListAndFirstDataBlock
)
SetResponse = (
    SetResponseNormal
    | SetResponseDataBlock
    | SetResponseLastDataBlock
    | SetResponseLastDataBlockWithList
    | SetResponseWithList
)


def _selected_list(attributes: tuple[Selected, ...]) -> bytes:
    return encode_length(len(attributes)) + b"".join(fields.selected(*one) for one in attributes)


def _result_list(results: tuple[DataAccessResult, ...]) -> bytes:
    return encode_length(len(results)) + bytes(results)


def _read_selected_list(cursor: Cursor) -> tuple[Selected, ...]:
    return tuple(fields.read_selected(cursor) for _ in range(cursor.count(10)))


def _read_result_list(cursor: Cursor) -> tuple[DataAccessResult, ...]:
    return tuple(fields.read_access_result(cursor) for _ in range(cursor.count()))


def read_request(cursor: Cursor) -> SetRequest:
    """What follows the tag of a Set-Request."""
    choice, invoke = cursor.unsigned(), cursor.unsigned()
    match choice:
        case 1:
            return SetRequestNormal(invoke, *fields.read_selected(cursor), cursor.data())
        case 2:
            return SetRequestWithFirstDataBlock(invoke, *fields.read_selected(cursor), fields.read_block(cursor))
        case 3:
            return SetRequestWithDataBlock(invoke, fields.read_block(cursor))
        case 4:
            return SetRequestWithList(invoke, _read_selected_list(cursor), fields.read_data_list(cursor))
        case 5:
            return SetRequestWithListAndFirstDataBlock(invoke, _read_selected_list(cursor), fields.read_block(cursor))
        case _:
            raise fields.unknown_choice("a set-request", choice)


def read_response(cursor: Cursor) -> SetResponse:
    """What follows the tag of a Set-Response."""
    choice, invoke = cursor.unsigned(), cursor.unsigned()
    match choice:
        case 1:
            return SetResponseNormal(invoke, fields.read_access_result(cursor))
        case 2:
            return SetResponseDataBlock(invoke, cursor.unsigned(4))
        case 3:
            return SetResponseLastDataBlock(invoke, fields.read_access_result(cursor), cursor.unsigned(4))
        case 4:
            return SetResponseLastDataBlockWithList(invoke, _read_result_list(cursor), cursor.unsigned(4))
        case 5:
            return SetResponseWithList(invoke, _read_result_list(cursor))
        case _:
            raise fields.unknown_choice("a set-response", choice)
