"""What carries the APDUs of a simulated fleet: the wrapper over TCP or UDP, HDLC over TCP or on pseudo-terminals."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from amity.devices.profiles import Framing
from amity.devices.server import MeterServer
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import Clock
from amity.transports.hdlc_listener import HdlcPlace, serve_hdlc_meter, serve_meter_on_pty
from amity.transports.meter_listener import Deliver, serve_meter
from amity.transports.udp_listener import serve_meter_on_udp

PHYSICAL_DEVICE = 17
"""The lower HDLC address of every simulated meter: each has a line of its own."""


class Listener(Protocol):
    """A meter on a port."""

    @property
    def port(self) -> int:
        """The port it got."""
        ...

    async def close(self) -> None:
        """Stop listening."""
        ...


@dataclass(frozen=True, slots=True)
class Carried:
    """How every meter of a fleet is reached.

    Over UDP the faults of the line do not show: a datagram is answered whole or not at all.
    """

    framing: Framing = Framing.WRAPPER
    udp: bool = False
    pty: bool = False

    def __post_init__(self) -> None:
        """Raise ConfigurationError for what does not go together."""
        if self.udp and self.framing is Framing.HDLC:
            raise ConfigurationError("--udp goes with the wrapper", next_step="leave out --framing hdlc")
        if self.pty and self.framing is Framing.WRAPPER:
            raise ConfigurationError("a serial line carries HDLC", next_step="add --framing hdlc to --pty")

    def described(self) -> dict[str, Any]:
        """What the fleet document says of it."""
        if self.framing is Framing.WRAPPER:
            return {"framing": self.framing.value, "udp": self.udp}
        return {"framing": self.framing.value, "physical": PHYSICAL_DEVICE}

    async def serve(
        self, stack: AsyncExitStack, server: MeterServer, deliver: Deliver, clock: Clock, wanted: tuple[str, int]
    ) -> dict[str, Any]:
        """Serve one meter for as long as the stack stands; say where: `port`, or `device` of a serial line."""
        if self.pty:
            end = await serve_meter_on_pty(server, clock=clock, place=HdlcPlace(PHYSICAL_DEVICE), deliver=deliver)
            stack.callback(end.close)
            return {"device": end.device}
        listener = await self._listen(server, deliver, clock, *wanted)
        stack.push_async_callback(listener.close)
        return {"port": listener.port}

    async def _listen(self, server: MeterServer, deliver: Deliver, clock: Clock, host: str, port: int) -> Listener:
        if self.framing is Framing.HDLC:
            place = HdlcPlace(PHYSICAL_DEVICE)
            return await serve_hdlc_meter(server, host, port, clock=clock, place=place, deliver=deliver)
        if self.udp:
            return await serve_meter_on_udp(server, host, port, clock=clock)
        return await serve_meter(server, host, port, clock=clock, deliver=deliver)


OVER_TCP = Carried()
"""The wrapper over TCP."""
