"""The head-end's whole path: fleet, sessions over sockets, normalising, store with outbox, log, delivery to the broker.

The meters are another process, and so is the broker; what is counted is the CPU time of this one, all its threads, for
each session. A session asks for all that a head-end wants: the bar's association, register, profile in four blocks and
release (8 exchanges), the meter's name and clock in the request for the register, and its billing profile and its event
log, which have nothing new (10 exchanges together). Every round is a day later than the one before. Run:
`python -m benchmarks.headend [--json]`.
"""

import argparse
import asyncio
import json
import random
import secrets
import socket
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, redirect_stderr
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from amity.devices.profiles import DeviceProfile, Stamp, packaged_profile
from amity.headend.delivery import Courier
from amity.headend.mapping_file import MappingFile
from amity.headend.plan import ReadingRules
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.routes import over_tcp
from amity.headend.surroundings import Surroundings
from amity.kernel.obis import Obis
from amity.messaging.access import OT, SUBJECT, load_access
from amity.messaging.broker import JetStreamPublisher
from amity.messaging.codec import ProtobufCodec
from amity.messaging.nats_server import BrokerFolder, NatsServer
from amity.runtime.logs.lines import configure_logs
from amity.runtime.roles import loops
from amity.runtime.roles.headend import log_progress
from amity.storage.ot.database import OtDatabase, open_database
from amity.transports.meter_connector import MeterConnector
from benchmarks import meters, workload
from tests.unit.headend.rounds import Rounds

METERS = 300
CONCURRENT = 50
ROUNDS = 7
BAR_MS = 0.6
FIRST_MEASURED_MS = 3.2
"""Before anything was done about it (2026-11-20, asyncio's own loop, without the delivery)."""
_MODEL = "castellan_c3"
_MINUTE = timedelta(minutes=1)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Measured:
    """CPU seconds of a session: until it is in the outbox, and of its delivery from there to the broker's disk."""

    session_s: float
    delivery_s: float


class OneKey:
    """All meters of the workload share their keys."""

    def secrets(self, meter_id: str) -> MeterSecrets:
        """The workload's."""
        del meter_id
        return MeterSecrets(guek=workload.GUEK, gak=workload.GAK)


def model() -> DeviceProfile:
    """A model like the workload's meter: one register, rows stamped at the start of their interval."""
    like = packaged_profile(_MODEL)
    register = replace(like.objects[0], class_id=3, obis=Obis.parse(workload.REGISTER))
    rows = replace(like.load_profile, obis=Obis.parse(workload.PROFILE), stamp=Stamp.START)
    association = replace(like.association, client=workload.CLIENT, server=workload.SERVER)
    return replace(like, objects=(register,), load_profile=rows, association=association)


@dataclass(frozen=True, slots=True)
class HeadEnd:
    """One head-end that reads the meters of the workload."""

    rounds: Rounds
    courier: Courier
    database: OtDatabase
    clock: meters.SetClock


@asynccontextmanager
async def head_end(folder: Path, ports: list[int]) -> AsyncIterator[HeadEnd]:
    """A head-end as `amity serve` makes it, but for its clock, its model of meter and one key for all."""
    with ThreadPoolExecutor(1) as thread:

        async def disk(work: Callable[[], T], /) -> T:
            return await asyncio.get_running_loop().run_in_executor(thread, work)

        broker = await NatsServer.start(BrokerFolder(folder / "nats", _free_port()))
        publisher = JetStreamPublisher(load_access(broker.folder.path, OT, broker.folder.url))
        database, clock, profile = open_database(folder / "ot.sqlite"), meters.SetClock(), model()
        database.endpoints.put(_endpoint(number, port) for number, port in enumerate(ports))
        surroundings = Surroundings(
            clock=clock, chance=random.random, random_octets=secrets.token_bytes, system_title=workload.CLIENT_TITLE,
            connector=MeterConnector(), disk=disk, endpoints=database.endpoints, keys=OneKey(),
            counters=database.counters, collection=database.collection, codec=ProtobufCodec(),
            mappings=MappingFile(folder / "mapping.json"), subject=SUBJECT, profile_of=lambda _key: profile,
            reading=ReadingRules(first_read=timedelta(days=1)),
        )  # fmt: skip
        rounds = Rounds(surroundings, database, concurrent_sessions=CONCURRENT, told=log_progress())
        courier = Courier(database.collection, publisher, disk, random.random)
        try:
            yield HeadEnd(rounds, courier, database, clock)
        finally:
            await publisher.close()
            await broker.stop()
            database.close()


def _endpoint(number: int, port: int) -> Endpoint:
    route, title = over_tcp("127.0.0.1", port), workload.METER_TITLE
    return Endpoint(meters.name_of(number), route, workload.CLIENT, workload.SERVER, "hls-gmac", _MODEL, title)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _rounds(count: int) -> Measured:
    """The first round, which learns what the columns of every meter are, is not counted."""
    sessions, deliveries = [], []
    with TemporaryDirectory() as folder, meters.on_loopback(count) as served:
        async with head_end(Path(folder), served.ports) as one:
            for day in range(1, ROUNDS + 2):
                one.clock.instant = workload.START + timedelta(days=day) + _MINUTE
                served.set(one.clock.instant)
                began = time.process_time()
                finished = await one.rounds.read_fleet_once()
                read = time.process_time()
                _check(one.database, sum(outcome.answered for outcome in finished.outcomes.values()), count)
                resumed = time.process_time()
                await one.courier.drain()
                sessions.append((read - began) / count)
                deliveries.append((time.process_time() - resumed) / count)
    return Measured(statistics.median(sessions[1:]), statistics.median(deliveries[1:]))


def _check(database: OtDatabase, answered: int, count: int) -> None:
    """Every meter was read, and what it gave is a day of the workload; the first day begins without a row before it."""
    (queued,) = database.collection.queued(1)
    delivery = ProtobufCodec().decode(queued.body)
    assert answered == count  # noqa: S101
    assert delivery.detail == ()  # noqa: S101
    assert {len(series.starts) for series in delivery.intervals} <= {workload.ROWS, workload.ROWS - 1}  # noqa: S101


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """The log is written as in production, to a file."""
    with path.open("w", encoding="utf-8") as log, redirect_stderr(log):
        configure_logs()
        yield


def measure(count: int = METERS, *, plain_loop: bool = False) -> Measured:
    """Medians over `ROUNDS` rounds of `count` sessions."""
    factory = None if plain_loop else loops.loop_factory()
    with TemporaryDirectory() as folder, _log_to(Path(folder) / "log"), asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_rounds(count))


def main() -> None:
    """Print what a session costs, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.headend", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--plain-loop", action="store_true", help="asyncio's own event loop")
    arguments = parser.parse_args()
    measured = measure(plain_loop=arguments.plain_loop)
    if arguments.json:
        print(json.dumps(asdict(measured)))
        return
    print(f"session, read and stored  {measured.session_s * 1000:.2f} ms")
    print(f"its delivery              {measured.delivery_s * 1000:.2f} ms")


if __name__ == "__main__":
    main()
