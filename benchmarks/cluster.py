"""`python -m benchmarks.cluster`: meters a second by 1, 2, 4 and 8 workers over one database, and what bounds them.

Two runs for PostgreSQL and for SQLite:
* whole sessions: simulated meters in a process of their own give registers, a day's profile and events. No worker has
  met a meter before, as it is for most sessions of a fleet that is larger than what a worker remembers;
* `--latency 1`: nobody is called. A session is a simulated wait of that many seconds, so that the workers have next to
  nothing to compute and the leasing itself shows.

Beside the rate stands whose CPU it took, how long a worker's disk thread was busy and how long of that it waited, and
what of this machine's cores was left. Needs PostgreSQL of Debian's packages for its half.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from amity.domain.jobs import Bundle, JobKind, JobRequest, JobState, Priority
from amity.domain.spans import TimeSpan
from amity.headend.jobs.meter_sessions import MeterSessions
from amity.headend.jobs.ports import LeaseTerms
from amity.headend.jobs.sessions import BundleReader, SessionResult
from amity.headend.jobs.worker import Worker
from amity.headend.mapping_file import MappingFile
from amity.headend.ports import MeterSecrets, Saving
from amity.headend.provisioning import Provision, read_fleet_document
from amity.headend.surroundings import Surroundings
from amity.messaging.codec import ProtobufCodec
from amity.runtime.roles import loops
from amity.runtime.system import SystemClock, random_octets
from amity.storage.ot.database import OtDatabase, open_database, open_shared_database
from amity.transports.meter_connector import MeterConnector
from benchmarks.processes import cpu_s, cpu_s_with_children, machine_busy_s
from tests.services import postgres

KINDS = (JobKind.REGISTERS, JobKind.PROFILES, JobKind.EVENTS)
_DAY = timedelta(days=1)
_SESSIONS_AT_ONCE = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setting:
    """What all workers of a run are given. `latency_s` of 0 is a real session."""

    where: str
    document: list[dict[str, Any]]
    latency_s: float
    sessions_at_once: int


class DiskThread:
    """The one thread that a worker does its database work on: how long it was busy, and computing meanwhile."""

    def __init__(self) -> None:
        self.busy_s = self.computing_s = 0.0
        self._thread = ThreadPoolExecutor(1)

    async def __call__(self, work: Callable[[], T], /) -> T:
        """What it gives, once it was its turn."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._timed, work)

    def _timed(self, work: Callable[[], T]) -> T:
        began, computing = time.perf_counter(), time.thread_time()
        try:
            return work()
        finally:
            self.busy_s += time.perf_counter() - began
            self.computing_s += time.thread_time() - computing


class Waiting:
    """Implements `BundleReader` without a meter: a wait as long as a session over a slow network."""

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s

    async def announce(self, bundles: Sequence[Bundle]) -> None:
        """Nothing is needed."""

    async def read(self, bundle: Bundle) -> SessionResult:
        """As long as it takes."""
        del bundle
        await asyncio.sleep(self._latency_s)
        return SessionResult()

    def keep(self, savings: Sequence[Saving]) -> None:
        """There is nothing."""


class KeysOfDocument:
    """The simulated meters' keys."""

    def __init__(self, fleet: Provision) -> None:
        self._of = fleet.secrets

    def secrets(self, meter_id: str) -> MeterSecrets:
        """One meter's."""
        return self._of[meter_id]


class Told(NamedTuple):
    """By one worker: when it had given its last meter back, its CPU, and its disk thread's time, all in seconds."""

    last: float
    cpu_s: float
    disk_busy_s: float
    disk_computing_s: float


# ------------------------------------------------------------------ a worker process
def work(setting: Setting, name: str, start: Barrier, end: Barrier, told: "multiprocessing.Queue[Told]") -> None:
    """Wait for the start, work until nothing is left, tell how it was."""
    loops.run(_work(setting, name, start, end, told))


async def _work(setting: Setting, name: str, start: Barrier, end: Barrier, told: "multiprocessing.Queue[Told]") -> None:
    disk, last = DiskThread(), [0.0]
    with tempfile.TemporaryDirectory() as folder, closing(await disk(lambda: opened(setting.where))) as database:
        terms = LeaseTerms(name, timedelta(minutes=5), look_every=timedelta(milliseconds=500))

        def on_done(_done: object) -> None:
            last[0] = time.monotonic()

        worker = Worker(
            database.jobs, _reader(setting, database, disk, Path(folder)), terms=lambda: terms,
            concurrency=setting.sessions_at_once, clock=SystemClock(), disk=disk, chance=random.random,
            on_done=on_done,
        )  # fmt: skip
        await asyncio.to_thread(start.wait)
        disk.busy_s = disk.computing_s = 0.0
        began = time.process_time()
        while await disk(lambda: JobState.WAITING in database.job_book.counts(SystemClock().now()).by_state):
            await worker.drain()
        told.put(Told(last[0], time.process_time() - began, disk.busy_s, disk.computing_s))
        end.wait()


def _reader(setting: Setting, database: OtDatabase, disk: DiskThread, folder: Path) -> BundleReader:
    if setting.latency_s:
        return Waiting(setting.latency_s)
    surroundings = Surroundings(
        clock=SystemClock(), chance=random.random, random_octets=random_octets, system_title=b"AMYBENCH",
        connector=MeterConnector(), disk=disk, endpoints=database.endpoints,
        keys=KeysOfDocument(read_fleet_document(setting.document)), counters=database.counters,
        collection=database.collection, codec=ProtobufCodec(), mappings=MappingFile(folder / "mapping.json"),
        subject="s",
    )  # fmt: skip
    return MeterSessions(surroundings, database.meter_states, database.counters)


