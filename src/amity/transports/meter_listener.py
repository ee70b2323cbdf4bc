"""A TCP port on which a meter serves wrapper frames: the shell around a `MeterServer`."""

import asyncio
import errno
from collections.abc import Callable
from typing import Protocol, cast

from amity.devices.server import MeterAssociation, MeterServer
from amity.kernel.errors import TransportError
from amity.kernel.time import Clock
from amity.protocols.wrapper.frame import Frame, Reader, WrapperError, encode

Deliver = Callable[[asyncio.Transport, bytes], None]
"""Puts an answer frame on the line; a simulated fault is a `Deliver` that does something else."""


def write(transport: asyncio.Transport, frame: bytes) -> None:
    """Deliver as a healthy meter does."""
    transport.write(frame)


class Closable(Protocol):
    """One connection of a meter."""

    def close(self) -> None:
        """Close the connection."""
        ...


class MeterListener:
    """A listening meter; `port` is the one it got."""

    def __init__(self, listener: asyncio.Server, links: set[Closable]) -> None:
        self._listener = listener
        self._links = links
        self.port: int = listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and close every connection."""
        self._listener.close()
        for link in tuple(self._links):
            link.close()
        await self._listener.wait_closed()


async def serve_meter(
    server: MeterServer, host: str, port: int, *, clock: Clock, deliver: Deliver = write
) -> MeterListener:
    """Serve one meter; port 0 takes a free one; raise TransportError when the port cannot be had."""
    links: set[Closable] = set()
    return MeterListener(await listen(lambda: MeterLink(server, clock, deliver, links), host, port), links)


async def listen(factory: Callable[[], asyncio.Protocol], host: str, port: int) -> asyncio.Server:
    """Listen on a TCP port; raise TransportError when it cannot be had."""
    try:
        return await asyncio.get_running_loop().create_server(factory, host, port)
    except OSError as error:
        raise cannot_listen("TCP", host, port, error) from error


def cannot_listen(kind: str, host: str, port: int, error: OSError) -> TransportError:
    """Why a port cannot be had, and what to try."""
    taken = "end the program that holds it (ss -lntup), or choose another port"
    return TransportError(
        f"cannot listen on {host}:{port}: {error.strerror or error}",
        tried=f"{kind} listen on {host}:{port}",
        next_step=taken if error.errno == errno.EADDRINUSE else "check the host address",
    )


class MeterLink(asyncio.Protocol):
    """One connection; each client address that speaks on it has its own association."""

    def __init__(self, server: MeterServer, clock: Clock, deliver: Deliver, links: set[Closable]) -> None:
        self._server = server
        self._clock = clock
        self._deliver = deliver
        self._links = links
        self._reader = Reader()
        self._associations: dict[int, MeterAssociation] = {}
        self._transport: asyncio.Transport | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    # -------------------------------------------------------------- called by the event loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # other loops' transports do not inherit from it
        self._links.add(self)

    def data_received(self, data: bytes) -> None:
        """Answer every whole frame; what is no wrapper stream ends the connection."""
        try:
            for frame in self._reader.feed(data):
                self._answer(frame)
        except WrapperError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended, the meter is free
        """Give the meter back."""
        self._links.discard(self)
        for association in self._associations.values():
            association.close()

    def _answer(self, frame: Frame) -> None:
        if frame.destination != self._server.settings.server or self._transport is None:
            return
        association = self._association_of(frame.source)
        answer = association.receive(frame.payload, self._clock.now())
        while answer is not None:
            self._deliver(self._transport, encode(frame.destination, frame.source, answer))
            answer = association.following()

    def _association_of(self, client: int) -> MeterAssociation:
        association = self._associations.get(client)
        if association is None:
            association = self._associations[client] = self._server.open_association(client)
        return association
