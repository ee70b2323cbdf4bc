"""A UDP port on which a meter serves wrapper frames, one in each datagram: the shell around a `MeterServer`."""

import asyncio
from datetime import datetime, timedelta
from typing import cast

from amity.devices.server import MeterAssociation, MeterServer
from amity.kernel.time import Clock
from amity.protocols.wrapper.frame import WrapperError, decode_datagram, encode
from amity.transports.meter_listener import cannot_listen

CALLERS_MAX = 32
"""How many callers are remembered: those with an association, which nobody loses to a stranger."""

_Caller = tuple[tuple[str | int, int], int]


class UdpMeterListener(asyncio.DatagramProtocol):
    """A meter on a port; each caller, by address and client, has its own association."""

    def __init__(self, server: MeterServer, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._callers: dict[_Caller, MeterAssociation] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def port(self) -> int:
        """The port it got."""
        return 0 if self._transport is None else int(self._transport.get_extra_info("sockname")[1])

    async def close(self) -> None:
        """Stop listening and give the meter back."""
        for association in self._callers.values():
            association.close()
        self._callers.clear()
        if self._transport is not None:
            self._transport.close()
            await self._closed

    # -------------------------------------------------------------- called by the event loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.DatagramTransport", transport)  # in Python 3.11 not one by inheritance

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        """Answer a frame that is for this meter; anything else is nobody's."""
        try:
            frame = decode_datagram(data)
        except WrapperError:
            return
        if frame.destination != self._server.settings.server or self._transport is None:
            return
        caller, now = (addr, frame.source), self._clock.now()
        association = self._callers.pop(caller, None)
        if association is None:
            if not self._has_room(now):
                return
            association = self._server.open_association(frame.source)
        answer = association.receive(frame.payload, now)
        while answer is not None:
            self._transport.sendto(encode(frame.destination, frame.source, answer), addr)
            answer = association.following()
        if association.begun:
            self._callers[caller] = association

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended, it has
        """The socket is gone."""
        if not self._closed.done():
            self._closed.set_result(None)

    def _has_room(self, now: datetime) -> bool:
        """Whether one more can be remembered; those whom the meter itself takes for gone make room."""
        if len(self._callers) < CALLERS_MAX:
            return True
        since = now - timedelta(seconds=self._server.settings.inactivity_timeout_s)
        for caller, association in tuple(self._callers.items()):
            if association.heard_at is None or association.heard_at < since:
                self._callers.pop(caller).close()
        return len(self._callers) < CALLERS_MAX


async def serve_meter_on_udp(server: MeterServer, host: str, port: int, *, clock: Clock) -> UdpMeterListener:
    """Serve one meter over UDP; port 0 takes a free one; raise TransportError when the port cannot be had."""
    loop = asyncio.get_running_loop()
    try:
        _, listener = await loop.create_datagram_endpoint(
            lambda: UdpMeterListener(server, clock), local_addr=(host, port)
        )
    except OSError as error:
        raise cannot_listen("UDP", host, port, error) from error
    return listener
