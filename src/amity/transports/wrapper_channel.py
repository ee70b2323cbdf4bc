"""A TCP connection to one meter that carries APDUs in wrapper frames (IEC 62056-47, 7.3)."""

import asyncio
from typing import Self, cast

from amity.protocols.wrapper.frame import Reader, WrapperError
from amity.transports.failures import (
    ConnectionClosedError,
    ConnectionFailedError,
    ConnectionRefusedByPeerError,
    PartialFrameError,
)
from amity.transports.frame_queue import FrameQueue, FramesChannel


class WrapperChannel(FramesChannel):
    """A channel over TCP."""

    __slots__ = ()

    @classmethod
    async def open(cls, host: str, port: int, client: int, server: int, connect_timeout_s: float) -> Self:
        """Connect; raise ConnectionRefusedByPeerError or ConnectionFailedError."""
        address = f"{host}:{port}"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(connect_timeout_s):
                _, link = await loop.create_connection(lambda: _Link(address), host, port)
        except ConnectionRefusedError as error:
            raise ConnectionRefusedByPeerError(address) from error
        except TimeoutError as error:
            raise ConnectionFailedError(address, f"no connection within {connect_timeout_s:g} s") from error
        except OSError as error:
            raise ConnectionFailedError(address, error.strerror or str(error)) from error
        return cls(link, client, server)


class _Link(FrameQueue, asyncio.Protocol):
    """Cuts the stream into frames."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._reader = Reader()
        self._transport: asyncio.Transport | None = None

    @property
    def pending_octets(self) -> int:
        """How many octets of an unfinished frame have come."""
        return self._reader.pending_octets

    def _write(self, octets: bytes) -> None:
        if self._transport is not None:
            self._transport.write(octets)

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # -------------------------------------------------------------- called by the event loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # other loops' transports do not inherit from it

    def data_received(self, data: bytes) -> None:
        """Cut what came into frames."""
        try:
            self._take_in(self._reader.feed(data))
        except WrapperError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side closed, or the network did."""
        end = self._ended()
        end.__cause__ = exc
        self._failure = self._failure or end
        self._is_closed()

    def _ended(self) -> PartialFrameError | ConnectionClosedError:
        if self.pending_octets:
            return PartialFrameError(self.address, self.pending_octets, "the end of the connection")
        return ConnectionClosedError(self.address)
