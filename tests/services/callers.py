"""Meters that call in through a door and call again until each of their pushes is confirmed."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from amity.devices.settings import Authentication
from amity.headend.provisioning import Provision, read_fleet_document
from amity.kernel.time import epoch_s
from amity.runtime.system import SystemClock
from amity.simulation.counters import MeterCounter, reservation_by_time
from amity.simulation.fleet import FleetSettings, build_fleet, document_entry
from amity.simulation.meter import SimulatedMeter
from amity.simulation.outgoing import deliver
from amity.simulation.pushes import Pusher

_SEED = 77
_AGAIN_S = 0.2
_NOWHERE = ("127.0.0.1", 9)
_PERIOD_S = 900


class Callers:
    """A fleet that nobody reads: it calls."""

    def __init__(self, meters: int) -> None:
        self.now: datetime = SystemClock().now()
        settings = FleetSettings(meters=meters, seed=_SEED, anchor=self.now, auth=Authentication.HLS_GMAC)
        self.meters = build_fleet(settings).meters
        self._counters = {one.meter_id: MeterCounter(reservation_by_time(self.now)) for one in self.meters}
        self.provision: Provision = read_fleet_document([document_entry(one, *_NOWHERE) for one in self.meters])
        self.confirmed = 0

    async def push(self, port: int, intervals: range, on_confirmed: Callable[[int], None]) -> None:
        """Each meter pushes these past intervals (0 is the newest), one after the other, all meters side by side."""
        async with asyncio.TaskGroup() as calls:
            for meter in self.meters:
                calls.create_task(self._push(meter, port, intervals, on_confirmed))

    async def _push(
        self, meter: SimulatedMeter, port: int, intervals: range, on_confirmed: Callable[[int], None]
    ) -> None:
        pusher = Pusher(meter, self._counters[meter.meter_id], confirmed=True)
        for number in intervals:
            start_s = epoch_s(self.now - timedelta(seconds=_PERIOD_S * (number + 1))) // _PERIOD_S * _PERIOD_S
            while True:
                octets = pusher.interval(start_s, self.now)
                assert octets is not None
                if await deliver("127.0.0.1", port, octets, pusher.hearing(alarm=False)):
                    break
                await asyncio.sleep(_AGAIN_S)
            self.confirmed += 1
            on_confirmed(self.confirmed)
