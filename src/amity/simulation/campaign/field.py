"""The meters of a simulated world: each a machine of its own with real listeners, pushes, a plan of what happens to it.

The witness of the wire stands here too: which counters were used, who holds an association with whom.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from typing import Any, Final

from amity.devices.client import AssociationSettings, Ports, associate, release
from amity.devices.profiles import Framing, Quantity
from amity.devices.server import MeterServer
from amity.domain.events import EventKind
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.provisioning import read_fleet_document
from amity.headend.session import association_settings
from amity.kernel.errors import AmityError
from amity.kernel.time import Clock, epoch_s, from_epoch_s
from amity.simulation.campaign.machine import Machine, MachineClock
from amity.simulation.campaign.network import Network
from amity.simulation.campaign.settings import TITLE, WorldSettings
from amity.simulation.campaign.witness import Witness
from amity.simulation.carriers import Carried
from amity.simulation.chance import stream
from amity.simulation.counters import reservation_by_time
from amity.simulation.device import meter_server
from amity.simulation.faults import FaultKind
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet, document_entry
from amity.simulation.happenings import Happening, Happenings
from amity.simulation.line_faults import LineFaults
from amity.simulation.meter import SimulatedMeter
from amity.simulation.push_schedule import Destination, PushSchedule
from amity.simulation.pushes import Pusher

PORT: Final = 4059
PUSH_HOST: Final = "push.head-end"
_OVER: Final = (Carried(), Carried(), Carried(), Carried(udp=True), Carried(framing=Framing.HDLC))
_ALARMS: Final = (EventKind.POWER_DOWN, EventKind.COVER_OPENED, EventKind.MAGNETIC_FIELD, EventKind.POWER_UP)
_TECHNICIAN_AHEAD: Final = 5_000


@dataclass(frozen=True, slots=True)
class PlannedHappenings(Happenings):
    """A list of what happens to one meter, in place of the town's own story."""

    planned: tuple[Happening, ...] = ()

    def until(self, now_s: int) -> list[Happening]:
        """What has happened so far, oldest first."""
        return [one for one in self.planned if one.at_s <= now_s]


@dataclass(eq=False)
class FieldMeter:
    """One meter: what it measures, how it is reached, its server and the machine that it runs on."""

    meter: SimulatedMeter
    host: str
    carried: Carried
    endpoint: Endpoint
    secrets: MeterSecrets
    server: MeterServer
    pusher: Pusher
    pushes: bool
    machine: Machine | None = None

    @property
    def meter_id(self) -> str:
        """Its name."""
        return self.meter.meter_id


