"""Pushes accepted and committed: ciphered intervals of a simulated fleet over sockets, into the OT database with fsync.

The senders are another process, which builds all frames before the clock starts. What is counted is the time until the
last push is on the disk, and the CPU time of the taking process, all its threads.
Run: `python -m benchmarks.pushes [--meters 2000] [--over tcp|udp] [--json] [--profile]`.
"""

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import random
import resource
import socket
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from amity.headend.call_desk import CallDesk
from amity.headend.called_lines import CalledLines
from amity.headend.callers import Datagram
from amity.headend.mapping_file import MappingFile
from amity.headend.provisioning import read_fleet_document
from amity.headend.push_listener import PushListener
from amity.headend.surroundings import Surroundings
from amity.kernel.time import epoch_s
from amity.messaging.codec import ProtobufCodec
from amity.protocols.wrapper.frame import Frame
from amity.runtime import loops
from amity.runtime.system import SystemClock
from amity.simulation.counters import MeterCounter, reservation_by_time
from amity.simulation.fleet import FleetSettings, build_fleet, document_entry
from amity.simulation.pushes import Pusher
from amity.storage.ot.database import open_database
from amity.storage.ot.keys import KeyFile
from amity.transports.call import CallRules
from amity.transports.caller_listener import CallerListener
from amity.transports.meter_connector import MeterConnector
from amity.transports.udp_push_listener import DatagramRules, UdpPushListener

BAR = 10_000
HOST = "127.0.0.1"
_LINES = 64
_AHEAD = 64
_QUIET_S = 3.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run gave; `cpu_ms` is for each push that was taken."""

    over: str
    sent: int
    taken: int
    seconds: float
    cpu_ms: float

    @property
    def per_second(self) -> float:
        """Pushes on the disk in a second of the wall clock."""
        return self.taken / self.seconds


def documents(meters: int, now: datetime) -> tuple[list[dict[str, object]], list[bytes]]:
    """The fleet and one frame of each meter."""
    fleet = build_fleet(FleetSettings(meters=meters, seed=5, anchor=now, auth="hls-gmac"))
    counters = reservation_by_time(now)
    start_s = epoch_s(now) // 900 * 900 - 900
    frames = [Pusher(meter, MeterCounter(counters)).interval(start_s, now) or b"" for meter in fleet.meters]
    return [document_entry(meter, HOST, 9) for meter in fleet.meters], frames


def send(over: str, port: int, frames: Sequence[bytes]) -> None:
    """In a process of its own: all frames, over a few lines, as fast as they are taken."""
    if over == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number, frame in enumerate(frames):
                sender.sendto(frame, (HOST, port))
                if number % _AHEAD == _AHEAD - 1:
                    time.sleep(0.004)  # the receiver's socket buffer is not what is measured
        return
    lines = [socket.create_connection((HOST, port)) for _ in range(_LINES)]
    for number, frame in enumerate(frames):
        lines[number % _LINES].sendall(frame)
    for line in lines:
        line.shutdown(socket.SHUT_WR)
        line.recv(1)
        line.close()


async def measure(over: str, meters: int, folder: Path) -> Measured:
    """One run against an empty database."""
    disk_thread = ThreadPoolExecutor(1)

    async def disk(work: Callable[[], T], /) -> T:
        return await asyncio.get_running_loop().run_in_executor(disk_thread, work)

    now = datetime.now(UTC)
    document, frames = documents(meters, now)
    provision = read_fleet_document(document)
    keys = KeyFile(folder / "keys.json")
    keys.put(provision.secrets)
    database = open_database(folder / "ot.sqlite")
    database.endpoints.put(provision.endpoints)
    surroundings = Surroundings(
        clock=SystemClock(), chance=random.random, random_octets=os.urandom, system_title=b"AMYHEAD1",
        connector=MeterConnector(), disk=disk, endpoints=database.endpoints, keys=keys, counters=database.counters,
        collection=database.collection, codec=ProtobufCodec(), mappings=MappingFile(folder / "mapping.json"),
        subject="amity.ot.deliveries",
    )  # fmt: skip
    pushes = PushListener(surroundings, database.push_counters)

    async def datagram(frame: Frame, peer: str) -> None:
        await pushes.take(frame, Datagram(peer))

    if over == "udp":
        rules = DatagramRules(waiting_max=meters, waiting_per_peer_max=meters)
        door: UdpPushListener | CallerListener = UdpPushListener(datagram, pushes.park, rules=rules)
    else:
        desk = CallDesk(pushes, CalledLines(), surroundings)
        door = CallerListener(desk, rules=CallRules(asked_after_s=600, stranger_silence_s=600))
    port = await door.start(HOST, 0)
    await pushes.sender("warm")  # the fleet is looked up before the clock starts
    sender = get_context("spawn").Process(target=send, args=(over, port, frames))
    sender.start()
    async with asyncio.timeout(60):
        while not pushes.taken:  # noqa: ASYNC110 - looked at from outside
            await asyncio.sleep(0.001)
    began, before = time.perf_counter(), cpu_s()
    first = pushes.taken
    last, quiet_since = first, began
    while pushes.taken < meters and time.perf_counter() - quiet_since < _QUIET_S:
        await asyncio.sleep(0.01)
        if pushes.taken != last:
            last, quiet_since = pushes.taken, time.perf_counter()
    seconds, spent = quiet_since - began, cpu_s() - before
    await door.close()
    sender.join()
    if pushes.parking.counts:
        print(dict(pushes.parking.counts), [one.error.lines() for one in pushes.parking.newest][:2], file=sys.stderr)
    database.close()
    return Measured(over, meters, pushes.taken, seconds, 1000 * spent / max(1, pushes.taken - first))


def cpu_s() -> float:
    """CPU seconds of this process so far, user and system, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meters", type=int, default=2000)
    parser.add_argument("--over", choices=("tcp", "udp"), default="tcp")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true")
    wanted = parser.parse_args()
    profiler = cProfile.Profile()
    with TemporaryDirectory() as folder:
        if wanted.profile:
            profiler.enable()
        measured = loops.run(measure(wanted.over, wanted.meters, Path(folder)))
        profiler.disable()
    if wanted.profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(35)
    if wanted.json:
        print(json.dumps(asdict(measured) | {"per_second": measured.per_second, "bar": BAR}))
        return
    print(
        f"{measured.taken} of {measured.sent} pushes over {measured.over} in {measured.seconds:.2f} s:"
        f" {measured.per_second:.0f} a second (bar {BAR}), {measured.cpu_ms:.3f} ms CPU each"
    )


if __name__ == "__main__":
    main()