def opened(where: str) -> OtDatabase:
    """By URL or path."""
    return open_shared_database(where) if "://" in where else open_database(Path(where))


# ------------------------------------------------------------------ a run
class Row(NamedTuple):
    """Of the table; CPU in ms a meter, the rest in shares of the time that it took."""

    workers: int
    meters_per_s: float
    worker_ms: float
    database_ms: float
    meters_ms: float
    disk_busy: float
    disk_waiting: float
    cores_ours: float
    cores_idle: float


def measure(workers: int, meters: int, setting: Setting, server: postgres.Server | None, simulator: int | None) -> Row:
    """All meters once, by so many workers that begin together."""
    with closing(opened(setting.where)) as database:
        _enqueue(database, setting, meters)
    context = multiprocessing.get_context("spawn")
    start, end, told = context.Barrier(workers + 1), context.Barrier(workers + 1), context.Queue()
    processes = [
        context.Process(target=work, args=(setting, f"w{number}", start, end, told)) for number in range(workers)
    ]
    for process in processes:
        process.start()

    def spent() -> tuple[float, float, float]:
        database_s = 0.0 if server is None else cpu_s_with_children(server.pid)
        return database_s, 0.0 if simulator is None else cpu_s(simulator), machine_busy_s()

    start.wait()
    began, before = time.monotonic(), spent()
    all_told: list[Told] = [told.get() for _ in processes]
    took_s = max(one.last for one in all_told) - began
    over_s, after = time.monotonic() - began, spent()
    end.wait()
    for process in processes:
        process.join()
    with closing(opened(setting.where)) as database:
        _check(database, meters)
    database_s, meters_s, busy_s = (now - then for now, then in zip(after, before, strict=True))
    workers_s, busy = sum(one.cpu_s for one in all_told), sum(one.disk_busy_s for one in all_told)
    waiting = busy - sum(one.disk_computing_s for one in all_told)
    return Row(
        workers, meters / took_s, 1000 * workers_s / meters, 1000 * database_s / meters, 1000 * meters_s / meters,
        busy / took_s / workers, waiting / took_s / workers, (workers_s + database_s + meters_s) / took_s,
        max(0.0, (os.cpu_count() or 1) - busy_s / over_s),
    )  # fmt: skip


def _enqueue(database: OtDatabase, setting: Setting, meters: int) -> None:
    """For each meter what a night asks: registers, yesterday's intervals and events, in one bundle."""
    fleet, now = read_fleet_document(setting.document), SystemClock().now()
    database.endpoints.put(fleet.endpoints)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = TimeSpan(midnight - _DAY, midnight)
    names = [one.meter_id for one in fleet.endpoints] or [f"M{number:07}" for number in range(meters)]
    requests = [
        JobRequest(
            name, kind, Priority.SCHEDULED, now, f"{name}/{kind}",
            span=yesterday if kind is JobKind.PROFILES else None,
        )
        for name in names
        for kind in KINDS
    ]  # fmt: skip
    for first in range(0, len(requests), 1500):
        database.jobs.enqueue(requests[first : first + 1500], now)


def _check(database: OtDatabase, meters: int) -> None:
    states = database.job_book.counts(SystemClock().now()).by_state
    if states != {JobState.DONE: meters * len(KINDS)}:
        raise SystemExit(f"not every job was done: {states}")


@contextmanager
def simulated(meters: int, *, slow: float = 0.0) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """Their document, and their process id; this share of them thinks before it answers."""
    argv = [sys.executable, "-m", "amity.cli", "simulate", "--meters", str(meters), "--json", "--with-parent"]
    argv += ["--fault", f"slow={slow}"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            yield json.loads(process.stdout.readline()), process.pid
        finally:
            process.terminate()


@contextmanager
def fresh(name: str) -> Iterator[tuple[str, postgres.Server | None]]:
    """Where an empty database is, and its server if it has one."""
    if name == "SQLite":
        with tempfile.TemporaryDirectory() as folder:
            yield str(Path(folder) / "ot.sqlite"), None
    else:
        with postgres.server() as server:
            yield server.url, server


def run(name: str, workers: int, meters: int, latency_s: float, sessions_at_once: int) -> Row:
    """One row, with everything made anew for it."""
    with fresh(name) as (where, server):
        if latency_s:
            return measure(workers, meters, Setting(where, [], latency_s, sessions_at_once), server, None)
        with simulated(meters) as (document, pid):
            return measure(workers, meters, Setting(where, document, 0.0, sessions_at_once), server, pid)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--meters", type=int, default=600, help="of a run; with --latency for each worker")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that a simulated session waits")
    parser.add_argument("--sessions", type=int, default=_SESSIONS_AT_ONCE, help="at once, of each worker")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8])
    options = parser.parse_args()
    names = ["SQLite"] if postgres.why_missing() else ["PostgreSQL", "SQLite"]
    print(
        "database    workers meters/s  CPU ms/meter: worker database meters"
        "   disk thread: busy waiting   cores: ours idle"
    )
    for name in names:
        for workers in options.workers:
            meters = options.meters * (workers if options.latency else 1)
            row = run(name, workers, meters, options.latency, options.sessions)
            print(
                f"{name:<11} {row.workers:>7} {row.meters_per_s:>8.0f}  {row.worker_ms:>20.2f} {row.database_ms:>8.2f}"
                f" {row.meters_ms:>6.2f}   {row.disk_busy:>17.0%} {row.disk_waiting:>7.0%}"
                f"   {row.cores_ours:>11.2f} {row.cores_idle:>4.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