class Field:
    """All meters of a world."""

    def __init__(self, settings: WorldSettings, network: Network, clock: Clock, witness: Witness) -> None:
        self._settings = settings
        self._network = network
        self._clock = clock
        self._witness = witness
        self._chance = Random(stream(settings.seed, "field"))
        self.fleet = _fleet(settings)
        self.meters = [self._made(number, meter) for number, meter in enumerate(self.fleet.meters)]
        self.by_host = {one.host: one for one in self.meters}
        self.by_id = {one.meter_id: one for one in self.meters}

    def switch_on(self, one: FieldMeter) -> None:
        """Begin a life of a meter: it listens, and calls in."""
        machine = Machine(one.meter_id, one.host, MachineClock(self._clock), self._witness)
        one.machine = self._network.machines[one.host] = machine
        machine.start(self._live(one))

    def switch_off(self, one: FieldMeter) -> None:
        """No power, or no coverage: nobody hears of it."""
        if one.machine is not None:
            one.machine.kill(told=False)

    def lose_counters(self, one: FieldMeter) -> None:
        """A meter whose memory is gone: it starts counting where it was made, and knows no counter of ours."""
        one.server, one.pusher = self._server(one.meter, from_epoch_s(epoch_s(self._settings.start) - 86_400))

    def visit(self, one: FieldMeter, now: datetime) -> None:
        """A technician reads the meter at its optical head with the same keys, and counters far ahead of ours."""
        try:
            settings = association_settings(one.endpoint, one.meter.profile, one.secrets, TITLE)
            numbers = count(one.server.received_counter(one.endpoint.client) + _TECHNICIAN_AHEAD)
            self._talk(one, settings, Ports(self._chance.randbytes, numbers.__next__), now)
        except AmityError as error:
            self._witness.note(one.meter_id, f"technician: {error.what}")

    def _talk(self, one: FieldMeter, settings: AssociationSettings, ports: Ports, now: datetime) -> None:
        association = one.server.open_association(one.endpoint.client)
        try:
            session = _led(associate(settings, ports), lambda apdu: association.receive(apdu, now))
            if one.meter.profile.association.answers_release:
                _led(release(session), lambda apdu: association.receive(apdu, now))
        finally:
            association.close()

    async def _live(self, one: FieldMeter) -> None:
        async with AsyncExitStack() as stack:
            faults = LineFaults(one.meter, self._clock)
            await one.carried.serve(stack, one.server, faults, self._clock, (one.host, PORT))
            if one.pushes:
                schedule = PushSchedule(Destination(PUSH_HOST, PORT), [(one.meter, one.pusher)], self._clock)
                await schedule.run()
            await asyncio.get_running_loop().create_future()

    def _made(self, number: int, meter: SimulatedMeter) -> FieldMeter:
        host = f"10.1.{number // 250}.{number % 250 + 1}"
        carried = self._chance.choice(_OVER)
        pushes = self._chance.random() < self._settings.pushing
        entry = document_entry(meter, host, PORT) | carried.described()
        provision = read_fleet_document([entry])
        (endpoint,), secrets = provision.endpoints, provision.secrets[meter.meter_id]
        server, pusher = self._server(meter, self._settings.start)
        return FieldMeter(meter, host, carried, endpoint, secrets, server, pusher, pushes)

    def _server(self, meter: SimulatedMeter, started: datetime) -> tuple[MeterServer, Pusher]:
        return meter_server(
            meter, started=started, reservation=reservation_by_time(started), random_octets=self._chance.randbytes
        )


def _led(conversation: Any, exchange: Callable[[bytes], bytes | None]) -> Any:
    """Lead a conversation without time passing."""
    try:
        request = next(conversation)
        while True:
            request = conversation.send(exchange(request) or b"")
    except StopIteration as end:
        return end.value


def _fleet(settings: WorldSettings) -> Fleet:
    """Small towns whose meters have faults of the record and the line on the day of the run."""
    faults = {kind: share for kind, share in settings.meter_faults.items() if share}
    anchor = settings.start + timedelta(days=1)
    fleet = build_fleet(FleetSettings(meters=settings.meters, seed=settings.seed, anchor=anchor, faults=faults))
    return replace(fleet, meters=tuple(map(partial(_with_story, settings), fleet.meters)))


def _with_story(settings: WorldSettings, meter: SimulatedMeter) -> SimulatedMeter:
    """Alarms at chosen instants, each at a second of its own."""
    chance = Random(stream(settings.seed, "story", meter.serial))
    seconds = sorted({chance.randrange(60, int(settings.span.total_seconds())) for _ in range(chance.randrange(5))})
    start_s = epoch_s(settings.start)
    planned = tuple(Happening(start_s + at_s, chance.choice(_ALARMS)) for at_s in seconds)
    town = meter.happenings
    return replace(
        meter, happenings=PlannedHappenings(town.faults, town.transformer_id, town.installed_day, (), planned)
    )


def tells_wrong_times(meter: SimulatedMeter) -> bool:
    """True for a meter whose clock jumps: some of its record stands under wrong stamps."""
    return FaultKind.CLOCK_JUMP in meter.kinds


def marks_its_record(meter: SimulatedMeter) -> bool:
    """True for a model with a status column; one without cannot say that its clock was wrong."""
    columns = set(meter.profile.load_profile.columns)
    return any(found.quantity is Quantity.STATUS and found.name in columns for found in meter.profile.objects)
