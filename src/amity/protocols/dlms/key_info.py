"""Under which key a general-ciphering APDU stands (IEC 62056-5-3, 5.3.6 and 6.1, Key-Info)."""

from dataclasses import dataclass
from typing import ClassVar

from amity.protocols.dlms import fields
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.data_types import DecodeError

ONE_PASS_DH, STATIC_UNIFIED = b"\x01", b"\x02"
"""key-parameters of an agreed key: C(1e,1s), with the sender's signed point, and C(0e,2s), with none."""


@dataclass(frozen=True, slots=True)
class IdentifiedKey:
    """A key that both have: 0 the global unicast, 1 the global broadcast encryption key."""

    CHOICE: ClassVar[int] = 0
    key_id: int

    def encode(self) -> bytes:
        """The octets of Key-Info."""
        return bytes([self.CHOICE]) + fields.number(self.key_id)


@dataclass(frozen=True, slots=True)
class WrappedMessageKey:
    """A key of this message alone, wrapped by the key `kek_id` (0: the master key)."""

    CHOICE: ClassVar[int] = 1
    kek_id: int
    octets: bytes

    def encode(self) -> bytes:
        """The octets of Key-Info."""
        return bytes([self.CHOICE]) + fields.number(self.kek_id) + fields.octet_string(self.octets)


@dataclass(frozen=True, slots=True)
class AgreedKey:
    """A key agreed by ECDH; `parameters` is ONE_PASS_DH or STATIC_UNIFIED, `octets` what the scheme makes travel."""

    CHOICE: ClassVar[int] = 2
    parameters: bytes
    octets: bytes

    def encode(self) -> bytes:
        """The octets of Key-Info."""
        return bytes([self.CHOICE]) + fields.octet_string(self.parameters) + fields.octet_string(self.octets)


KeyInfo = IdentifiedKey | WrappedMessageKey | AgreedKey


def read_key_info(cursor: Cursor) -> KeyInfo:
    """What follows the presence mark of Key-Info."""
    start = cursor.offset
    choice = cursor.unsigned()
    if choice == IdentifiedKey.CHOICE:
        return IdentifiedKey(cursor.unsigned())
    if choice == WrappedMessageKey.CHOICE:
        return WrappedMessageKey(cursor.unsigned(), cursor.octets())
    if choice == AgreedKey.CHOICE:
        return AgreedKey(cursor.octets(), cursor.octets())
    raise DecodeError(f"{choice} is no way to name a key", start)
