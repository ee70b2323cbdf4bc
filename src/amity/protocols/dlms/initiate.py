"""Opening the xDLMS context (IEC 62056-5-3, InitiateRequest and InitiateResponse)."""

from dataclasses import dataclass, field, replace
from enum import IntFlag
from typing import ClassVar

from amity.protocols.dlms import fields
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.data_types import DecodeError

REQUEST_TAG = 0x01
RESPONSE_TAG = 0x08
DLMS_VERSION = 6
VAA_NAME_LN = 0x0007
_CONFORMANCE_HEADER = bytes.fromhex("5f1f0400")
_CONFORMANCE_HEADER_SHORT = bytes.fromhex("5f0400")  # an early edition wrote the application tag in one octet


class Conformance(IntFlag):
    """The services a client proposes or a server grants; bit 0 of the standard is the high bit of 24."""

    GENERAL_PROTECTION = 1 << 22
    GENERAL_BLOCK_TRANSFER = 1 << 21
    READ = 1 << 20
    WRITE = 1 << 19
    UNCONFIRMED_WRITE = 1 << 18
    DELTA_VALUE_ENCODING = 1 << 17
    ATTRIBUTE0_SUPPORTED_WITH_SET = 1 << 15
    PRIORITY_MGMT_SUPPORTED = 1 << 14
    ATTRIBUTE0_SUPPORTED_WITH_GET = 1 << 13
    BLOCK_TRANSFER_WITH_GET_OR_READ = 1 << 12
    BLOCK_TRANSFER_WITH_SET_OR_WRITE = 1 << 11
    BLOCK_TRANSFER_WITH_ACTION = 1 << 10
    MULTIPLE_REFERENCES = 1 << 9
    INFORMATION_REPORT = 1 << 8
    DATA_NOTIFICATION = 1 << 7
    ACCESS = 1 << 6
    PARAMETERIZED_ACCESS = 1 << 5
    GET = 1 << 4
    SET = 1 << 3
    SELECTIVE_ACCESS = 1 << 2
    EVENT_NOTIFICATION = 1 << 1
    ACTION = 1 << 0
    RESERVED_ZERO = 1 << 23
    RESERVED_SEVEN = 1 << 16


@dataclass(frozen=True, slots=True)
class InitiateRequest:
    """What the client proposes; `max_pdu_octets` is the longest APDU it can receive, 0 for no limit."""

    TAG: ClassVar[int] = REQUEST_TAG
    conformance: Conformance
    max_pdu_octets: int
    dedicated_key: bytes | None = field(default=None, repr=False)
    response_allowed: bool = True
    quality_of_service: int | None = None
    version: int = DLMS_VERSION

    def around_key(self, octets: int) -> tuple[bytes, bytes]:
        """The octets of the APDU before and after a dedicated key of so many, for whoever puts it there unseen."""
        before = bytes([REQUEST_TAG, 1, octets])
        return before, replace(self, dedicated_key=None).encode()[2:]

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return b"".join(
            (
                bytes([REQUEST_TAG]),
                fields.optional_octets(self.dedicated_key),
                b"\x00" if self.response_allowed else b"\x01\x00",
                _optional_octet(self.quality_of_service),
                fields.number(self.version),
                _conformance_octets(self.conformance),
                fields.number(self.max_pdu_octets, 2),
            )
        )


@dataclass(frozen=True, slots=True)
class InitiateResponse:
    """What the server grants; `max_pdu_octets` is the longest APDU it can receive."""

    TAG: ClassVar[int] = RESPONSE_TAG
    conformance: Conformance
    max_pdu_octets: int
    vaa_name: int = VAA_NAME_LN
    quality_of_service: int | None = None
    version: int = DLMS_VERSION

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return b"".join(
            (
                bytes([RESPONSE_TAG]),
                _optional_octet(self.quality_of_service),
                fields.number(self.version),
                _conformance_octets(self.conformance),
                fields.number(self.max_pdu_octets, 2),
                fields.number(self.vaa_name, 2),
            )
        )


def read_request(cursor: Cursor) -> InitiateRequest:
    """What follows the tag of an InitiateRequest."""
    dedicated_key = cursor.octets() if cursor.flag() else None
    response_allowed = not cursor.flag() or cursor.flag()
    quality = cursor.unsigned() if cursor.flag() else None
    version = cursor.unsigned()
    conformance = _read_conformance(cursor)
    return InitiateRequest(conformance, cursor.unsigned(2), dedicated_key, response_allowed, quality, version)


def read_response(cursor: Cursor) -> InitiateResponse:
    """What follows the tag of an InitiateResponse."""
    quality = cursor.unsigned() if cursor.flag() else None
    version = cursor.unsigned()
    conformance = _read_conformance(cursor)
    response = InitiateResponse(conformance, cursor.unsigned(2), cursor.unsigned(2), quality, version)
    cursor.skip_padding()
    return response


def _optional_octet(value: int | None) -> bytes:
    return b"\x00" if value is None else b"\x01" + fields.number(value)


def _conformance_octets(conformance: Conformance) -> bytes:
    return _CONFORMANCE_HEADER + int(conformance).to_bytes(3, "big")


def _read_conformance(cursor: Cursor) -> Conformance:
    for header in (_CONFORMANCE_HEADER, _CONFORMANCE_HEADER_SHORT):
        if cursor.buffer.startswith(header, cursor.offset):
            cursor.take(len(header))
            return Conformance(cursor.unsigned(3))
    raise DecodeError("no conformance block where one should be", cursor.offset)
