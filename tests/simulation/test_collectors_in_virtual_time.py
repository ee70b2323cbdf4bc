"""A head-end and a collector in one process and virtual time, over a WAN of the field; a meter that is a collector."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from amity.collector.confirmations import Confirmations
from amity.collector.forwarder import Forwarder
from amity.collector.headend_link import HeadendLink
from amity.collector.meter_channels import ChannelLimits, MeterChannels
from amity.collector.ports import Held, HeldPush, PushStore
from amity.collector.push_intake import PushIntake
from amity.collector.quality import MeterLines
from amity.collector.urgency import UrgencyRules
from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventKind
from amity.headend.collectors.connected import ConnectedCollector, Office
from amity.headend.collectors.ports import Admission, Presented
from amity.headend.collectors.registry import Collectors, ReachConnector
from amity.headend.mapping_file import MappingFile
from amity.headend.plan import ReadingRules
from amity.headend.ports import MeterSecrets
from amity.headend.provisioning import read_fleet_document
from amity.headend.pushes.desk import PushDesk
from amity.headend.surroundings import SessionRules, Surroundings
from amity.kernel.backoff import Backoff
from amity.messaging.codec import ProtobufCodec
from amity.protocols.relay.link import Link
from amity.protocols.relay.messages import VERSION, Hello
from amity.protocols.wrapper.frame import Reader
from amity.simulation.counters import reservation_by_time
from amity.simulation.device import meter_server
from amity.simulation.fleet import FleetSettings, build_fleet, document_entry
from amity.simulation.happenings import Happening
from amity.simulation.network.medium import ways
from amity.simulation.network.memory import MemoryTransport, connect_in_memory
from amity.simulation.network.meter_collector import SELF, MeterCollectorWays
from amity.simulation.network.presets import preset
from amity.simulation.virtual_time import VirtualClock, run_virtually
from amity.storage.collector.pushes import open_push_store
from amity.storage.ot.database import open_database
from amity.transports.collector_ways import CollectorWays
from amity.transports.meter_connector import MeterConnector
from amity.transports.relay_peer import PeerRules, RelayPeer
from tests.unit.headend.rounds import Rounds

T = TypeVar("T")
START = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
DC7 = Presented("DC7", "ab" * 32, "")


async def at_once(work: Callable[[], T], /) -> T:
    return work()


def nobody(_apdu: bytes | None) -> None:
    """Waits for a confirmation."""


@dataclass
class MemoryStore:
    """A push store that holds what it is given."""

    pushes: list[HeldPush] = field(default_factory=list)

    def put(self, pushes: Any) -> None:
        self.pushes += pushes

    def oldest(self, limit: int, *, urgent: bool, without: Any) -> list[HeldPush]:
        return [one for one in self.pushes if one.urgent is urgent and one.number not in without][:limit]

    def delete(self, numbers: Any) -> None:
        self.pushes = [one for one in self.pushes if one.number not in numbers]

    def held(self) -> Held:
        return Held()


class World:
    """One meter that is a collector, linked to a head-end as the preset has it."""

    def __init__(self, folder: Path, clock: VirtualClock, link: str, **settings: Any) -> None:
        chance = random.Random(7)
        self.clock = clock
        self.link = link
        self.database = open_database(folder / "ot.sqlite")
        self.database.collectors.seen(DC7, START)
        self.database.collectors.decide("DC7", "", Admission.ACCEPTED)
        fleet = build_fleet(FleetSettings(**{"meters": 1, "seed": 5, "anchor": START, "auth": "hls-gmac", **settings}))
        (self.meter,) = fleet.meters
        self.server, self.pusher = meter_server(
            self.meter, started=START, reservation=reservation_by_time(START), random_octets=chance.randbytes
        )
        provision = read_fleet_document([{**document_entry(self.meter, SELF, 1), "port": 1, "collector": "DC7"}])
        self.database.endpoints.put(provision.endpoints)
        secrets = dict(provision.secrets)
        self.surroundings = Surroundings(
            clock=clock, chance=chance.random, random_octets=chance.randbytes, system_title=b"AMYHEAD1",
            connector=ReachConnector(MeterConnector(), self._serving), disk=at_once,
            endpoints=self.database.endpoints, keys=Keys(secrets), counters=self.database.counters,
            collection=self.database.collection, codec=ProtobufCodec(), mappings=MappingFile(folder / "mapping.json"),
            subject="amity.ot.deliveries", reading=ReadingRules(first_read=timedelta(hours=24)),
            session=SessionRules(connect_timeout_s=20, request_timeout_s=20, backoff=Backoff(0.01, 0.01)),
        )  # fmt: skip
        self.store: PushStore = MemoryStore()
        self.lines = MeterLines()
        self.tasks: list[asyncio.Task[None]] = []
        self.start_headend()
        self.start_collector()

    def start_headend(self) -> None:
        """What its process holds in memory."""
        self.pushes = PushDesk(self.surroundings, self.database.push_counters)
        self.collectors = Collectors(
            Office(
                "node",
                self.database.collectors,
                self.database.forwarded_pushes,
                self.pushes.take_forwarded,
                self.clock,
                at_once,
            )
        )

    def start_collector(self) -> None:
        """The same there; whatever ran before is gone without a word."""
        for task in self.tasks:
            task.cancel()
        confirmations = Confirmations(asyncio.get_running_loop().time)
        self.forwarder = Forwarder(self.store, at_once, confirmations)
        self.intake = PushIntake(
            self.store, at_once, self.clock, random.Random(len(self.tasks)).randbytes, confirmations,
            rules=UrgencyRules(), on_kept=self.forwarder.wake,
        )  # fmt: skip
        self.tasks += [asyncio.create_task(self.forwarder.run()), asyncio.create_task(self.intake.run())]

    def _serving(self, name: str) -> ConnectedCollector:
        return self.collectors.serving(name)

    def connect(self) -> tuple[MemoryTransport, MemoryTransport]:
        """A new link; the collector has dialled."""
        far, near = RelayPeer(Link(opens=False), PeerRules()), RelayPeer(Link(opens=True), PeerRules())
        self.near = near
        ends = connect_in_memory(far, near, ways(preset(self.link), random.Random(1)))
        beyond = CollectorWays(lambda _host: False, (), ())
        channels = MeterChannels(far, MeterCollectorWays(self.server, self.clock, beyond), ChannelLimits(), self.lines)
        far.begin(ends[0], HeadendLink(far, channels, self.forwarder, Hello(VERSION, "test", 0)))
        near.begin(ends[1], self.collectors.greet(near, DC7))
        return ends

    async def read(self) -> Delivery:
        await Rounds(self.surroundings, self.database, concurrent_sessions=1).read_fleet_once()
        return self.deliveries[-1]

    @property
    def deliveries(self) -> list[Delivery]:
        return [ProtobufCodec().decode(one.body) for one in self.database.collection.queued(1000)]

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.collectors.close()
        self.database.close()


@dataclass
class Keys:
    by_meter: dict[str, MeterSecrets]

    def secrets(self, meter_id: str) -> MeterSecrets:
        return self.by_meter[meter_id]


def virtually(folder: Path, link: str, main: Callable[[World], Awaitable[T]], **settings: Any) -> T:
    async def whole(clock: VirtualClock) -> T:
        world = World(folder, clock, link, **settings)
        try:
            return await main(world)
        finally:
            await world.close()

    return run_virtually(whole, START + timedelta(minutes=17))


@pytest.mark.parametrize("link", ["gprs", "nb-iot", "lte"])
def test_a_meter_that_is_a_collector_is_read_over_a_wan_of_the_field(tmp_path: Path, link: str) -> None:
    async def main(world: World) -> tuple[Delivery, float]:
        world.connect()
        await asyncio.sleep(30)
        begun_s = asyncio.get_running_loop().time()
        return await world.read(), asyncio.get_running_loop().time() - begun_s

    delivery, took_s = virtually(tmp_path, link, main)
    assert (delivery.outcome, delivery.detail) == (Outcome.COMPLETE, ())
    assert all(len(series.starts) == 96 for series in delivery.intervals)
    assert took_s > 1


def test_a_night_without_wan_loses_no_push_and_brings_the_alarm_first(tmp_path: Path) -> None:
    async def main(world: World) -> list[Delivery]:
        for ago in range(40, 0, -1):
            frame = world.pusher.interval(int(START.timestamp()) - 900 * ago, world.clock.now())
            assert frame is not None
            await world.intake.take(*Reader().feed(frame), "10.0.0.7", nobody)
            await asyncio.sleep(900)
        alarm = world.pusher.alarm(Happening(int(START.timestamp()), EventKind.POWER_DOWN))
        assert alarm is not None
        await world.intake.take(*Reader().feed(alarm), "10.0.0.7", nobody, on_alarm_port=True)
        assert world.deliveries == []
        ends = world.connect()
        await asyncio.sleep(2.5)
        ends[0].cut()
        ends[1].cut()
        await asyncio.sleep(100)
        world.connect()
        await asyncio.sleep(600)
        assert world.store.oldest(1, urgent=False, without=()) == []
        assert world.pushes.parking.counts == {}
        return world.deliveries

    deliveries = virtually(tmp_path, "gprs", main)
    assert len(deliveries) == 41
    assert deliveries[0].events
    assert [one.collected_at for one in deliveries[1:]] == sorted(one.collected_at for one in deliveries[1:])


def test_an_hour_without_wan_a_killed_collector_and_a_new_head_end_lose_nothing_and_double_nothing(
    tmp_path: Path,
) -> None:
    """A push a minute for two hours; the WAN goes at minute 20 without a word and is back for a minute at 80."""
    minutes = 120
    pushed: list[bytes] = []

    async def main(world: World) -> list[Delivery]:
        world.store = open_push_store(tmp_path / "pushes.sqlite", 8 << 20)
        world.start_collector()
        ends = world.connect()
        for minute in range(minutes):
            match minute:
                case 20 | 81:
                    ends[0].cut()
                    ends[1].cut()
                case 50:
                    world.store = open_push_store(tmp_path / "pushes.sqlite", 8 << 20)
                    world.start_collector()
                case 80 | 85:
                    ends = world.connect()
                case 83:
                    await world.collectors.close()
                    world.start_headend()
            frame = world.pusher.interval(int(START.timestamp()) - 900 * (minutes - minute), world.clock.now())
            assert frame is not None
            pushed.append(frame)
            await world.intake.take(*Reader().feed(frame), "10.0.0.7", nobody)
            await asyncio.sleep(60)
        await asyncio.sleep(600)
        assert world.pushes.parking.counts == {}
        assert world.store.held()._replace(dropped=0) == Held()
        return world.deliveries

    deliveries = virtually(tmp_path, "gprs", main)
    assert len(pushed) == minutes
    assert Counter(one.exchanges[0].response for one in deliveries) == Counter(pushed)


def test_plain_readings_compress_and_ciphertext_does_not(tmp_path: Path) -> None:
    async def main(world: World) -> float:
        world.connect()
        await asyncio.sleep(30)
        before = replace(world.near.traffic)
        assert (await world.read()).outcome is Outcome.COMPLETE
        after = world.near.traffic
        return (after.plain_in - before.plain_in) / (after.packed_in - before.packed_in)

    plain, ciphered = tmp_path / "plain", tmp_path / "ciphered"
    plain.mkdir()
    ciphered.mkdir()
    assert virtually(plain, "lte", main, auth="none") > 2
    assert 0.9 < virtually(ciphered, "lte", main) < 1.5
