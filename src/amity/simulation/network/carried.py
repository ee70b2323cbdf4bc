"""A fleet whose meters stand behind a link of the field: a slow, lossy way before each of their ports."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

from amity.devices.server import MeterServer
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import Clock
from amity.simulation.carriers import Carried
from amity.simulation.network.medium import Medium, ways
from amity.simulation.network.presets import LinkPreset
from amity.simulation.network.proxy import ShapingDatagramProxy, ShapingProxy, Target
from amity.transports.meter_listener import Deliver


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedOverLink(Carried):
    """Meters share the air or the line where the link is one that is shared; from one seed, the same fates."""

    link: LinkPreset
    random: Random
    medium: Medium = field(default_factory=Medium)

    def __post_init__(self) -> None:
        """Raise ConfigurationError for what does not go together."""
        if self.pty:
            raise ConfigurationError("a link lies before a port, not before a serial line", next_step="leave out --pty")
        Carried.__post_init__(self)

    async def serve(
        self, stack: AsyncExitStack, server: MeterServer, deliver: Deliver, clock: Clock, wanted: tuple[str, int]
    ) -> dict[str, Any]:
        """Serve one meter on a port of its own; say on which its end of the link is."""
        host, port = wanted
        behind = await Carried.serve(self, stack, server, deliver, clock, (host, 0))
        way, target = ways(self.link, self.random, self.medium), Target(host, behind["port"])
        proxy: ShapingProxy | ShapingDatagramProxy = (
            ShapingDatagramProxy(target, way, caller_is_far=False)
            if self.udp
            else ShapingProxy(target, way, caller_is_far=False)
        )
        stack.push_async_callback(proxy.close)
        return {"port": await proxy.start(host, port)}
