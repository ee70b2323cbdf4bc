"""Where collectors dial in: TCP with mutual TLS 1.3; whoever shows no good certificate is cut off and counted."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from amity.kernel.errors import SecurityError, TransportError
from amity.protocols.relay.link import Link
from amity.protocols.relay.peer import Listener
from amity.transports.relay_peer import PeerRules, RelayPeer, keep_little_unsent
from amity.transports.relay_tls import COLLECTOR, Identity, identity_of
from amity.transports.strangers import Strangers

Greeter = Callable[[RelayPeer, Identity], Listener]
"""Gives whoever is to hear a collector that has shown who it is."""

_BACKLOG: Final = 128
_PAUSE_S: Final = 0.1
_LEAVE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class StrangerRules:
    """Bounds against callers who have not shown who they are.

    There are `most` at a time, `most_of_one` of one address; each has to say something within `silence_s`, and to come
    to the end of the handshake within `handshake_s` from then on.
    """

    most: int = 256
    most_of_one: int = 128
    silence_s: float = 3.0
    handshake_s: float = 15.0


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
        strangers: StrangerRules | None = None,
    ) -> None:
        self._context = context
        self._greet = greet
        self._allows = allows
        self._rules = rules or PeerRules()
        self._listening: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._stranger_rules = strangers or StrangerRules()
        self._strangers: Strangers[asyncio.Task[None]] = Strangers(
            self._stranger_rules.most, self._stranger_rules.most_of_one
        )
        self._handshakes: dict[asyncio.Task[None], str] = {}
        self._peers: set[RelayPeer] = set()
        self.turned_away = TurnedAway()

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port (a free one for 0); raise TransportError when it cannot be had."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            raise TransportError(
                f"cannot listen for collectors on {host}:{port}: {error.strerror or error}",
                next_step="choose another port for collectors or end the program that holds it",
            ) from error
        listening.setblocking(False)
        self._listening = listening
        self._accepting = asyncio.create_task(self._accept(listening))
        return int(listening.getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end every connection; what was said last is out when this returns, or nobody heard it."""
        tasks = [task for task in (self._accepting, *self._handshakes) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listening is not None:
            self._listening.close()
        leaving = self.peers
        for peer in leaving:
            peer.close()
        if leaving:
            await asyncio.wait([peer.ended for peer in leaving], timeout=_LEAVE_S)

    @property
    def peers(self) -> tuple[RelayPeer, ...]:
        """Those whose connection stands."""
        return tuple(self._peers)

    def use(self, context: ssl.SSLContext) -> None:
        """Other files from the next connection on."""
        self._context = context

    async def _accept(self, listening: socket.socket) -> None:
        """Sockets are taken one by one and TLS is set up on each by itself, so that we hear why it failed."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                raw, peername = await loop.sock_accept(listening)
            except OSError:  # no file is left, or the caller has gone again
                await asyncio.sleep(_PAUSE_S)
            else:
                self._called(raw, str(peername[0]), f"{peername[0]}:{peername[1]}")
                await asyncio.sleep(0)  # it begins before another one may push it out

    def _called(self, raw: socket.socket, host: str, address: str) -> None:
        if not self._allows(host) or not self._strangers.has_share(host):
            self.turned_away.add(address, "not allowed to call, or too many at once")
            raw.close()
            return
        task = asyncio.create_task(self._greeted(raw, address))
        self._handshakes[task] = address
        task.add_done_callback(self._is_over)
        out = self._strangers.add(task, host)
        if out is not None:
            self.turned_away.add(self._handshakes[out], "too many at once, and most of them from its address")
            out.cancel()

    def _is_over(self, task: asyncio.Task[None]) -> None:
        self._strangers.discard(task)
        del self._handshakes[task]

    async def _greeted(self, raw: socket.socket, address: str) -> None:
        try:
            await _has_spoken(raw, self._stranger_rules.silence_s)
        except TimeoutError:
            self.turned_away.add(address, f"said nothing within {self._stranger_rules.silence_s:g} s")
        else:
            await self._handshake(raw, address)

    async def _handshake(self, raw: socket.socket, address: str) -> None:
        keep_little_unsent(raw)
        peer = RelayPeer(Link(opens=True), self._rules, address)
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: peer, raw, ssl=self._context, ssl_handshake_timeout=self._stranger_rules.handshake_s
            )
        except OSError as error:  # SSLError is one
            self.turned_away.add(address, str(error) or type(error).__name__)
            return
        try:
            identity = peer.identity = identity_of(transport.get_extra_info("ssl_object"), COLLECTOR)
        except SecurityError as error:
            self.turned_away.add(address, str(error))
            transport.abort()
            return
        transport.set_write_buffer_limits(high=1, low=0)  # what waits, waits in the link
        self._peers.add(peer)
        peer.ended.add_done_callback(lambda _: self._peers.discard(peer))
        peer.begin(transport, self._greet(peer, identity))


async def _has_spoken(raw: socket.socket, within_s: float) -> None:
    """Until there is something to read, which stays there; raise TimeoutError, and close, when nothing comes."""
    loop, heard, spoken = asyncio.get_running_loop(), asyncio.Event(), False
    loop.add_reader(raw, heard.set)
    try:
        async with asyncio.timeout(within_s):
            await heard.wait()
        spoken = True
    finally:
        loop.remove_reader(raw)
        if not spoken:
            raw.close()
