"""A meter that opens the connection itself and serves on it: names itself or pushes, then waits to be read."""

import asyncio
from typing import cast

from amity.devices.server import MeterServer
from amity.kernel.errors import TransportError
from amity.kernel.time import Clock
from amity.transports.hdlc_listener import HdlcMeter, HdlcPlace
from amity.transports.meter_listener import Closable, MeterLink, write


class DialledMeter(asyncio.Protocol):
    """One connection that a meter opened; `ended` is done when it is gone."""

    def __init__(self, meter: MeterLink | HdlcMeter) -> None:
        self._meter = meter
        self._transport: asyncio.Transport | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def say(self, octets: bytes) -> None:
        """Send something unasked."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)

    def close(self) -> None:
        """Hang up."""
        self._meter.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As of a caller."""
        self._transport = cast("asyncio.Transport", transport)  # other loops' transports do not inherit from it
        self._meter.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """The head-end asks."""
        self._meter.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._meter.connection_lost(exc)
        if not self.ended.done():
            self.ended.set_result(None)


async def dial_in(
    server: MeterServer, host: str, port: int, *, clock: Clock, place: HdlcPlace | None = None
) -> DialledMeter:
    """Open a connection and serve on it, in HDLC where a `place` on the line is given.

    Raise TransportError when nobody takes the call.
    """
    links: set[Closable] = set()

    def answering() -> DialledMeter:
        if place is not None:
            return DialledMeter(HdlcMeter(server, clock, write, place, links))
        return DialledMeter(MeterLink(server, clock, write, links))

    try:
        _, dialled = await asyncio.get_running_loop().create_connection(answering, host, port)
    except OSError as error:
        raise TransportError(f"nobody takes the call at {host}:{port}", answer=error.strerror or str(error)) from error
    return dialled
