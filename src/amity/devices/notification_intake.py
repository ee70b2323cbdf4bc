"""What somebody pushes, made whole again: notifications in one APDU or in general blocks, acknowledged or not."""

from typing import NamedTuple

from amity.protocols.dlms.access_service import CONFIRMED
from amity.protocols.dlms.apdu import DataNotification, DataNotificationConfirm, GeneralBlockTransfer, decode
from amity.protocols.dlms.block_stream import MESSAGE_OCTETS_MAX, BlockDialogue, Burst

_WINDOW = 8


class Arrived(NamedTuple):
    """A whole notification, protected as it came (None: more is to come), and what goes back to its sender now."""

    message: bytes | None
    answers: Burst = ()


class NotificationIntake:
    """Takes the APDUs of one sender: whole ones, and blocks, with a window (they are acknowledged) or without.

    A notification in blocks may have `octets_max` octets.
    """

    __slots__ = ("_dialogue", "_octets_max")

    def __init__(self, octets_max: int = MESSAGE_OCTETS_MAX) -> None:
        self._dialogue: BlockDialogue | None = None
        self._octets_max = octets_max

    def receive(self, octets: bytes) -> Arrived:
        """Take one APDU; raise RemoteProtocolError for a block that does not decode, or a transfer without end."""
        if octets[:1] != bytes([GeneralBlockTransfer.TAG]):
            return Arrived(octets)
        block = decode(octets)
        if not isinstance(block, GeneralBlockTransfer):
            return Arrived(octets)
        if self._dialogue is None or (block.block_number == 1 and block.data):
            self._dialogue = BlockDialogue(0, _WINDOW, self._octets_max)
        answers = self._dialogue.receive(block)
        message = self._dialogue.message
        if message is None:
            return Arrived(None, answers)
        # The sender of a confirmed push waits to hear that its last block came; nobody waits behind window 0.
        answers = self._dialogue.again() if block.window else ()
        self._dialogue = None
        return Arrived(message, answers)


def confirmation(notification: DataNotification) -> bytes | None:
    """The plain answer to a push; None where its sender wants none."""
    invoke = notification.long_invoke_id_and_priority
    return DataNotificationConfirm(invoke).encode() if invoke & CONFIRMED else None
