"""What a meter sends unasked: building DataNotification and EventNotification, plain or in general-glo-ciphering."""

from collections.abc import Callable
from dataclasses import dataclass, field

from amity.devices.settings import Protection
from amity.protocols.dlms.access_service import CONFIRMED
from amity.protocols.dlms.apdu import Attribute, DataNotification, EventNotification
from amity.protocols.dlms.ciphering import wrap_general_glo
from amity.protocols.dlms.data import Data
from amity.protocols.dlms.protector import Protector


@dataclass(frozen=True, slots=True)
class PushSealing:
    """How pushes are protected: keys, the meter's title, and a counter that never gives a number twice."""

    protector: Protector = field(repr=False)
    system_title: bytes
    protection: Protection
    next_invocation_counter: Callable[[], int]

    def seal(self, plain: bytes) -> bytes:
        """The APDU in general-glo-ciphering, which says by its title who sent it."""
        return wrap_general_glo(
            self.protector, self.protection.control, self.system_title, self.next_invocation_counter(), plain
        )


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


def event_notification(
    attribute: Attribute, value: Data, *, date_time: bytes | None = None, sealing: PushSealing | None = None
) -> bytes:
    """One attribute and its value now; `date_time` as the twelve octets of a COSEM date-time, None leaves it out."""
    plain = EventNotification(date_time, attribute, value).encode()
    return plain if sealing is None else sealing.seal(plain)
