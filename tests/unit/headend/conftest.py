"""A head-end in memory: simulated meters answer in the same process; the OT database is a real file."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest

from amity.domain.collection import Delivery, Outcome
from amity.headend.mapping_file import MappingFile
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.provisioning import Provision, read_fleet_document
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import StorageError, TransportError
from amity.kernel.time import Clock
from amity.messaging.codec import ProtobufCodec
from amity.simulation.counters import reservation_by_time
from amity.simulation.device import meter_server
from amity.simulation.fleet import Fleet as SimulatedFleet
from amity.simulation.fleet import FleetSettings, build_fleet, document_entry
from amity.simulation.meter import SimulatedMeter
from amity.storage.ot.database import OtDatabase, open_database

NOW = datetime(2026, 11, 20, 6, 17, 42, tzinfo=UTC)
T = TypeVar("T")
Script = Callable[[bytes, int], bytes | None]
"""What becomes of a request, by its number in the session: an answer of its own, or None for the meter's."""


class SilentError(TransportError):
    pass


class RefusedError(TransportError):
    pass


async def at_once(work: Callable[[], T]) -> T:
    return work()


@dataclass
class MemoryChannel:
    association: object
    clock: Clock
    script: Script | None
    closed: Callable[[], None]
    requests: list[bytes] = field(default_factory=list)
    unsolicited: list[bytes] = field(default_factory=list)

    async def exchange(self, apdu: bytes, timeout_s: float) -> bytes:
        del timeout_s
        await asyncio.sleep(0)
        self.requests.append(apdu)
        scripted = self.script(apdu, len(self.requests)) if self.script else None
        if scripted is not None:
            return scripted
        answer = self.association.receive(apdu, self.clock.now())
        if answer is None:
            raise SilentError("Timer T1 Timeout")
        return answer

    async def close(self) -> None:
        self.association.close()
        self.closed()


class MemoryConnector:
    """Connects to simulated meters in this process; `scripts` spoil lines, `refused` and `sessions` are by meter id."""

    def __init__(self, clock: Clock, meters: Sequence[SimulatedMeter]) -> None:
        self.clock = clock
        chance = Random(1)
        self.servers = {
            meter.meter_id: meter_server(
                meter,
                started=clock.now(),
                reservation=reservation_by_time(clock.now()),
                random_octets=chance.randbytes,
            )[0]
            for meter in meters
        }
        self.scripts: dict[str, Script] = {}
        self.refused: set[str] = set()
        self.sessions: Counter[str] = Counter()
        self.open_now: Counter[str] = Counter()
        self.open_most = 0
        self.open_most_of_one = 0
        self.channels: list[MemoryChannel] = []

    async def connect(self, endpoint: Endpoint, timeout_s: float) -> MemoryChannel:
        del timeout_s
        self.sessions[endpoint.meter_id] += 1
        if endpoint.meter_id in self.refused:
            raise RefusedError("Connection Refused (Error 111)", next_step="check the meter's power")
        self.open_now[endpoint.meter_id] += 1
        self.open_most = max(self.open_most, self.open_now.total())
        self.open_most_of_one = max(self.open_most_of_one, self.open_now[endpoint.meter_id])
        association = self.servers[endpoint.meter_id].open_association(endpoint.client)
        script = self.scripts.get(endpoint.meter_id)
        channel = MemoryChannel(association, self.clock, script, lambda: self._closed(endpoint.meter_id))
        self.channels.append(channel)
        return channel

    def outcome_of(self, error: TransportError) -> Outcome:
        return {SilentError: Outcome.SILENT, RefusedError: Outcome.REFUSED}.get(type(error), Outcome.BROKEN)

    def _closed(self, meter_id: str) -> None:
        self.open_now[meter_id] -= 1


class MemoryKeys:
    def __init__(self, secrets: dict[str, MeterSecrets]) -> None:
        self.by_meter = secrets

    def secrets(self, meter_id: str) -> MeterSecrets:
        return self.by_meter[meter_id]


class SettableClock:
    """The clock port, moved by hand; a test on a virtual loop puts that loop's clock in."""

    def __init__(self) -> None:
        self.instant = NOW

    def now(self) -> datetime:
        return self.instant

    def advance(self, **span: float) -> None:
        self.instant += timedelta(**span)


@dataclass
class Bench:
    """Everything a test of the head-end holds in its hands."""

    clock: SettableClock
    simulated: SimulatedFleet
    connector: MemoryConnector
    keys: MemoryKeys
    database: OtDatabase
    mappings: MappingFile
    surroundings: Surroundings

    def deliveries(self) -> list[Delivery]:
        """Everything in the outbox, oldest first."""
        return [ProtobufCodec().decode(one.body) for one in self.database.collection.queued(10_000)]

    def meter_with(self, profile: str) -> SimulatedMeter:
        return next(meter for meter in self.simulated.meters if meter.profile.key == profile)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[OtDatabase]:
    opened = open_database(tmp_path / "ot.sqlite")
    yield opened
    opened.close()


def provision_of(*meters: SimulatedMeter) -> Provision:
    return read_fleet_document([document_entry(meter, "127.0.0.1", 4059) for meter in meters])


def endpoint_of(meter: SimulatedMeter) -> Endpoint:
    return provision_of(meter).endpoints[0]


@pytest.fixture
def make_bench(tmp_path: Path, database: OtDatabase) -> Callable[..., Bench]:
    def made(count: int = 10, **settings: object) -> Bench:
        clock = SettableClock()
        simulated = build_fleet(FleetSettings(meters=count, seed=7, anchor=NOW, **settings))
        connector = MemoryConnector(clock, simulated.meters)
        provision = provision_of(*simulated.meters)
        keys = MemoryKeys(dict(provision.secrets))
        database.endpoints.put(provision.endpoints)
        mappings = MappingFile(tmp_path / "mapping.json")
        surroundings = Surroundings(
            clock=clock,
            chance=Random(2).random,
            random_octets=Random(3).randbytes,
            system_title=b"AMYHEAD1",
            connector=connector,
            disk=at_once,
            endpoints=database.endpoints,
            keys=keys,
            counters=database.counters,
            collection=database.collection,
            codec=ProtobufCodec(),
            mappings=mappings,
            subject="amity.ot.deliveries",
        )
        return Bench(clock, simulated, connector, keys, database, mappings, surroundings)

    return made


class FullDisk:
    """A collection store whose disk takes nothing."""

    def __init__(self, real: object) -> None:
        self._real = real
        self.full = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def save_all(self, *arguments: object) -> None:
        if self.full:
            raise StorageError("the disk is full", next_step="free space")
        self._real.save_all(*arguments)


@pytest.fixture
def full_disk() -> Callable[[object], FullDisk]:
    return FullDisk
