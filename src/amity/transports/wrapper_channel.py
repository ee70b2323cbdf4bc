"""A TCP connection to one meter that carries APDUs in wrapper frames (IEC 62056-47, 7.3)."""

import asyncio
from collections import deque
from typing import Self

from amity.devices.client.conversation import Unanswered
from amity.kernel.errors import LocalProtocolError
from amity.protocols.wrapper.frame import Frame, Reader, WrapperError, encode
from amity.transports.channel import MeterChannel
from amity.transports.failures import (
    ConnectionClosedError,
    ConnectionFailedError,
    ConnectionRefusedByPeerError,
    PartialFrameError,
    TimerT1Error,
)

_FRAMES_WAITING_MAX = 64


class WrapperChannel(MeterChannel):
    """A channel over TCP; `client` and `server` are wrapper ports."""

    __slots__ = ("_address", "_client", "_in_stream", "_link", "_server")

    def __init__(self, link: "_Link", address: str, client: int, server: int) -> None:
        super().__init__()
        self._link = link
        self._address = address
        self._client = client
        self._server = server
        self._in_stream = False

    @classmethod
    async def open(cls, host: str, port: int, client: int, server: int, connect_timeout_s: float) -> Self:
        """Connect; raise ConnectionRefusedByPeerError or ConnectionFailedError."""
        address = f"{host}:{port}"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(connect_timeout_s):
                _, link = await loop.create_connection(_Link, host, port)
        except ConnectionRefusedError as error:
            raise ConnectionRefusedByPeerError(address) from error
        except TimeoutError as error:
            raise ConnectionFailedError(address, f"no connection within {connect_timeout_s:g} s") from error
        except OSError as error:
            raise ConnectionFailedError(address, error.strerror or str(error)) from error
        return cls(link, address, client, server)

    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        """Send one APDU and return the answer's.

        An `Unanswered` one is only sent; without any, the next APDU is awaited, and silence brings no octets.

        Raises:
            PartialFrameError: a frame began and the connection ended, or `timeout_s` ran out, before it was whole.
            TimerT1Error: nothing came within `timeout_s`.
            ConnectionClosedError: the meter closed without an answer.
            WrapperError: what came is no wrapper frame.
        """
        if apdu:
            self._send(apdu)
        if isinstance(apdu, Unanswered):
            return b""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    frame = await self._link.next_frame()
                    if self._answers(frame):
                        return frame.payload
        except TimeoutError as error:
            if not apdu and not self._link.pending_octets:
                return b""
            raise self._late(timeout_s) from error
        except EOFError as error:
            raise self._ended() from error

    async def close(self) -> None:
        """Close the connection; does nothing when it is closed already."""
        await self._link.close()

    def _send(self, apdu: bytes) -> None:
        if not self._in_stream:  # in the midst of a stream the meter may have asked for a block again
            for early in self._link.waiting():
                self._answers(early)  # it answers nothing that was asked, but may be a push
        self._link.send(encode(self._client, self._server, apdu))
        self._in_stream = isinstance(apdu, Unanswered)

    def _answers(self, frame: Frame) -> bool:
        return (frame.source, frame.destination) == (self._server, self._client) and self._is_answer(frame.payload)

    def _late(self, timeout_s: float) -> PartialFrameError | TimerT1Error:
        pending = self._link.pending_octets
        if pending:
            return PartialFrameError(self._address, pending, f"silence until {timeout_s:g} s were over")
        return TimerT1Error(self._address, timeout_s)

    def _ended(self) -> PartialFrameError | ConnectionClosedError:
        pending = self._link.pending_octets
        if pending:
            return PartialFrameError(self._address, pending, "the end of the connection")
        return ConnectionClosedError(self._address)


class _Link(asyncio.Protocol):
    """Cuts the stream into frames and wakes the one who waits for the next."""

    def __init__(self) -> None:
        self._reader = Reader()
        self._frames: deque[Frame] = deque()
        self._failure: Exception | None = None
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def pending_octets(self) -> int:
        """How many octets of an unfinished frame have come."""
        return self._reader.pending_octets

    def waiting(self) -> list[Frame]:
        """Take the frames that have come and that nobody waited for."""
        frames = list(self._frames)
        self._frames.clear()
        return frames

    def send(self, octets: bytes) -> None:
        """Write a request."""
        if self._waiter is not None:
            raise LocalProtocolError("a request is sent while another one waits for its answer")
        if self._transport is not None:
            self._transport.write(octets)

    async def next_frame(self) -> Frame:
        """Wait for the next frame; raise EOFError when the connection has ended, WrapperError for garbage."""
        while not self._frames:
            if self._failure is not None:
                raise self._failure
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._frames.popleft()

    async def close(self) -> None:
        """Close and wait until the socket is gone."""
        if self._transport is not None:
            self._transport.close()
            await self._closed

    # -------------------------------------------------------------- called by the event loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Cut what came into frames."""
        try:
            self._frames.extend(self._reader.feed(data))
        except WrapperError as error:
            self._fail(error)
        if len(self._frames) > _FRAMES_WAITING_MAX:
            self._fail(WrapperError(f"{len(self._frames)} frames came at once; one answer was asked for"))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side closed, or the network did."""
        end = EOFError("the connection has ended")
        end.__cause__ = exc
        self._failure = self._failure or end
        self._wake()
        if not self._closed.done():
            self._closed.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._failure = error
        if self._transport is not None:
            self._transport.close()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
