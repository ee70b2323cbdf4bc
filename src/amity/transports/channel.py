"""A connection to one meter that carries one exchange at a time, whatever the framing."""

from abc import ABC, abstractmethod
from collections import deque
from typing import TypeVar

from amity.devices.client.conversation import Conversation, converse
from amity.protocols.dlms.apdu import CipherTag, DataNotification, EventNotification
from amity.protocols.dlms.ciphered import GENERAL_PROTECTION_TAGS
from amity.protocols.gateway.prefix import GatewayError, decode, is_prefixed

Result = TypeVar("Result")

UNSOLICITED_WAITING_MAX = 64
_UNSOLICITED_TAGS = frozenset({DataNotification.TAG, EventNotification.TAG, int(CipherTag.GLO_EVENT_NOTIFICATION)})
_SAID_BY_OTHERS_TAGS = _UNSOLICITED_TAGS | GENERAL_PROTECTION_TAGS
"""Nobody was asked but the meter: what another one protects for us is a push, and no answer."""

Behind = tuple[int, bytes]
"""Where a meter stands behind a gateway: the network, and the device in it."""


class MeterChannel(ABC):
    """Sends a request and waits for its answer, one at a time; what is said unasked lands in `unsolicited`.

    Behind a gateway that is what the gateway and other meters say too, each with its prefix as it came; `answers_from`
    is where the meter stands that was asked. After any error the connection is of no more use: close it.
    """

    __slots__ = ("answers_from", "unsolicited")

    def __init__(self) -> None:
        self.answers_from: Behind | None = None
        self.unsolicited: deque[bytes] = deque(maxlen=UNSOLICITED_WAITING_MAX)

    @abstractmethod
    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        """Send one APDU and return the answer's; raise TransportError or RemoteProtocolError when there is none."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connection; does nothing when it is closed already."""

    async def run(self, conversation: Conversation[Result], request_timeout_s: float) -> Result:
        """Lead a conversation to its end; `request_timeout_s` is for each exchange of it."""
        return await converse(conversation, lambda request: self.exchange(request, request_timeout_s))

    def _is_answer(self, apdu: bytes) -> bool:
        """True unless it is said unasked; then it is kept."""
        if _is_unasked(apdu, self.answers_from):
            self.unsolicited.append(apdu)
            return False
        return True


def _is_unasked(octets: bytes, answers_from: Behind | None) -> bool:
    speaker, apdu = None, octets
    if is_prefixed(octets):
        try:
            prefixed = decode(octets)
        except GatewayError:
            return False
        speaker, apdu = (prefixed.network, prefixed.device), prefixed.apdu
    tags = _UNSOLICITED_TAGS if speaker == answers_from else _SAID_BY_OTHERS_TAGS
    return bool(apdu) and apdu[0] in tags
