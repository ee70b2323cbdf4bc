"""A TCP port before one of this machine's own: who may not call never reaches the server behind, nor do floods.

What passes is not looked at: TLS is between the caller and the server behind.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from amity.kernel.errors import RemoteProtocolError, TransportError
from amity.transports.proxy_protocol import nobody, read_header

_CHUNK_OCTETS = 16 * 1024


@dataclass(frozen=True, slots=True)
class GuardRules:
    """Connections at a time, in all and of one address; how long each may be silent in both directions.

    A proxy says who called within `header_timeout_s`.
    """

    connections_max: int = 10_000
    connections_per_peer_max: int = 128
    silence_s: float = 600.0
    header_timeout_s: float = 5.0


class GuardedPort:
    """Open from `start` until `close`; `is_proxy` are the addresses of which it is believed who called through them."""

    def __init__(
        self,
        behind: tuple[str, int],
        allows: Callable[[str], bool],
        rules: GuardRules | None = None,
        is_proxy: Callable[[str], bool] = nobody,
    ) -> None:
        self._behind = behind
        self._allows = allows
        self._is_proxy = is_proxy
        self._rules = rules or GuardRules()
        self._server: asyncio.Server | None = None
        self._calls: dict[asyncio.Task[None], str] = {}
        self._of_peer: Counter[str] = Counter()
        self.turned_away = 0
        self.turned_away_last = ""

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port (a free one for 0); raise TransportError when it cannot be had."""
        try:
            self._server = await asyncio.start_server(self._called, host, port, limit=_CHUNK_OCTETS)
        except OSError as error:
            raise TransportError(
                f"cannot listen on {host}:{port}: {error.strerror or error}",
                next_step="choose another port or end the program that holds it",
            ) from error
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._calls):
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        host = str((writer.get_extra_info("peername") or ("unknown",))[0])
        self._calls[task] = host
        try:
            await self._called_from(host, reader, writer)
        except (OSError, RemoteProtocolError, asyncio.CancelledError):
            pass  # one of the two ends is gone, a proxy says nothing that it should, or we are closing
        finally:
            del self._calls[task]
            writer.transport.abort()

    async def _called_from(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer, octets = await self._announced(reader) if self._is_proxy(host) else (host, b"")
        if not peer:
            return
        if not self._allows(peer) or self._too_many(peer):
            self.turned_away += 1
            self.turned_away_last = peer
            return
        self._of_peer[peer] += 1
        try:
            await self._join(reader, writer, octets)
        finally:
            self._of_peer[peer] -= 1
            if not self._of_peer[peer]:
                del self._of_peer[peer]

    async def _announced(self, reader: asyncio.StreamReader) -> tuple[str, bytes]:
        """The caller whom a proxy names, and what came behind the header; empty where it only looks if we live."""
        octets = b""
        async with asyncio.timeout(self._rules.header_timeout_s):
            while (called := read_header(octets)) is None:
                more = await reader.read(_CHUNK_OCTETS)
                if not more:
                    return "", b""
                octets += more
        return "" if called.address is None else called.address[0], octets[called.octets :]

    def _too_many(self, peer: str) -> bool:
        rules = self._rules
        return len(self._calls) > rules.connections_max or self._of_peer[peer] >= rules.connections_per_peer_max

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, octets: bytes) -> None:
        """Until either end closes, or both are silent for too long; `octets` were read before."""
        inner_reader, inner_writer = await asyncio.open_connection(*self._behind, limit=_CHUNK_OCTETS)
        inner_writer.write(octets)
        heard = _Heard()
        ways = [
            asyncio.create_task(_carry(reader, inner_writer, heard)),
            asyncio.create_task(_carry(inner_reader, writer, heard)),
            asyncio.create_task(heard.until_silent(self._rules.silence_s)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            with suppress(OSError):
                await asyncio.wait_for(writer.drain(), 1.0)
        finally:
            inner_writer.close()  # before anything is waited for: whoever closes the port may cancel us here too
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


class _Heard:
    """When somebody last said something."""

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time
        self.at_s = self._now()

    def something(self) -> None:
        """Just now."""
        self.at_s = self._now()

    async def until_silent(self, within_s: float) -> None:
        """Return when nobody said anything for so long."""
        while (left_s := self.at_s + within_s - self._now()) > 0:  # noqa: ASYNC110 - it is time that is waited for
            await asyncio.sleep(left_s)


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, heard: _Heard) -> None:
    while octets := await source.read(_CHUNK_OCTETS):
        heard.something()
        sink.write(octets)
        await sink.drain()
