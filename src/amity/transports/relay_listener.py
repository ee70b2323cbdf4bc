"""Where collectors dial in: a TCP port with mutual TLS 1.3; whoever shows no good certificate is cut off and counted."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from amity.kernel.errors import SecurityError, TransportError
from amity.protocols.relay.link import Link
from amity.protocols.relay.peer import Listener
from amity.transports.relay_peer import PeerRules, RelayPeer, keep_little_ahead
from amity.transports.relay_tls import COLLECTOR, Identity, identity_of

Greeter = Callable[[RelayPeer, Identity], Listener]
"""Gives whoever is to hear a collector that has shown who it is."""

_HANDSHAKE_TIMEOUT_S: Final = 15.0
_HANDSHAKES_MAX: Final = 256


@dataclass(slots=True)
class TurnedAway:
    """Callers that were cut off since the start, and the last of them with its reason."""

    count: int = 0
    last: str = ""

    def add(self, address: str, reason: str) -> None:
        """One more."""
        self.count += 1
        self.last = f"{address}: {reason}"


class RelayListener:
    """Listens from `start` until `close`; callers whose address it does not `allow` are cut off at once."""

    def __init__(
        self,
        context: ssl.SSLContext,
        greet: Greeter,
        *,
        allows: Callable[[str], bool] = lambda _address: True,
        rules: PeerRules | None = None,
    ) -> None:
        self._context = context
        self._greet = greet
        self._allows = allows
        self._rules = rules or PeerRules()
        self._server: asyncio.Server | None = None
        self._handshakes: set[asyncio.Task[None]] = set()
        self._peers: set[RelayPeer] = set()
        self.turned_away = TurnedAway()

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port (a free one for 0); raise TransportError when it cannot be had."""
        try:
            self._server = await asyncio.get_running_loop().create_server(lambda: _Caller(self._called), host, port)
        except OSError as error:
            raise TransportError(
                f"cannot listen for collectors on {host}:{port}: {error.strerror or error}",
                next_step="choose another port for collectors or end the program that holds it",
            ) from error
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._handshakes):
            task.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)
        for peer in tuple(self._peers):
            peer.close()
        if self._server is not None:
            await self._server.wait_closed()

    def use(self, context: ssl.SSLContext) -> None:
        """Other files from the next connection on."""
        self._context = context

    def _called(self, transport: asyncio.Transport) -> None:
        peername = transport.get_extra_info("peername") or ("unknown", 0)
        host, address = str(peername[0]), f"{peername[0]}:{peername[1]}"
        if not self._allows(host) or len(self._handshakes) >= _HANDSHAKES_MAX:
            self.turned_away.add(address, "not allowed to call, or too many at once")
            transport.abort()
            return
        task = asyncio.create_task(self._handshake(transport, address))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _handshake(self, raw: asyncio.Transport, address: str) -> None:
        keep_little_ahead(raw)
        peer = RelayPeer(Link(opens=True), self._rules)
        try:
            transport = await asyncio.get_running_loop().start_tls(
                raw, peer, self._context, server_side=True, ssl_handshake_timeout=_HANDSHAKE_TIMEOUT_S
            )
            if transport is None:
                return
            identity = identity_of(transport.get_extra_info("ssl_object"), COLLECTOR)
        except (OSError, SecurityError) as error:  # SSLError is an OSError
            self.turned_away.add(address, str(error) or type(error).__name__)
            raw.abort()
            return
        except asyncio.CancelledError:
            raw.abort()
            raise
        transport.set_write_buffer_limits(high=1, low=0)  # what waits, waits in the link
        self._peers.add(peer)
        peer.ended.add_done_callback(lambda _: self._peers.discard(peer))
        peer.begin(transport, address, self._greet(peer, identity))


class _Caller(asyncio.Protocol):
    """A connection before TLS: nothing is read from it until somebody takes it over."""

    def __init__(self, called: Callable[[asyncio.Transport], None]) -> None:
        self._called = called

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand it over."""
        taken = cast("asyncio.Transport", transport)  # other loops' transports do not inherit from it
        taken.pause_reading()
        self._called(taken)
