"""Where meters call in over TCP, to push or to be read: some strangers at a time, every meter we know."""

import asyncio
from collections.abc import Callable

from amity.transports.call import Call, CallDesk, CallRules
from amity.transports.meter_listener import listen
from amity.transports.proxy_protocol import behind_proxies, nobody
from amity.transports.strangers import Strangers


class CallerListener:
    """Listens from `start` until `close`; who calls from where it is not allowed is cut off before it said anything.

    `is_proxy` are the addresses of which it is believed who called through them.
    """

    def __init__(
        self,
        desk: CallDesk,
        allows: Callable[[str], bool] = lambda _peer: True,
        rules: CallRules | None = None,
        is_proxy: Callable[[str], bool] = nobody,
    ) -> None:
        self._desk = desk
        self._allows = allows
        self._rules = rules or CallRules()
        self._is_proxy = is_proxy
        self._server: asyncio.Server | None = None
        self._calls: set[Call] = set()
        self._nobody_left = asyncio.Event()
        self._nobody_left.set()
        self._strangers: Strangers[Call] = Strangers(self._rules.strangers_max, self._rules.strangers_per_peer_max)
        self.turned_away = 0
        self.turned_away_last = ""

    @property
    def open_calls(self) -> int:
        """How many connections there are."""
        return len(self._calls)

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port (a free one for 0); raise TransportError when it cannot be had."""
        calls = behind_proxies(self._call, self._is_proxy, self._rules.frame_timeout_s)
        self._server = await listen(calls, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for call in tuple(self._calls):
            call.hang_up()
        if self._server is not None:
            await self._server.wait_closed()
        await self._nobody_left.wait()

    def _call(self) -> Call:
        return Call(self._desk, self, self._rules)

    # -------------------------------------------------------------- called by the calls
    def admits(self, call: Call) -> bool:
        """Whether one more is let in; it is counted if so."""
        if not self._allows(call.peer) or self._too_many(call.peer):
            self._turn_away(call)
            return False
        self._calls.add(call)
        self._nobody_left.clear()
        out = self._strangers.add(call, call.peer)
        if out is not None:
            self._turn_away(out)
            out.hang_up()
        return True

    def known(self, call: Call) -> None:
        """It is no stranger any more."""
        self._strangers.discard(call)

    def gone(self, call: Call) -> None:
        """The connection has ended."""
        self._strangers.discard(call)
        self._calls.discard(call)
        if not self._calls:
            self._nobody_left.set()

    def _too_many(self, peer: str) -> bool:
        rules = self._rules
        return not self._strangers.has_share(peer) or len(self._calls) >= rules.lines_max + rules.strangers_max

    def _turn_away(self, call: Call) -> None:
        self.turned_away += 1
        self.turned_away_last = call.peer
