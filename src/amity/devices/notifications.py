"""What a meter sends unasked: building DataNotification and EventNotification, plain or in general protection."""

from collections.abc import Callable
from dataclasses import dataclass, field

from amity.devices.message_security import MessageSecurity, sender_of
from amity.devices.settings import Ciphering, Protection
from amity.protocols.dlms.access_service import CONFIRMED
from amity.protocols.dlms.apdu import (
    Attribute,
    DataNotification,
    DataNotificationConfirm,
    EventNotification,
    decode,
)
from amity.protocols.dlms.data import Data
from amity.protocols.dlms.general_protection import UNKNOWN_KEYS, KeyUse, PublicKeys
from amity.protocols.dlms.protector import Protector


@dataclass(frozen=True, slots=True)
class PushSealing:
    """How pushes are protected: keys, the meter's title, and a counter that never gives a number twice.

    `ciphering` is general-glo or general-ciphering, for a receiver must be told who calls; with the protection NONE a
    `signed` push is signed only. `recipient` is the title of the only one who may open it, empty for whoever has the
    keys; `recipient_keys` are his public ones, for keys that are agreed on.
    """

    protector: Protector = field(repr=False)
    system_title: bytes
    protection: Protection
    next_invocation_counter: Callable[[], int]
    ciphering: Ciphering = Ciphering.GENERAL_GLO
    signed: bool = False
    key_use: KeyUse = KeyUse.IDENTIFIED
    recipient: bytes = b""
    recipient_keys: PublicKeys = UNKNOWN_KEYS

    def seal(self, plain: bytes) -> bytes:
        """The APDU in a wrapping that says by its title who sent it."""
        return self._security().seal(plain)

    def open(self, answer: bytes) -> bytes:
        """What came back, plain; raise what `MessageSecurity.open` raises.

        Whoever answers is known by his keys: a meter that pushes is not told beforehand who listens.
        """
        security = self._security()
        security.demands_signature = self.signed
        if not self.recipient:
            security.peer_title = sender_of(decode(answer))
        return security.open(answer)

    def _security(self) -> MessageSecurity:
        security = MessageSecurity(
            self.protector,
            self.system_title,
            self.next_invocation_counter,
            ciphering=self.ciphering,
            policy=self.protection,
        )
        security.peer_title, security.peer_keys = self.recipient, self.recipient_keys
        security.signs, security.key_use = self.signed, self.key_use
        return security


def data_notification(
    body: Data | bytes,
    *,
    long_invoke_id: int,
    date_time: bytes = b"",
    sealing: PushSealing | None = None,
    confirmed: bool = False,
) -> bytes:
    """A push of `body` (Data or its A-XDR octets); `date_time` is empty or the twelve octets of a COSEM date-time.

    A `confirmed` one asks for a DataNotificationConfirm. One that is longer than the receiver takes goes out in general
    blocks: `unconfirmed_blocks` where nobody answers, a `BlockDialogue` where somebody does.
    """
    invoke = long_invoke_id | (CONFIRMED if confirmed else 0)
    plain = DataNotification(invoke, date_time, body).encode()
    return plain if sealing is None else sealing.seal(plain)


def confirmed_number(plain: bytes) -> int | None:
    """The long-invoke-id of the push that a plain answer confirms, None when it confirms none.

    Raises RemoteProtocolError when it does not decode.
    """
    answer = decode(plain)
    return answer.long_invoke_id_and_priority & _NUMBER if isinstance(answer, DataNotificationConfirm) else None


_NUMBER = 0x00FF_FFFF
"""The long-invoke-id in long-invoke-id-and-priority."""


def event_notification(
    attribute: Attribute, value: Data, *, date_time: bytes | None = None, sealing: PushSealing | None = None
) -> bytes:
    """One attribute and its value now; `date_time` as the twelve octets of a COSEM date-time, None leaves it out."""
    plain = EventNotification(date_time, attribute, value).encode()
    return plain if sealing is None else sealing.seal(plain)
