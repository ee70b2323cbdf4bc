"""One link to one head-end, from the first word until it is lost, and the patience to set it up again."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from amity.collector.forwarder import Forwarder
from amity.collector.meter_channels import MeterChannels
from amity.kernel.backoff import Backoff, Chance
from amity.kernel.errors import AmityError
from amity.protocols.relay.assembly import Arrived
from amity.protocols.relay.errors import RelayError
from amity.protocols.relay.messages import (
    CalledIn,
    Close,
    Confirmed,
    Hello,
    Kept,
    Message,
    Open,
    Quality,
    Refused,
    Welcome,
)
from amity.protocols.relay.peer import Peer
from amity.protocols.relay.scheduler import CONTROL, FIRST_CHANNEL

PATIENCE: Final = Backoff(base_s=1.0, limit_s=60.0)
REFUSED_WAIT_S: Final = 15.0
"""A head-end that has not accepted us is asked this often: a person has to decide first."""


class HeadendLink:
    """Implements `protocols.relay.peer.Listener` for one connection.

    `names` are those of meters that opened a connection to us: each new link is told of them.
    """

    def __init__(
        self,
        peer: Peer,
        channels: MeterChannels,
        forwarder: Forwarder,
        hello: Hello,
        names: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._peer = peer
        self._names = names
        self._channels = channels
        self._forwarder = forwarder
        self.refusal = ""
        self.is_welcome = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        peer.send(CONTROL, hello)

    @property
    def peer(self) -> Peer:
        """The other end."""
        return self._peer

    @property
    def channels(self) -> int:
        """How many meters are being read over it."""
        return len(self._channels)

    def called_in(self, name: str) -> None:
        """Somebody is on the line here, to be read on it."""
        if self.is_welcome:
            self._peer.send(CONTROL, CalledIn(name))

    def report(self, quality: dict[str, Any]) -> None:
        """Tell the head-end how our links do."""
        if self.is_welcome:
            self._peer.send(CONTROL, Quality(json.dumps(quality, separators=(",", ":"))))

    # -------------------------------------------------------------- called by the link
    def received(self, arrived: Arrived, message: Message) -> None:
        """A message of the head-end."""
        if arrived.stream >= FIRST_CHANNEL:
            self._channels.received(arrived, message)
            return
        match message:
            case Open() if self.is_welcome:
                self._channels.open(message)
            case Welcome():
                if not self.is_welcome:
                    self.is_welcome = True
                    for name in self._names():
                        self.called_in(name)
                    self._forwarder.joined(self._peer)
            case Refused(reason):
                self.refusal = reason
                self._peer.close()
            case Confirmed(number, apdu):
                self._forwarder.confirmed(number, apdu)
            case Kept(ids):
                self._forwarder.kept([int.from_bytes(one, "big") for one in ids])
            case Close(stream):
                self._channels.close(stream)
            case _:
                raise RelayError(f"a head-end says {type(message).__name__} where it has no place")

    def lost(self) -> None:
        """The connection has ended."""
        self._forwarder.left(self._peer)
        if not self.ended.done():
            self.ended.set_result(None)

    async def over(self) -> None:
        """Return when the connection has ended and its channels are closed."""
        await self.ended
        await self._channels.close_all()


Dial = Callable[[], Awaitable[HeadendLink]]
"""Connects once; raises TransportError or SecurityError."""
OnLink = Callable[[HeadendLink | None, str], None]
"""Told when a link stands, and when there is none, with the reason."""


async def keep_linked(dial: Dial, on_link: OnLink, chance: Chance) -> None:
    """Connect again and again, until cancelled."""
    failures = 0
    while True:
        try:
            link = await dial()
        except AmityError as error:
            failures += 1
            on_link(None, "; ".join(error.lines()))
            await asyncio.sleep(PATIENCE.wait_s(failures, chance))
            continue
        on_link(link, "")
        try:
            await link.over()
        finally:
            link.peer.close()
        on_link(None, link.refusal or "the link ended")
        failures = 0 if link.is_welcome else failures + 1
        await asyncio.sleep(REFUSED_WAIT_S if link.refusal else PATIENCE.wait_s(max(failures, 1), chance))
