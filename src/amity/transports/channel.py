"""A connection to one meter that carries one exchange at a time, whatever the framing."""

from abc import ABC, abstractmethod
from collections import deque
from typing import TypeVar

from amity.devices.client.conversation import Conversation, converse
from amity.protocols.dlms.apdu import CipherTag, DataNotification, EventNotification

Result = TypeVar("Result")

UNSOLICITED_WAITING_MAX = 64
_UNSOLICITED_TAGS = frozenset({DataNotification.TAG, EventNotification.TAG, int(CipherTag.GLO_EVENT_NOTIFICATION)})


class MeterChannel(ABC):
    """Sends a request and waits for its answer, one at a time; what the meter says unasked lands in `unsolicited`.

    After any error the connection is of no more use: close it.
    """

    __slots__ = ("unsolicited",)

    def __init__(self) -> None:
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
        """True unless the meter says it unasked; then it is kept."""
        if apdu[:1] and apdu[0] in _UNSOLICITED_TAGS:
            self.unsolicited.append(apdu)
            return False
        return True
