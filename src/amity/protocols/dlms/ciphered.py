"""Ciphered APDUs as they travel (IEC 62056-5-3, glo-*, ded-*, general-glo, general-ded, general-ciphering)."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from amity.protocols.dlms import fields
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.data_types import DecodeError
from amity.protocols.dlms.key_info import KeyInfo, read_key_info

_SECURITY_HEADER = struct.Struct(">BI")
SECURITY_HEADER_OCTETS = _SECURITY_HEADER.size
_GLOBAL_SHIFT, _DEDICATED_SHIFT = 0x20, 0x40  # for the services that short names have too
_GLOBAL_LN_SHIFT, _DEDICATED_LN_SHIFT = 0x08, 0x10  # for GET, SET, ACTION, event notification
_LN_FIRST = 0xC0


class CipherTag(IntEnum):
    """Tags of the ciphered APDUs."""

    GLO_INITIATE_REQUEST = 0x21
    GLO_READ_REQUEST = 0x25
    GLO_WRITE_REQUEST = 0x26
    GLO_INITIATE_RESPONSE = 0x28
    GLO_READ_RESPONSE = 0x2C
    GLO_WRITE_RESPONSE = 0x2D
    GLO_CONFIRMED_SERVICE_ERROR = 0x2E
    GLO_UNCONFIRMED_WRITE_REQUEST = 0x36
    GLO_INFORMATION_REPORT = 0x38
    DED_INITIATE_REQUEST = 0x41
    DED_READ_REQUEST = 0x45
    DED_WRITE_REQUEST = 0x46
    DED_INITIATE_RESPONSE = 0x48
    DED_READ_RESPONSE = 0x4C
    DED_WRITE_RESPONSE = 0x4D
    DED_CONFIRMED_SERVICE_ERROR = 0x4E
    DED_UNCONFIRMED_WRITE_REQUEST = 0x56
    DED_INFORMATION_REPORT = 0x58
    GLO_GET_REQUEST = 0xC8
    GLO_SET_REQUEST = 0xC9
    GLO_EVENT_NOTIFICATION = 0xCA
    GLO_ACTION_REQUEST = 0xCB
    GLO_GET_RESPONSE = 0xCC
    GLO_SET_RESPONSE = 0xCD
    GLO_ACTION_RESPONSE = 0xCF
    DED_GET_REQUEST = 0xD0
    DED_SET_REQUEST = 0xD1
    DED_EVENT_NOTIFICATION = 0xD2
    DED_ACTION_REQUEST = 0xD3
    DED_GET_RESPONSE = 0xD4
    DED_SET_RESPONSE = 0xD5
    DED_ACTION_RESPONSE = 0xD7
    GENERAL_GLO = 0xDB
    GENERAL_DED = 0xDC

    @property
    def general(self) -> bool:
        """True for the two that carry a system title and any APDU."""
        return self is CipherTag.GENERAL_GLO or self is CipherTag.GENERAL_DED

    @property
    def dedicated(self) -> bool:
        """True for those under the key of this association, not a global key."""
        return self in _DEDICATED

    @property
    def plain(self) -> int | None:
        """The tag of the service inside; None for the general ones, which carry any."""
        return _PLAIN_OF[self]


def _plain_of(tag: CipherTag) -> int | None:
    if tag.general:
        return None
    if tag > _LN_FIRST:
        return tag - (_DEDICATED_LN_SHIFT if tag.dedicated else _GLOBAL_LN_SHIFT)
    return tag - (_DEDICATED_SHIFT if tag.dedicated else _GLOBAL_SHIFT)


_DEDICATED = frozenset(tag for tag in CipherTag if tag.name.startswith("DED_")) | {CipherTag.GENERAL_DED}
_PLAIN_OF = {tag: _plain_of(tag) for tag in CipherTag}
_GLOBAL_OF = {tag.plain: tag for tag in CipherTag if not tag.general and not tag.dedicated}
_DEDICATED_OF = {tag.plain: tag for tag in CipherTag if not tag.general and tag.dedicated}


def global_tag_of(plain_tag: int) -> CipherTag | None:
    """The glo-* tag of a service, None when it has none of its own (then general-glo carries it)."""
    return _GLOBAL_OF.get(plain_tag)


def dedicated_tag_of(plain_tag: int) -> CipherTag | None:
    """The ded-* tag of a service, None when it has none of its own (then general-ded carries it)."""
    return _DEDICATED_OF.get(plain_tag)


@dataclass(frozen=True, slots=True)
class Ciphered:
    """A protected APDU; `payload` is what follows the security header on the wire, authentication tag included.

    `system_title` is None unless the tag is a general one; empty where a meter leaves it out.
    """

    tag: CipherTag
    system_title: bytes | None
    security_control: int
    invocation_counter: int
    payload: bytes

    def encode(self) -> bytes:
        """The octets of the APDU."""
        title = b"" if self.system_title is None else fields.octet_string(self.system_title)
        header = fields.number(self.security_control) + fields.number(self.invocation_counter, 4)
        return bytes([self.tag]) + title + fields.octet_string(header + self.payload)


@dataclass(frozen=True, slots=True)
class GeneralCiphering:
    """A protected APDU that says who sent it to whom and under which key; without `key_info` both know it anyway."""

    TAG: ClassVar[int] = 0xDD
    transaction_id: bytes
    originator_system_title: bytes
    recipient_system_title: bytes
    date_time: bytes
    other_information: bytes
    key_info: KeyInfo | None
    security_control: int
    invocation_counter: int
    payload: bytes

    @property
    def header(self) -> bytes:
        """The fields that are authenticated with the text, each with its length."""
        return general_header(
            self.transaction_id, self.originator_system_title, self.recipient_system_title, self.date_time,
            self.other_information,
        )  # fmt: skip

    def encode(self) -> bytes:
        """The octets of the APDU."""
        key_info = b"\x00" if self.key_info is None else b"\x01" + self.key_info.encode()
        protected = fields.number(self.security_control) + fields.number(self.invocation_counter, 4) + self.payload
        return bytes([self.TAG]) + self.header + key_info + fields.octet_string(protected)


@dataclass(frozen=True, slots=True)
class GeneralSigning:
    """An APDU with its sender's signature (ECDSA, r and s) over all that stands before it."""

    TAG: ClassVar[int] = 0xDF
    transaction_id: bytes
    originator_system_title: bytes
    recipient_system_title: bytes
    date_time: bytes
    other_information: bytes
    content: bytes
    signature: bytes

    @property
    def signed(self) -> bytes:
        """What the signature is about: every field before it, with its length."""
        header = general_header(
            self.transaction_id, self.originator_system_title, self.recipient_system_title, self.date_time,
            self.other_information,
        )  # fmt: skip
        return header + fields.octet_string(self.content)

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return bytes([self.TAG]) + self.signed + fields.octet_string(self.signature)


