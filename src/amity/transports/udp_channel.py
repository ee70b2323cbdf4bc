"""APDUs to one meter in UDP datagrams, each with one wrapper frame (IEC 62056-47)."""

import asyncio
from typing import Self, cast

from amity.protocols.wrapper.frame import WrapperError, decode_datagram
from amity.transports.failures import ConnectionFailedError, ConnectionRefusedByPeerError
from amity.transports.frame_queue import FrameQueue, FramesChannel


class UdpChannel(FramesChannel):
    """A channel over UDP.

    A datagram that is lost is not sent again: a ciphered request must never go out twice. The caller asks anew.
    """

    __slots__ = ()

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
        return cls(link, client, server)


class _Datagrams(FrameQueue, asyncio.DatagramProtocol):
    """Opens what comes."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._transport: asyncio.DatagramTransport | None = None

    def _write(self, octets: bytes) -> None:
        if self._transport is not None:
            self._transport.sendto(octets)

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # -------------------------------------------------------------- called by the event loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.DatagramTransport", transport)  # in Python 3.11 not one by inheritance

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the socket is connected to one
        """Open a datagram."""
        try:
            self._take_in([decode_datagram(data)])
        except WrapperError as error:
            self._fail(error)

    def error_received(self, exc: Exception) -> None:
        """The host says that nothing listens there, or the network that it knows no way."""
        if isinstance(exc, ConnectionRefusedError):
            self._fail(ConnectionRefusedByPeerError(self.address))
        else:
            self._fail(ConnectionFailedError(self.address, str(exc)))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended, it has
        """The socket is gone."""
        self._is_closed()
