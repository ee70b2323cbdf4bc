"""A TCP port before one of this machine's own: who may not call never reaches the server behind, nor do floods.

What passes is not looked at: TLS is between the caller and the server behind.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from amity.kernel.errors import TransportError

_CHUNK_OCTETS = 16 * 1024


@dataclass(frozen=True, slots=True)
class GuardRules:
    """Connections at a time, in all and of one address; how long each may be silent in both directions."""

    connections_max: int = 10_000
    connections_per_peer_max: int = 128
    silence_s: float = 600.0


class GuardedPort:
    """Open from `start` until `close`."""

    def __init__(self, behind: tuple[str, int], allows: Callable[[str], bool], rules: GuardRules | None = None) -> None:
        self._behind = behind
        self._allows = allows
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
        peer = str((writer.get_extra_info("peername") or ("unknown",))[0])
        if task is None or not self._allows(peer) or self._too_many(peer):
            self.turned_away += 1
            self.turned_away_last = peer
            writer.transport.abort()
            return
        self._calls[task] = peer
        self._of_peer[peer] += 1
        try:
            await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # one of the two ends is gone, or we are closing
        finally:
            del self._calls[task]
            self._of_peer[peer] -= 1
            if not self._of_peer[peer]:
                del self._of_peer[peer]
            writer.transport.abort()

    def _too_many(self, peer: str) -> bool:
        rules = self._rules
        return len(self._calls) >= rules.connections_max or self._of_peer[peer] >= rules.connections_per_peer_max

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until either end closes, or both are silent for too long."""
        inner_reader, inner_writer = await asyncio.open_connection(*self._behind, limit=_CHUNK_OCTETS)
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
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            inner_writer.close()


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
