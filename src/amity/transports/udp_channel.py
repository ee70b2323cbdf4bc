"""APDUs to one meter in UDP datagrams, each with one wrapper frame (IEC 62056-47)."""

import asyncio
from collections import deque
from typing import Self, cast

from amity.devices.client.conversation import Unanswered
from amity.kernel.errors import AmityError, LocalProtocolError
from amity.protocols.wrapper.frame import Frame, WrapperError, decode_datagram, encode
from amity.transports.channel import UNSOLICITED_WAITING_MAX, MeterChannel
from amity.transports.failures import (
    ConnectionClosedError,
    ConnectionFailedError,
    ConnectionRefusedByPeerError,
    TimerT1Error,
)


class UdpChannel(MeterChannel):
    """A channel over UDP; `client` and `server` are wrapper ports.

    A datagram that is lost is not sent again: a ciphered request must never go out twice. The caller asks anew.
    """

    __slots__ = ("_address", "_client", "_link", "_server")

    def __init__(self, link: "_Datagrams", address: str, client: int, server: int) -> None:
        super().__init__()
        self._link = link
        self._address = address
        self._client = client
        self._server = server

    @classmethod
    async def open(cls, host: str, port: int, client: int, server: int, connect_timeout_s: float) -> Self:
        """Find the way to the host (nothing is sent yet); raise ConnectionFailedError."""
        address = f"{host}:{port}"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(connect_timeout_s):
                _, link = await loop.create_datagram_endpoint(lambda: _Datagrams(address), remote_addr=(host, port))
        except TimeoutError as error:
            raise ConnectionFailedError(address, f"no address within {connect_timeout_s:g} s") from error
        except OSError as error:
            raise ConnectionFailedError(address, error.strerror or str(error)) from error
        return cls(link, address, client, server)

    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        """Send one APDU and return the answer's.

        An `Unanswered` one is only sent; without any, the next APDU is awaited, and silence brings no octets.

        Raises:
            ConnectionRefusedByPeerError: nothing listens on the port.
            TimerT1Error: nothing came within `timeout_s`.
            ConnectionClosedError: the channel was closed.
            WrapperError: what came is no wrapper frame.
        """
        if apdu:
            self._link.send(encode(self._client, self._server, apdu))
        if isinstance(apdu, Unanswered):
            return b""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    frame = await self._link.next_frame()
                    ends = (frame.source, frame.destination)
                    if ends == (self._server, self._client) and self._is_answer(frame.payload):
                        return frame.payload
        except TimeoutError as error:
            if not apdu:
                return b""
            raise TimerT1Error(self._address, timeout_s) from error

    async def close(self) -> None:
        """Close the socket; does nothing when it is closed already."""
        await self._link.close()


class _Datagrams(asyncio.DatagramProtocol):
    """Opens what comes and wakes the one who waits for it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._frames: deque[Frame] = deque(maxlen=UNSOLICITED_WAITING_MAX)
        self._failure: AmityError | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, datagram: bytes) -> None:
        """Send a request; frames that came before it answer nothing and are dropped."""
        if self._waiter is not None:
            raise LocalProtocolError("a request is sent while another one waits for its answer")
        self._frames.clear()
        if self._transport is not None:
            self._transport.sendto(datagram)

    async def next_frame(self) -> Frame:
        """Wait for the next frame; raise what ended the channel."""
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
        self._fail(ConnectionClosedError(self._address))
        if self._transport is not None:
            self._transport.close()
            await self._closed

    # -------------------------------------------------------------- called by the event loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.DatagramTransport", transport)  # in Python 3.11 not one by inheritance

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the socket is connected to one
        """Open a datagram."""
        try:
            self._frames.append(decode_datagram(data))
        except WrapperError as error:
            self._fail(error)
        self._wake()

    def error_received(self, exc: Exception) -> None:
        """The host says that nothing listens there, or the network that it knows no way."""
        if isinstance(exc, ConnectionRefusedError):
            self._fail(ConnectionRefusedByPeerError(self._address))
        else:
            self._fail(ConnectionFailedError(self._address, str(exc)))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended, it has
        """The socket is gone."""
        if not self._closed.done():
            self._closed.set_result(None)

    def _fail(self, error: AmityError) -> None:
        self._failure = self._failure or error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
