"""Wrapper frames that have come and nobody has taken yet, and a channel over them: what TCP and UDP have in common."""

import asyncio
from abc import abstractmethod
from collections import deque

from amity.devices.client.conversation import Unanswered
from amity.kernel.errors import AmityError, LocalProtocolError
from amity.protocols.wrapper.frame import Frame, WrapperError, encode
from amity.transports.channel import MeterChannel
from amity.transports.failures import ConnectionClosedError, MisaddressedError, PartialFrameError, TimerT1Error

_FRAMES_WAITING_MAX = 64


class FrameQueue(asyncio.BaseProtocol):
    """Holds frames for the one who waits; subclasses put them in and send."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._frames: deque[Frame] = deque()
        self._failure: AmityError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._deadline_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()

    @property
    def pending_octets(self) -> int:
        """How many octets of an unfinished frame have come."""
        return 0

    def waiting(self) -> list[Frame]:
        """Take the frames that have come and that nobody waited for."""
        frames = list(self._frames)
        self._frames.clear()
        return frames

    def send(self, octets: bytes) -> None:
        """Send a request; raise LocalProtocolError while another one waits for its answer."""
        if self._waiter is not None:
            raise LocalProtocolError("a request is sent while another one waits for its answer")
        self._write(octets)

    async def next_frame(self, deadline_s: float) -> Frame:
        """The next frame; raise TimeoutError at that time of the loop's clock, or what ended the connection."""
        while not self._frames:
            if self._failure is not None:
                raise self._failure
            self._waiter = self._loop.create_future()
            self._watch(deadline_s)
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._frames.popleft()

    async def close(self) -> None:
        """Close and wait until the socket is gone."""
        self._fail(ConnectionClosedError(self.address))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._closed

    # -------------------------------------------------------------- for TCP and UDP
    @abstractmethod
    def _write(self, octets: bytes) -> None:
        """Put octets on the line."""

    @abstractmethod
    def _hang_up(self) -> None:
        """Begin to close the socket; does nothing when that has begun."""

    def _take_in(self, frames: list[Frame]) -> None:
        self._frames.extend(frames)
        if len(self._frames) > _FRAMES_WAITING_MAX:
            self._fail(WrapperError(f"{len(self._frames)} frames came at once; one answer was asked for"))
        self._wake()

    def _fail(self, error: AmityError) -> None:
        """Nothing more will come; what has come can still be taken."""
        self._failure = self._failure or error
        self._hang_up()
        self._wake()

    def _is_closed(self) -> None:
        self._wake()
        if not self._closed.done():
            self._closed.set_result(None)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -------------------------------------------------------------- time
    def _watch(self, deadline_s: float) -> None:
        """One timer for all exchanges of a connection: it looks when it rings whether the deadline was put off."""
        self._deadline_s = deadline_s
        if self._timer is not None and self._timer.when() > deadline_s:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(deadline_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._deadline_s:
            self._watch(self._deadline_s)
        else:
            self._waiter.set_exception(TimeoutError())


class FramesChannel(MeterChannel):
    """A channel over wrapper frames; `client` and `server` are wrapper ports."""

    __slots__ = ("_client", "_in_stream", "_queue", "_server", "_stray")

    def __init__(self, queue: FrameQueue, client: int, server: int) -> None:
        super().__init__()
        self._queue = queue
        self._client = client
        self._server = server
        self._in_stream = False
        self._stray: tuple[int, int] | None = None

    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        """Send one APDU and return the answer's.

        An `Unanswered` one is only sent; without any, the next APDU is awaited, and silence brings no octets.

        Raises:
            PartialFrameError: a frame began and the connection ended, or `timeout_s` ran out, before it was whole.
            TimerT1Error: nothing came within `timeout_s`.
            MisaddressedError: something came, from or to somebody else.
            ConnectionRefusedByPeerError: UDP only, nothing listens on the port.
            ConnectionClosedError: the connection has ended without an answer.
            WrapperError: what came is no wrapper frame.
        """
        if apdu:
            self._send(apdu)
        if isinstance(apdu, Unanswered):
            return b""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        try:
            while True:
                frame = await self._queue.next_frame(deadline_s)
                if self._answers(frame):
                    return frame.payload
        except TimeoutError as error:
            if not apdu and not self._queue.pending_octets:
                return b""
            raise self._late(timeout_s) from error

    async def close(self) -> None:
        """Close the connection; does nothing when it is closed already."""
        await self._queue.close()

    def _send(self, apdu: bytes) -> None:
        if not self._in_stream:  # in the midst of a stream the meter may have asked for a block again
            for early in self._queue.waiting():
                self._answers(early)  # it answers nothing that was asked, but may be a push
        self._stray = None
        self._queue.send(encode(self._client, self._server, apdu))
        self._in_stream = isinstance(apdu, Unanswered)

    def _answers(self, frame: Frame) -> bool:
        way = (frame.source, frame.destination)
        if way == (self._server, self._client):
            return self._is_answer(frame.payload)
        self._stray = way
        return False

    def _late(self, timeout_s: float) -> PartialFrameError | MisaddressedError | TimerT1Error:
        pending, address = self._queue.pending_octets, self._queue.address
        if pending:
            return PartialFrameError(address, pending, f"silence until {timeout_s:g} s were over")
        if self._stray is not None:
            return MisaddressedError(address, self._stray, (self._server, self._client))
        return TimerT1Error(address, timeout_s)
