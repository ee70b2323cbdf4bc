"""Pushes accepted and committed: intervals of a simulated fleet over sockets, into the OT database with fsync.

The senders are another process, and all frames are made before the clock starts. What is counted is the time until the
last push is on the disk, and the CPU time of whoever takes them, all threads. Each meter pushes once before that, so
that what is kept of a meter (its association, its shape of push) is there, as it is in a head-end that has run for a
quarter of an hour.
Run: `python -m benchmarks.pushes [--meters 1000] [--rounds 10] [--over tcp,tcp-each,udp] [--auth none,hls-gmac]
[--takers 1] [--database URL] [--json]`, or with `--profile` for one way and no table.

Several takers are so many head-end processes on one database, each with a port of its own, and the senders go round
them as HAProxy does. "A second by CPU" is what so many cores can do if nothing else runs on them.
"""

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

from amity.devices.settings import Authentication
from amity.headend.calls.callers import Certified, Datagram
from amity.headend.calls.desk import CallDesk
from amity.headend.calls.lines import CalledLines
from amity.headend.mapping_file import MappingFile
from amity.headend.provisioning import read_fleet_document
from amity.headend.pushes.desk import PushDesk
from amity.headend.surroundings import Surroundings
from amity.kernel.time import epoch_s
from amity.messaging.codec import ProtobufCodec
from amity.protocols.wrapper.frame import Frame, decode_datagram
from amity.runtime.roles import loops
from amity.runtime.system import SystemClock
from amity.simulation.counters import MeterCounter, reservation_by_time
from amity.simulation.fleet import FleetSettings, build_fleet, document_entry
from amity.simulation.pushes import Pusher
from amity.storage.ot.database import OtDatabase, open_database, open_shared_database
from amity.storage.ot.keys import KeyFile
from amity.transports.call import CallRules
from amity.transports.caller_listener import CallerListener
from amity.transports.meter_connector import MeterConnector
from amity.transports.udp_push_listener import DatagramRules, UdpPushListener
from benchmarks.push_senders import HOST, send

BAR = 10_000
_PERIOD_S = 900
_QUIET_S = 3.0
_START_S = 60.0
_LOOK_EVERY_S = 0.02

T = TypeVar("T")


class Load(NamedTuple):
    """A fleet, and its pushes: one of each meter to begin with, then round after round."""

    document: list[dict[str, object]]
    first: Sequence[bytes]
    rounds: Sequence[Sequence[bytes]]

    @property
    def pushes(self) -> int:
        """How many there are, the first ones left out."""
        return len(self.first) * len(self.rounds)


class Task(NamedTuple):
    """What a taker is to do; the first takes the first pushes. The database is a file of the folder without a URL."""

    load: Load
    over: str
    folder: Path
    database: str
    is_first: bool
    profile: bool


class Told(NamedTuple):
    """How far takers are: pushes on the disk, CPU seconds, what was not believed."""

    taken: int
    cpu_s: float
    parked: dict[str, int]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run gave; `cpu_ms` is that of all takers, for each push that was taken."""

    over: str
    auth: str
    takers: int
    sent: int
    taken: int
    seconds: float
    cpu_ms: float

    @property
    def per_second(self) -> float:
        """Pushes on the disk in a second of the wall clock."""
        return self.taken / self.seconds

    @property
    def by_cpu(self) -> float:
        """Pushes in a second of as many cores as there are takers, if nothing else needed them."""
        return 1000 * self.takers / self.cpu_ms


def load_of(auth: str, meters: int, rounds: int) -> Load:
    """Each round is a quarter of an hour later than the one before it."""
    now = datetime.now(UTC)
    fleet = build_fleet(FleetSettings(meters=meters, seed=5, anchor=now, auth=Authentication(auth)))
    newest_s, counters = epoch_s(now) // _PERIOD_S * _PERIOD_S - _PERIOD_S, reservation_by_time(now)
    pushers = [Pusher(meter, MeterCounter(counters)) for meter in fleet.meters]
    starts = [newest_s - back * _PERIOD_S for back in range(rounds, -1, -1)]
    frames = [[pusher.interval(start_s, now) or b"" for start_s in starts] for pusher in pushers]
    by_round = list(zip(*frames, strict=True))
    document = [document_entry(meter, HOST, 9) for meter in fleet.meters]
    return Load(document, by_round[0], by_round[1:])


# ------------------------------------------------------------------ who takes them
class Taker:
    """A head-end's part that takes pushes, on a database."""

    def __init__(self, folder: Path, database: OtDatabase) -> None:
        self._thread = ThreadPoolExecutor(1)
        self.surroundings = Surroundings(
            clock=SystemClock(), chance=random.random, random_octets=os.urandom, system_title=b"AMYHEAD1",
            connector=MeterConnector(), disk=self._disk, endpoints=database.endpoints,
            keys=KeyFile(folder / "keys.json"), counters=database.counters, collection=database.collection,
            codec=ProtobufCodec(), mappings=MappingFile(folder / "mapping.json"), subject="amity.ot.deliveries",
        )  # fmt: skip
        self.pushes = PushDesk(self.surroundings, database.push_counters)

    async def _disk(self, work: Callable[[], T], /) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def datagram(self, frame: Frame, peer: str) -> None:
        """Take what came in one."""
        await self.pushes.take(frame, Datagram(peer))

    def door(self, over: str) -> UdpPushListener | CallerListener:
        """Where they come in; everybody calls from one address here, so that its bounds are those of all."""
        if over == "udp":
            rules = DatagramRules(waiting_max=1 << 20, waiting_per_peer_max=1 << 20)
            return UdpPushListener(self.datagram, self.pushes.park, rules=rules)
        desk = CallDesk(self.pushes, CalledLines(), self.surroundings)
        return CallerListener(desk, rules=CallRules(strangers_per_peer_max=512, asked_after_s=600))


