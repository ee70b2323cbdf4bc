"""A link on real sockets: whoever connects to the proxy reaches the target as slowly and as badly as the link is.

The far side of the link is the one that connects (a collector that dials the head-end, a client on its way to a meter
says so with `caller_is_far=False`). It can be cut, without a word as a radio dies, and mended.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from amity.kernel.errors import TransportError
from amity.simulation.network.medium import Way, Ways

_PIECES_UNDER_WAY_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Target:
    """Where the link leads."""

    host: str
    port: int


class ShapingProxy:
    """TCP, from `start` until `close`."""

    def __init__(self, target: Target, link: Ways, *, caller_is_far: bool = True) -> None:
        self._target = target
        self._onwards, self._back = (link.up, link.down) if caller_is_far else (link.down, link.up)
        self._server: asyncio.Server | None = None
        self._whole = asyncio.Event()
        self._whole.set()
        self._calls: set[asyncio.Task[None]] = set()
        self.octets = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; return the port; raise TransportError when it cannot be had."""
        try:
            self._server = await asyncio.start_server(self._called, host, port)
        except OSError as error:
            raise TransportError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and break every connection."""
        if self._server is not None:
            self._server.close()
        await self.reset()
        if self._server is not None:
            await self._server.wait_closed()

    def cut(self) -> None:
        """From now on nothing gets through, and nobody is told."""
        self._whole.clear()

    def mend(self) -> None:
        """What was held up goes on, as TCP does when it sends again."""
        self._whole.set()

    async def reset(self) -> None:
        """Break every connection, as a router that starts anew does."""
        calls = tuple(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._calls.add(task)
        writers = [writer]
        try:
            await self._whole.wait()
            onwards = await asyncio.open_connection(self._target.host, self._target.port)
            writers.append(onwards[1])
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._carry(reader, onwards[1], self._onwards))
                tasks.create_task(self._carry(onwards[0], writer, self._back))
        except* (OSError, asyncio.CancelledError):
            pass  # one side is gone, so is the other
        finally:
            self._calls.discard(task)
            for one in writers:
                one.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_PIECES_UNDER_WAY_MAX)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._deliver(pieces, writer))
            loop = asyncio.get_running_loop()
            while octets := await reader.read(way.frame_octets):
                await pieces.put((way.of_stream(loop.time(), len(octets)), octets))
            await pieces.put((loop.time(), b""))

    async def _deliver(self, pieces: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            arrives_s, octets = await pieces.get()
            await asyncio.sleep(arrives_s - loop.time())
            await self._whole.wait()
            if not octets:
                with suppress(OSError):
                    writer.write_eof()
                return
            self.octets += len(octets)
            writer.write(octets)
            await writer.drain()


class ShapingDatagramProxy(asyncio.DatagramProtocol):
    """UDP: each datagram arrives late, or never; callers are told apart by their address."""

    def __init__(self, target: Target, link: Ways, *, caller_is_far: bool = True) -> None:
        self._target = target
        self._onwards, self._back = (link.up, link.down) if caller_is_far else (link.down, link.up)
        self._transport: asyncio.DatagramTransport | None = None
        self._callers: dict[object, asyncio.DatagramTransport] = {}
        self._opening: set[asyncio.Task[None]] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; return the port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        return int(self._transport.get_extra_info("sockname")[1])

    async def close(self) -> None:
        """Stop."""
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for transport in (*self._callers.values(), self._transport):
            if transport is not None:
                transport.close()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """One on its way to the target."""
        loop = asyncio.get_running_loop()
        arrives_s = self._onwards.of_datagram(loop.time(), len(data))
        if arrives_s is not None:
            task = asyncio.create_task(self._send_on(arrives_s, data, addr))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _send_on(self, arrives_s: float, data: bytes, caller: object) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(arrives_s - loop.time())
        transport = self._callers.get(caller)
        if transport is None:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _WayBack(self, caller), remote_addr=(self._target.host, self._target.port)
            )
            self._callers[caller] = transport
        transport.sendto(data)

    def give_back(self, data: bytes, caller: object) -> None:
        """One on its way to a caller."""
        loop = asyncio.get_running_loop()
        arrives_s = self._back.of_datagram(loop.time(), len(data))
        if arrives_s is not None and self._transport is not None:
            loop.call_at(arrives_s, partial(self._transport.sendto, data, cast("tuple[str, int]", caller)))


class _WayBack(asyncio.DatagramProtocol):
    """The target's answers to one caller."""

    def __init__(self, proxy: ShapingDatagramProxy, caller: object) -> None:
        self._proxy = proxy
        self._caller = caller

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the socket is connected to one
        """One came."""
        self._proxy.give_back(data, self._caller)
