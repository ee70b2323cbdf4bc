"""One block of a general block transfer (IEC 62056-5-3, General-Block-Transfer); `block_stream` has the procedure."""

from dataclasses import dataclass
from typing import ClassVar

from amity.kernel.errors import LocalProtocolError
from amity.protocols.dlms import fields
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.data import encode_length

BLOCK_TAG = 0xE0
_LAST = 0x80
_STREAMING = 0x40
_WINDOW = 0x3F
_LENGTH_MAX = 0xFFFF


@dataclass(frozen=True, slots=True)
class GeneralBlockTransfer:
    """One block of any APDU; `window` is how many blocks the sender can take before it must acknowledge."""

    TAG: ClassVar[int] = BLOCK_TAG
    last_block: bool
    streaming: bool
    window: int
    block_number: int
    block_number_ack: int
    data: bytes

    def encode(self) -> bytes:
        """The octets of the APDU."""
        if not 0 <= self.window <= _WINDOW:
            raise LocalProtocolError(f"a window is 0 to {_WINDOW} blocks, not {self.window}")
        control = (_LAST if self.last_block else 0) | (_STREAMING if self.streaming else 0) | self.window
        numbers = fields.number(self.block_number, 2) + fields.number(self.block_number_ack, 2)
        return bytes([BLOCK_TAG, control]) + numbers + fields.octet_string(self.data)


def read_block(cursor: Cursor) -> GeneralBlockTransfer:
    """What follows the tag of a General-Block-Transfer."""
    control = cursor.unsigned()
    return GeneralBlockTransfer(
        last_block=bool(control & _LAST),
        streaming=bool(control & _STREAMING),
        window=control & _WINDOW,
        block_number=cursor.unsigned(2),
        block_number_ack=cursor.unsigned(2),
        data=cursor.octets(),
    )


def piece_octets(room_octets: int, head_octets: int) -> int:
    """How much of a message fits an APDU of `room_octets` (0: any length) behind its head and its own length."""
    room = (room_octets or _LENGTH_MAX) - head_octets
    return max(room - len(encode_length(max(room, 0))), 1)
