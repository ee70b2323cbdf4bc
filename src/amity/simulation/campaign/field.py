"""The meters of a simulated world: each host a machine with real listeners, pushes, a plan of what happens to it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from typing import Any, Final

from amity.devices.client import AssociationSettings, Ports, associate, release
from amity.devices.profiles import Quantity
from amity.devices.server import MeterServer
from amity.domain.events import EventKind
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.provisioning import read_fleet_document
from amity.headend.session import association_settings
from amity.kernel.errors import AmityError
from amity.kernel.time import Clock, epoch_s, from_epoch_s
from amity.simulation.campaign.collector import Station
from amity.simulation.campaign.ears import Heard, overheard, overheard_pusher
from amity.simulation.campaign.machine import Machine, MachineClock
from amity.simulation.campaign.network import Network
from amity.simulation.campaign.push_evidence import PushEvidence
from amity.simulation.campaign.settings import ALARMS_SOON_FROM, PORT, PUSH_HOST, TITLE, WorldSettings
from amity.simulation.campaign.ways import Way, drawn_way, place_of
from amity.simulation.campaign.witness import Witness
from amity.simulation.chance import stream
from amity.simulation.counters import reservation_by_time
from amity.simulation.device import meter_server
from amity.simulation.dialling import DialIn, dialling
from amity.simulation.faults import FaultKind
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet
from amity.simulation.happenings import Happening, Happenings
from amity.simulation.line_faults import LineFaults
from amity.simulation.meter import SimulatedMeter
from amity.simulation.push_schedule import Destination, PushSchedule
from amity.simulation.pushes import Pusher

OnHeard = Callable[[str, int, bytes], None]
"""Told of an APDU that reaches a meter: its name, the client address, the octets."""
_ALARMS: Final = (EventKind.POWER_DOWN, EventKind.COVER_OPENED, EventKind.MAGNETIC_FIELD, EventKind.POWER_UP)
_TECHNICIAN_AHEAD: Final = 5_000
_HOSTS_IN_NET: Final = 250
_LATE_ALARMS: Final = 0.5
"""So many meters have an alarm when all is mended, …"""
_LATE_S: Final = (0, 900)
"""… within these seconds after alarms are to be quick again."""


@dataclass(frozen=True, slots=True)
class PlannedHappenings(Happenings):
    """A list of what happens to one meter, in place of the town's own story."""

    planned: tuple[Happening, ...] = ()

    def until(self, now_s: int) -> list[Happening]:
        """What has happened so far, oldest first."""
        return [one for one in self.planned if one.at_s <= now_s]


@dataclass(eq=False)
class Site:
    """A host in the field: one meter, or a gateway and those behind it, on a machine of their own."""

    host: str
    way: Way
    meters: list["FieldMeter"] = field(default_factory=list)
    machine: Machine | None = None

    @property
    def first(self) -> "FieldMeter":
        """The meter on the line."""
        return self.meters[0]

    @property
    def is_on(self) -> bool:
        """True while its machine lives."""
        return self.machine is not None and self.machine.alive


@dataclass(eq=False)
class FieldMeter:
    """One meter: what it measures, where it stands, its server, whether it calls with what it has."""

    meter: SimulatedMeter
    site: Site
    endpoint: Endpoint
    secrets: MeterSecrets
    server: MeterServer
    pusher: Pusher
    pushes: bool

    @property
    def meter_id(self) -> str:
        """Its name."""
        return self.meter.meter_id

    @property
    def host(self) -> str:
        """The address it is reached at."""
        return self.site.host