def general_header(*strings: bytes) -> bytes:
    """transaction-id, originator, recipient, date-time and other-information as they travel."""
    return b"".join(map(fields.octet_string, strings))


GENERAL_PROTECTION_TAGS = frozenset(
    {int(CipherTag.GENERAL_GLO), int(CipherTag.GENERAL_DED), GeneralCiphering.TAG, GeneralSigning.TAG}
)
"""The wrappings of any APDU, which both sides must have agreed on (conformance bit 1: general protection)."""


def read_ciphered(tag: CipherTag, cursor: Cursor) -> Ciphered:
    """What follows the tag of a ciphered APDU."""
    title = cursor.octets() if tag.general else None
    return Ciphered(tag, title, *_read_protected(cursor))


def read_general_ciphering(cursor: Cursor) -> GeneralCiphering:
    """What follows the tag of a general-ciphering APDU."""
    transaction_id, originator, recipient, date_time, other = (cursor.octets() for _ in range(5))
    key_info = read_key_info(cursor) if cursor.flag() else None
    protected = _read_protected(cursor)
    return GeneralCiphering(transaction_id, originator, recipient, date_time, other, key_info, *protected)


def read_general_signing(cursor: Cursor) -> GeneralSigning:
    """What follows the tag of a general-signing APDU."""
    transaction_id, originator, recipient, date_time, other, content, signature = (cursor.octets() for _ in range(7))
    return GeneralSigning(transaction_id, originator, recipient, date_time, other, content, signature)


def _read_protected(cursor: Cursor) -> tuple[int, int, bytes]:
    length, start = cursor.length(), cursor.offset
    if length < SECURITY_HEADER_OCTETS:
        raise DecodeError("a ciphered APDU is too short for its security header", start)
    if length > cursor.remaining:
        raise DecodeError(f"a ciphered APDU announces {length} octets; {cursor.remaining} follow", start)
    cursor.offset = start + length
    control, counter = _SECURITY_HEADER.unpack_from(cursor.buffer, start)
    return control, counter, cursor.buffer[start + SECURITY_HEADER_OCTETS : cursor.offset]
