"""The doors of a head-end node: meters that call over TCP and UDP, and collectors, joined as `amity.runtime` does."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from amity.headend.calls.callers import Datagram
from amity.headend.calls.desk import CallDesk
from amity.headend.calls.lines import CalledLines
from amity.headend.collectors.connected import CollectorRules, Office
from amity.headend.collectors.ports import CollectorBook, ForwardedPushes, Presented
from amity.headend.collectors.registry import Collectors
from amity.headend.pushes.desk import PushDesk
from amity.headend.surroundings import Surroundings
from amity.protocols.relay.link import Link
from amity.protocols.wrapper.frame import Frame
from amity.simulation.campaign.collector import PEER_RULES, RELAY_PORT
from amity.simulation.campaign.settings import PORT
from amity.storage.ot.database import OtDatabase
from amity.transports.caller_listener import CallerListener
from amity.transports.relay_peer import RelayPeer
from amity.transports.udp_push_listener import UdpPushListener

OnLine = Callable[[str], Awaitable[None]]
"""Told of a meter that has called and was not on the line before."""


class Doors:
    """All of one node. `known` are the names of collectors by host: in place of the certificates they would show."""

    def __init__(
        self,
        surroundings: Surroundings,
        database: OtDatabase,
        listener: PushDesk,
        lines: CalledLines,
        collectors: Collectors,
        known: Mapping[str, str],
        on_line: OnLine,
    ) -> None:
        self._surroundings = surroundings
        self._database = database
        self._listener = listener
        self._lines = lines
        self._collectors = collectors
        self._known = known
        self._on_line = on_line
        self._came: asyncio.Queue[str] = asyncio.Queue()
        lines.on_line = self._came.put_nowait
        self.tcp = CallerListener(CallDesk(listener, lines, surroundings))
        self.udp = UdpPushListener(self._take_datagram, self._garbled)

    async def run(self, host: str) -> None:
        """Open all of them and tell of who is on the line, until cancelled."""
        await self.tcp.start(host, PORT)
        await self.udp.start(host, PORT)
        await asyncio.get_running_loop().create_server(self._answered, host, RELAY_PORT)
        while True:
            await self._on_line(await self._came.get())

    async def _take_datagram(self, frame: Frame, peer: str) -> bytes | None:
        opened = await self._listener.take(frame, Datagram(peer))
        return None if opened is None else await self._listener.confirmation(opened, frame)

    def _garbled(self, peer: str, octets: bytes, error: Exception) -> None:
        del peer, octets, error

    def _answered(self) -> "_Answered":
        return _Answered(self._collectors, self._known)


class _Answered(RelayPeer):
    """A link that a collector has opened."""

    def __init__(self, collectors: Collectors, known: Mapping[str, str]) -> None:
        super().__init__(Link(opens=True), PEER_RULES)
        self._collectors = collectors
        self._known = known

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet whoever it is."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - the simulated network has no other
        name = self._known[transport.get_extra_info("peername")[0]]
        self.begin(transport, self._collectors.greet(self, presented(name)))


def presented(name: str) -> Presented:
    """What a collector of this name shows."""
    return Presented(name, name.encode().hex(), "")


def office_of(
    node: str,
    book: CollectorBook,
    forwarded: ForwardedPushes,
    listener: PushDesk,
    surroundings: Surroundings,
    look_every_s: float,
) -> Office:
    """Where the collectors of a node are kept."""
    return Office(
        node,
        book,
        forwarded,
        listener.take_forwarded,
        surroundings.clock,
        surroundings.disk,
        CollectorRules(look_every_s=look_every_s),
    )