class Field:
    """All meters of a world."""

    def __init__(
        self,
        settings: WorldSettings,
        network: Network,
        clock: Clock,
        witness: Witness,
        stations: Mapping[str, Station],
        on_heard: OnHeard,
        evidence: PushEvidence,
    ) -> None:
        self._settings = settings
        self._network = network
        self._clock = clock
        self._witness = witness
        self._stations = stations
        self._on_heard = on_heard
        self._evidence = evidence
        self._chance = Random(stream(settings.seed, "field"))
        self.fleet = _fleet(settings)
        self.sites = list(self._placed(iter(self.fleet.meters)))
        self.meters = [one for site in self.sites for one in site.meters]

    def switch_on(self, site: Site) -> None:
        """Begin a life of a host: it listens, and calls in."""
        machine = Machine(site.first.meter_id, site.host, MachineClock(self._clock), self._witness)
        site.machine = self._network.machines[site.host] = machine
        machine.start(self._live(site))

    def switch_off(self, site: Site) -> None:
        """No power, or no coverage: nobody hears of it."""
        if site.machine is not None:
            site.machine.kill(told=False)

    def lose_counters(self, one: FieldMeter) -> None:
        """A meter whose memory is gone: it starts counting where it was made, and knows no counter of ours."""
        made = from_epoch_s(epoch_s(self._settings.start) - 86_400)
        one.server, one.pusher = self._server(one.meter, one.site.way, made)
        _know_each_other(one.site)

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

    # ------------------------------------------------------------------ lives
    async def _live(self, site: Site) -> None:
        async with AsyncExitStack() as stack:
            await self._open(stack, site)
            calling = [(one.meter, one.pusher) for one in site.meters if one.pushes]
            if calling:
                way = site.way
                host = self._stations[way.collector].host if way.collector else PUSH_HOST
                destination = Destination(host, PORT, way.confirmed, way.over)
                await PushSchedule(destination, calling, self._clock).run()
            await self._network.loop.create_future()

    async def _open(self, stack: AsyncExitStack, site: Site) -> None:
        first, way = site.first, site.way
        if FaultKind.REFUSED in first.meter.kinds:
            return
        if way.calls is not None:
            framing = way.carried.framing
            dial = DialIn(PUSH_HOST, PORT, way.calls, framing)
            await stack.enter_async_context(dialling(dial, [(first.meter, first.pusher, first.server)], self._clock))
            return
        faults = LineFaults(first.meter, self._clock)
        await way.carried.serve(stack, first.server, faults, self._clock, (site.host, PORT))

    # ------------------------------------------------------------------ making
    def _placed(self, meters: Iterator[SimulatedMeter]) -> Iterator[Site]:
        """Hosts, until all meters have a place."""
        for number, first in enumerate(meters):
            way = drawn_way(self._chance, self._settings, tuple(self._stations.values()))
            site = Site(f"10.1.{number // _HOSTS_IN_NET}.{number % _HOSTS_IN_NET + 1}", way)
            for meter in (first, *(another for _, another in zip(range(way.handed_on), meters, strict=False))):
                site.meters.append(self._made(site, meter))
            _know_each_other(site)
            yield site

    def _made(self, site: Site, meter: SimulatedMeter) -> FieldMeter:
        server, pusher = self._server(meter, site.way, self._settings.start)
        gateway = site.first.server if site.meters else server
        entry = site.way.described(meter, site.host, place_of(len(site.meters)), gateway.settings.server)
        provision = read_fleet_document([entry])
        (endpoint,), secrets = provision.endpoints, provision.secrets[meter.meter_id]
        pushes = self._chance.random() < self._settings.pushing
        return FieldMeter(meter, site, endpoint, secrets, server, pusher, pushes)

    def _server(self, meter: SimulatedMeter, way: Way, started: datetime) -> tuple[MeterServer, Pusher]:
        server, pusher = meter_server(
            meter,
            started=started,
            reservation=reservation_by_time(started),
            random_octets=self._chance.randbytes,
            confirmed=way.confirmed,
        )
        heard: Heard = partial(self._on_heard, meter.meter_id)
        client = meter.profile.association.client
        return overheard(server, heard), overheard_pusher(
            pusher, partial(heard, client), self._evidence.meters[meter.meter_id]
        )


def _know_each_other(site: Site) -> None:
    """The first hands on to the others."""
    places = {place: one.server for number, one in enumerate(site.meters) if (place := place_of(number)) is not None}
    if places:
        site.first.server.hand_on_to(places)


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
    late = Random(stream(settings.seed, "late", meter.serial))
    if late.random() < _LATE_ALARMS:
        seconds.append(int((settings.span + ALARMS_SOON_FROM).total_seconds()) + late.randrange(*_LATE_S))
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
