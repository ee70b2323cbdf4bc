"""When simulated meters call in: at the end of each interval, spread over some seconds, and when something happens."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from amity.domain.events import EventKind
from amity.kernel.time import Clock, epoch_s
from amity.simulation.chance import between, stream
from amity.simulation.faults import FaultKind
from amity.simulation.happenings import Happening
from amity.simulation.household import INTERVAL_S
from amity.simulation.meter import SimulatedMeter
from amity.simulation.mqtt_certificates import MeterCertificates
from amity.simulation.mqtt_client import Broker
from amity.simulation.outgoing import Hearing, deliver
from amity.simulation.outgoing_ways import Over, deliver_by_mqtt, deliver_in_datagram, deliver_in_hdlc
from amity.simulation.pushes import Pusher

SPREAD_S = (2.0, 60.0)
"""After the end of an interval a meter waits between these many seconds, so that a town does not call at once."""

_CALLS_AT_ONCE = 32
_RETRY_DELAYS_S = (2.0, 8.0, 30.0)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where pushes go and over what, and whether they are sent again until they are `confirmed`.

    MQTT needs `certificates`.
    """

    host: str
    port: int
    confirmed: bool = False
    over: Over = Over.TCP
    certificates: MeterCertificates | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port

    def __str__(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"


class PushSchedule:
    """Lets the meters of a fleet call `destination` for as long as `run` runs."""

    def __init__(self, destination: Destination, meters: Sequence[tuple[SimulatedMeter, Pusher]], clock: Clock) -> None:
        self._destination = destination
        self._meters = [(meter, pusher) for meter, pusher in meters if _can_call(meter)]
        self._clock = clock
        self._lines = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def run(self) -> None:
        """First the last gasps of what is out of power, then interval by interval."""
        now_s = epoch_s(self._clock.now())
        async with asyncio.TaskGroup() as calls:
            for meter, pusher in self._meters:
                for outage in meter.happenings.outages:
                    if outage.covers(now_s):
                        gasp = Happening(outage.start_s, EventKind.POWER_DOWN)
                        calls.create_task(self._call(meter, partial(pusher.alarm, gasp), pusher.hearing(alarm=True)))
            while True:
                await self._one_interval(calls)

    async def _one_interval(self, calls: asyncio.TaskGroup) -> None:
        """Wait for the end of the running interval; meanwhile alarms go out as things happen."""
        now = self._clock.now()
        end_s = (epoch_s(now) // INTERVAL_S + 1) * INTERVAL_S
        for meter, pusher in self._meters:
            for happening in meter.happenings.until(end_s):
                if happening.at_s > epoch_s(now):
                    calls.create_task(self._alarm(meter, pusher, happening, now))
            calls.create_task(self._interval(meter, pusher, end_s))
        await asyncio.sleep(end_s - now.timestamp())

    async def _alarm(self, meter: SimulatedMeter, pusher: Pusher, happening: Happening, now: datetime) -> None:
        await asyncio.sleep(happening.at_s - now.timestamp())
        await self._call(meter, partial(pusher.alarm, happening), pusher.hearing(alarm=True))

    async def _interval(self, meter: SimulatedMeter, pusher: Pusher, end_s: int) -> None:
        chance = stream(meter.element.faults.seed, meter.serial, "push")
        wait_s = end_s - self._clock.now().timestamp() + between(chance, *SPREAD_S, index=end_s // INTERVAL_S)
        await asyncio.sleep(wait_s)
        if meter.is_on(self._clock.now()):
            build = partial(pusher.interval, end_s - INTERVAL_S, self._clock.now())
            await self._call(meter, build, pusher.hearing(alarm=False))

    async def _call(self, meter: SimulatedMeter, build: Callable[[], bytes | None], hearing: Hearing | None) -> None:
        """Deliver a frame; nobody there is tried again a few times and then given up, as meters do.

        The frame is built anew for each attempt: its counter must be above that of whatever went out meanwhile.
        """
        for delay_s in (0.0, *_RETRY_DELAYS_S):
            await asyncio.sleep(delay_s)
            async with self._lines:
                frame = build()
                if frame is None or await self._delivered(meter, frame, hearing):
                    return

    async def _delivered(self, meter: SimulatedMeter, frame: bytes, hearing: Hearing | None) -> bool:
        destination = self._destination
        match destination.over:
            case Over.UDP:
                return await deliver_in_datagram(*destination.address, frame, hearing)
            case Over.HDLC:
                return await deliver_in_hdlc(*destination.address, frame, hearing)
            case Over.MQTT if destination.certificates is not None:
                context = destination.certificates.context(meter.meter_id)
                return await deliver_by_mqtt(Broker(*destination.address, context), meter.meter_id, frame, hearing)
            case _:
                return await deliver(*destination.address, frame, hearing)


def _can_call(meter: SimulatedMeter) -> bool:
    return not meter.kinds & {FaultKind.SILENT, FaultKind.REFUSED}
