"""A meter that is itself a collector: it carries for its neighbours, and whoever asks for `self` is answered by it."""

import asyncio
import json

from amity.collector.ports import Channel, Ways
from amity.devices.client.conversation import Unanswered
from amity.devices.server import MeterAssociation, MeterServer
from amity.headend.fields import Fields
from amity.headend.route_document import read_route
from amity.kernel.errors import AmityError
from amity.kernel.time import Clock
from amity.protocols.relay.messages import FailureKind
from amity.transports.channel import MeterChannel
from amity.transports.failures import TimerT1Error
from amity.transports.gateway_channel import GatewayChannel

SELF = "self"
"""The host in the route of the meter that the collector is part of; its port means nothing."""


class MeterCollectorWays:
    """Implements `collector.ports.Ways`: to the meter itself, and for everything else as `beyond` does."""

    def __init__(self, server: MeterServer, clock: Clock, beyond: Ways) -> None:
        self._server = server
        self._clock = clock
        self._beyond = beyond

    def address(self, route: str) -> str:
        """What a route leads to."""
        return SELF if _is_self(route) else self._beyond.address(route)

    async def open(self, route: str, client: int, server: int, timeout_s: float) -> Channel:
        """A way within the meter needs no line."""
        if _is_self(route):
            within = _WithinTheMeter(self._server.open_association(client), self._clock)
            behind = read_route(Fields("the route", json.loads(route))).gateway
            return within if behind is None else GatewayChannel(within, behind.network, behind.device)
        return await self._beyond.open(route, client, server, timeout_s)

    def kind_of(self, error: AmityError) -> FailureKind:
        """What the head-end is told of a failure."""
        return self._beyond.kind_of(error)


class _WithinTheMeter(MeterChannel):
    """To the meter, and to those behind it where it is their gateway."""

    __slots__ = ("_association", "_clock")

    def __init__(self, association: MeterAssociation, clock: Clock) -> None:
        super().__init__()
        self._association = association
        self._clock = clock

    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        """Ask the meter; what follows its first answer is what is asked for next without an APDU."""
        await asyncio.sleep(0)
        answer = self._association.receive(apdu, self._clock.now()) if apdu else self._association.following()
        if isinstance(apdu, Unanswered):
            return b""
        if answer is None and apdu:
            raise TimerT1Error(SELF, timeout_s)
        return answer or b""

    async def close(self) -> None:
        """Give the meter back."""
        self._association.close()


def _is_self(route: str) -> bool:
    try:
        written = json.loads(route)
    except (ValueError, RecursionError):
        return False
    return isinstance(written, dict) and written.get("host") == SELF
