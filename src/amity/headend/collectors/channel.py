"""A way to one meter through a collector, which does the framing, the link and the retries near the meter."""

import asyncio
from collections import deque
from typing import Final

from amity.devices.client.conversation import Unanswered
from amity.headend.collectors.failures import CollectorGoneError, CollectorSlowError, error_of
from amity.kernel.errors import AmityError, LocalProtocolError
from amity.protocols.relay.assembly import Arrived
from amity.protocols.relay.errors import RelayError
from amity.protocols.relay.messages import Answer, Ask, Close, Failed, Message, Notice, Open, Opened
from amity.protocols.relay.peer import Peer
from amity.protocols.relay.scheduler import CONTROL

UNSOLICITED_WAITING_MAX: Final = 64
WAY_S: Final = 20.0
"""What the way to the collector and back may add to a meter's time: other meters' answers go over it too."""


class RelayedChannel:
    """Implements `headend.ports.Channel`."""

    __slots__ = ("_failure", "_name", "_peer", "_stream", "_waiter", "unsolicited")

    def __init__(self, name: str, peer: Peer, stream: int) -> None:
        self._name = name
        self._peer = peer
        self._stream = stream
        self._failure: AmityError | None = None
        self._waiter: asyncio.Future[Message] | None = None
        self.unsolicited: deque[bytes] = deque(maxlen=UNSOLICITED_WAITING_MAX)

    async def open(self, route: str, client: int, server: int, timeout_s: float) -> None:
        """Have the collector open the way; raise what it met, or what became of the collector."""
        self._peer.send(CONTROL, Open(self._stream, route, client, server, _ms(timeout_s)))
        opened = await self._next(timeout_s)
        if not isinstance(opened, Opened):
            raise RelayError(f"collector {self._name} answered something else to an opening")

    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        """Send an APDU and return the answer's, as the channel at the collector does.

        Raises:
            BeyondCollectorError: there was none, and why.
            GarbledBeyondCollectorError: what the meter sent breaks the standard.
            CollectorGoneError: the link to the collector has ended.
            CollectorSlowError: neither answer nor failure came in time.
        """
        answered = not isinstance(apdu, Unanswered)
        if self._failure is not None:
            raise self._failure
        self._peer.send(self._stream, Ask(_ms(timeout_s), answered, apdu))
        if not answered:
            return b""
        answer = await self._next(timeout_s)
        if not isinstance(answer, Answer):
            raise RelayError(f"collector {self._name} answered something else to a request")
        return answer.apdu

    async def close(self) -> None:
        """Give the way up; does nothing when that was done."""
        if self._failure is None:
            self._failure = LocalProtocolError("the channel is closed", next_step="open it anew")
        self._peer.forget(self._stream)
        self._peer.send(CONTROL, Close(self._stream))

    # -------------------------------------------------------------- called by the collector's link
    def received(self, arrived: Arrived, message: Message) -> None:
        """What the collector says on this channel; raise RelayError for what has no place there."""
        match message:
            case Notice(apdu):
                self.unsolicited.append(apdu)
            case Failed():
                self.fail(error_of(self._name, message))
            case Opened() | Answer() if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(message)
            case _:
                raise RelayError(f"collector {self._name} says {type(message).__name__} unasked")
        self._peer.consumed(arrived)

    def lost(self) -> None:
        """The collector is gone."""
        self.fail(CollectorGoneError(self._name))

    def fail(self, error: AmityError) -> None:
        """Nothing more will come."""
        self._failure = self._failure or error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._failure)

    # -------------------------------------------------------------- inside
    async def _next(self, timeout_s: float) -> Message:
        if self._waiter is not None:
            raise LocalProtocolError("a request is sent while another one waits for its answer")
        if self._failure is not None:
            raise self._failure
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s + WAY_S):
                return await self._waiter
        except TimeoutError as error:
            raise CollectorSlowError(self._name, timeout_s + WAY_S) from error
        finally:
            self._waiter = None


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
