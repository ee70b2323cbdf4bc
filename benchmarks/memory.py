"""What a meter that is known and idle costs the head-end in memory: with its route, keys, counters, standing and jobs.

The head-end runs as `amity serve` does it, in a process of its own, for fleets of growing size; nobody answers and
nobody is called. It is looked at three times: when it stands, when a schedule has made jobs for every meter that wait
for their turn, and when a push made it look up who may push. What is said is its growth for each meter more.
Run: `python -m benchmarks.memory [--meters 20000 100000]`.
"""

import argparse
import socket
import sqlite3
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from amity.protocols.wrapper.frame import encode
from amity.runtime.folder import Folder
from amity.runtime.roles.serving import Role
from amity.runtime.settings import load
from benchmarks import meters, workload
from benchmarks.installation import lay_down, look, wait_for
from benchmarks.roles import RunningRole, running

BAR_OCTETS = 1_500
_PORT_OF_NOBODY = 9
_WAIT_S = 600.0
_SETTLE_S = 3.0
_SCHEDULE = """\
[[schedule]]
name = "night"
cron = "0 1 * * *"
read = ["profiles", "registers", "events"]
jitter = "22 h"
blackouts = ["mon-sun 00:30-12:00"]
"""
_STRANGER = bytes.fromhex("db0841424344000000011e30") + bytes(29)


@dataclass(frozen=True, slots=True)
class Resident:
    """Octets of the head-end's process that are in memory."""

    started: int
    with_jobs: int
    after_a_push: int


def measure(count: int) -> Resident:
    """One fleet of this size; 0 is the head-end alone."""
    with TemporaryDirectory() as root, ExitStack() as stack:
        folder = lay_down(Path(root), [_PORT_OF_NOBODY] * count, concurrency=64)
        folder.schedules.write_text(_SCHEDULE, encoding="utf-8")
        _give_standings(folder, count)
        start = workload.START + timedelta(minutes=50)
        stack.enter_context(running(folder.root, Role.BROKER, start))
        wait_for((folder.broker / "ot.secret").exists, "the broker", 60)
        role = stack.enter_context(running(folder.root, Role.HEADEND, start))
        wait_for(lambda: _listens(load(folder.settings).headend.push_port), "the head-end", 60)
        started = _settled(role)
        role.set(workload.START + timedelta(hours=1, minutes=1))
        jobs = [(3 * count,)]
        wait_for(lambda: look(folder.ot_database, "SELECT count(*) FROM job") == jobs, "the jobs", _WAIT_S)
        with_jobs = _settled(role)
        _push(load(folder.settings).headend.push_port)
        return Resident(started, with_jobs, _settled(role))


def _give_standings(folder: Folder, count: int) -> None:
    """Every meter was read before: it has a standing with the counter it was heard with, and counters of ours."""
    names = [(meters.name_of(number),) for number in range(count)]
    with closing(sqlite3.connect(folder.ot_database)) as connection, connection:
        connection.executemany("INSERT INTO invocation_counter VALUES (?, 4096)", names)
        connection.executemany(
            "INSERT INTO standing (meter_id, outcome, failures_in_a_row, heard_key, heard_counter) "
            "VALUES (?, 'complete', 0, x'00112233', 77)", names,
        )  # fmt: skip


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _push(port: int) -> None:
    """From nobody that is known: the fleet is looked through for the sender."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(encode(1, 1, _STRANGER))
        time.sleep(_SETTLE_S)


def _settled(role: RunningRole) -> int:
    """Once it has been quiet for a while."""
    before = -1.0
    while role.cpu_s - before > _SETTLE_S / 20:
        before = role.cpu_s
        time.sleep(_SETTLE_S)
    return role.resident_octets


def report(sizes: Sequence[int]) -> bool:
    """Print the growth from the empty head-end to each size; True when the largest keeps to the bar."""
    empty, per_meter = measure(0), 0.0
    megabyte = 1024 * 1024
    print(f"{'meters':>8}{'started':>14}{'with jobs':>14}{'after a push':>14}   octets for each meter")
    print(f"{0:>8}{empty.started / megabyte:>11.1f} MB{empty.with_jobs / megabyte:>11.1f} MB"
          f"{empty.after_a_push / megabyte:>11.1f} MB")  # fmt: skip
    for size in sizes:
        one = measure(size)
        grown = [
            (now - then) / size
            for now, then in (
                (one.started, empty.started), (one.with_jobs, empty.with_jobs), (one.after_a_push, empty.after_a_push),
            )
        ]  # fmt: skip
        per_meter = max(grown)
        print(f"{size:>8}{one.started / megabyte:>11.1f} MB{one.with_jobs / megabyte:>11.1f} MB"
              f"{one.after_a_push / megabyte:>11.1f} MB   {grown[0]:.0f}, {grown[1]:.0f}, {grown[2]:.0f}")  # fmt: skip
    print(f"at most {per_meter:.0f} octets, bar {BAR_OCTETS}: {'met' if per_meter <= BAR_OCTETS else 'MISSED'}")
    return per_meter <= BAR_OCTETS


def main() -> None:
    """Print what each meter costs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--meters", type=int, nargs="+", default=[20_000, 100_000])
    report(parser.parse_args().meters)


if __name__ == "__main__":
    main()
