"""`python -m benchmarks.cluster`: meters read per second by 1, 2 and 4 head-end processes over one PostgreSQL.

Meters are simulated in processes of their own; what is printed is the rate, and of which processes the CPU was.
All of it shares the cores of this machine. Needs PostgreSQL and HAProxy of Debian's packages, as the services tests do.
"""

import argparse
import os
import tempfile
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from tests.services import cluster as services
from tests.services import postgres

_TICKS = os.sysconf("SC_CLK_TCK")
_NODES = ("node1", "node2", "node3", "node4")


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and of its children that were waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def measure(workers: int, meters: int, rounds: int, folder: Path) -> str:
    """A line of the table."""
    shape = services.Shape(meters, slow=0.0, nodes=_NODES[:workers], concurrency=32)
    with postgres.server() as url, redirect_stdout(StringIO()), services.running(folder, url, shape) as stands:
        read(stands, "first contact")
        before, began = cpu_of(stands), time.monotonic()
        for turn in range(rounds):
            read(stands, f"round {turn}")
        took_s = time.monotonic() - began
        spent = {name: now - before[name] for name, now in cpu_of(stands).items()}
    sessions = meters * rounds
    nodes_s = sum(spent[name] for name in shape.nodes)
    return (
        f"{workers} nodes: {sessions / took_s:6.1f} meters/s; CPU a meter: nodes {1000 * nodes_s / sessions:.2f} ms,"
        f" meters {1000 * spent['meters'] / sessions:.2f} ms, mdm {1000 * spent['mdm'] / sessions:.2f} ms;"
        f" {sum(spent.values()) / took_s:.2f} cores busy besides PostgreSQL"
    )


def read(stands: services.Cluster, word: str) -> None:
    """All meters once."""
    stands.read_all(word)
    services.until(stands.nothing_left, "every job ends", limit_s=600)


def cpu_of(stands: services.Cluster) -> dict[str, float]:
    """CPU seconds so far by process."""
    return {name: cpu_s(pid) for name, pid in stands.pids().items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--meters", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for workers in (1, 2, 4):
        with tempfile.TemporaryDirectory() as folder:
            print(measure(workers, options.meters, options.rounds, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