async def take(asked: Connection, task: Task) -> None:
    """Take the first pushes by hand, listen, and tell how far it is whenever that is asked, until there is no more."""
    database = opened(task.folder, task.database)
    taker = Taker(task.folder, database)
    if task.is_first:
        callers = [Certified(str(one["logical_device_name"])) for one in task.load.document]
        frames = map(decode_datagram, task.load.first)
        await asyncio.gather(*map(taker.pushes.take, frames, callers))
    door = taker.door(task.over)
    asked.send(await door.start(HOST, 0))
    while await asyncio.to_thread(asked.recv):
        asked.send(Told(taker.pushes.taken, cpu_s(), dict(taker.pushes.parking.counts)))
    await door.close()
    database.close()


def taking(asked: Connection, task: "Task") -> None:
    """In a process of its own."""
    profiler = cProfile.Profile()
    if task.profile:
        profiler.enable()
    loops.run(take(asked, task))
    profiler.disable()
    if task.profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(40)


def cpu_s() -> float:
    """CPU seconds of this process so far, user and system, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# ------------------------------------------------------------------ one run
def opened(folder: Path, url: str) -> OtDatabase:
    """The database that all takers share."""
    return open_shared_database(url) if url else open_database(folder / "ot.sqlite")


def measure(over: str, auth: str, load: Load, folder: Path, wanted: argparse.Namespace) -> Measured:
    """One run against a database that knows nothing of these meters."""
    provision = read_fleet_document(load.document)
    KeyFile(folder / "keys.json").put(provision.secrets)
    database = opened(folder, wanted.database)
    database.endpoints.put(provision.endpoints)
    database.close()
    spawn = get_context("spawn")
    ends: list[Connection] = []
    processes: list[SpawnProcess] = []
    ports: list[int] = []
    for number in range(wanted.takers):
        mine, theirs = spawn.Pipe()
        task = Task(load, over, folder, wanted.database, number == 0, wanted.profile)
        processes.append(spawn.Process(target=taking, args=(theirs, task)))
        processes[-1].start()
        theirs.close()
        ports.append(mine.recv())
        ends.append(mine)
    start = told_by(ends)
    sender = spawn.Process(target=send, args=(over, ports, load.rounds))
    sender.start()
    seconds, end = until_quiet(ends, start, load.pushes)
    sender.terminate()
    for one in ends:
        one.send(False)
    for process in (*processes, sender):
        process.join()
    taken = end.taken - start.taken
    if end.parked:
        print(end.parked, file=sys.stderr)
    return Measured(over, auth, wanted.takers, load.pushes, taken, seconds, 1000 * (end.cpu_s - start.cpu_s) / taken)


def until_quiet(ends: Sequence[Connection], start: Told, wanted: int) -> tuple[float, Told]:
    """From the first push until the last: how many seconds, and how it stands then."""
    began = changed = time.perf_counter()
    last = start
    while last.taken - start.taken < wanted and time.perf_counter() - changed < _QUIET_S + (last is start) * _START_S:
        time.sleep(_LOOK_EVERY_S)
        now = told_by(ends)
        if now.taken == start.taken:
            began = time.perf_counter()
        elif now.taken != last.taken:
            last, changed = now, time.perf_counter()
    return changed - began, last


def told_by(ends: Sequence[Connection]) -> Told:
    """How far all takers are together."""
    for one in ends:
        one.send(True)
    answers: list[Told] = [one.recv() for one in ends]
    parked: Counter[str] = Counter()
    for answer in answers:
        parked.update(answer.parked)
    return Told(sum(one.taken for one in answers), sum(one.cpu_s for one in answers), dict(parked))


def runs(wanted: argparse.Namespace) -> list[Measured]:
    """Every way under every protection; a plain datagram is nobody's and never taken."""
    measured: list[Measured] = []
    for auth in wanted.auth.split(","):
        load = load_of(auth, wanted.meters, wanted.rounds)
        for over in wanted.over.split(","):
            if over == "udp" and auth == "none":
                continue
            with TemporaryDirectory() as folder:
                one = measure(over, auth, load, Path(folder), wanted)
            measured.append(one)
    return measured


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meters", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--over", default="tcp,tcp-each,udp")
    parser.add_argument("--auth", default="none,hls-gmac")
    parser.add_argument("--takers", type=int, default=1)
    parser.add_argument("--database", default="", help="of PostgreSQL, instead of a file")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true")
    wanted = parser.parse_args()
    measured = runs(wanted)
    if wanted.json:
        print(json.dumps([asdict(one) | {"per_second": one.per_second, "bar": BAR} for one in measured]))
        return
    print(f"over       keys       takers   taken    of        a second   ms CPU each   a second by CPU   bar {BAR}")
    for one in measured:
        met = "met" if one.per_second >= BAR else "missed"
        print(
            f"{one.over:10} {one.auth:10} {one.takers:<8} {one.taken:<8} {one.sent:<9} {one.per_second:<10.0f}"
            f" {one.cpu_ms:<13.3f} {one.by_cpu:<17.0f} {met}"
        )


if __name__ == "__main__":
    main()
