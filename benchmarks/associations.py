"""Thousands of associations open at once on one worker: meters that think long before each answer, all read together.

The head-end is the role of `amity serve`, in a process of its own, with as many sessions allowed as there are meters.
How many associations stood at the same time is computed from the evidence: of each session the time from the exchange
after the association was proved to the last one. The CPU time is that of the head-end from the first connection to the
last delivery, the memory its growth at the highest.
Run: `python -m benchmarks.associations [--meters 5000] [--thinks 4]`.
"""

import argparse
import re
import resource
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

from amity.domain.collection import Delivery, Outcome
from amity.messaging.codec import ProtobufCodec
from amity.runtime.roles.serving import Role
from benchmarks import meters, workload
from benchmarks.installation import CAPTURED, lay_down, look, served
from benchmarks.roles import RunningRole

_OTHER_FILES = 512
_ROUND_S = 900.0
_ASSOCIATED_FROM = 2
"""Position of the first exchange after AARQ and the proof of HLS."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one round gave."""

    outcomes: Counter[Outcome]
    failures: Counter[str]
    open_at_once: int
    sockets_at_once: int
    seconds: float
    cpu_s: float
    grown_octets: int


def measure(count: int, thinks_s: float) -> Measured:
    """First contact with every meter at the same time."""
    _allow_files(2 * count + _OTHER_FILES)
    with TemporaryDirectory() as root, meters.on_loopback(count, captured=CAPTURED, thinks_s=thinks_s) as simulated:
        folder = lay_down(Path(root), simulated.ports, concurrency=count, timeout_s=10 * thinks_s + 30)
        first = workload.START + timedelta(days=1, minutes=1)
        simulated.set(first)
        with served(folder, first) as installed:
            role = installed.roles[Role.HEADEND]
            before_octets, before_s, began = role.resident_octets, role.cpu_s, time.monotonic()
            octets, sockets = _watch(role, lambda: _delivered(folder.ot_database) >= count)
            seconds, cpu_s = time.monotonic() - began, role.cpu_s - before_s
        bodies = (body for (body,) in look(folder.ot_database, "SELECT body FROM delivery") if isinstance(body, bytes))
        told = [ProtobufCodec().decode(body) for body in bodies]
    outcomes = Counter(one.outcome for one in told)
    failures = Counter(_without_numbers(one.detail[0]) for one in told if not one.outcome.answered)
    return Measured(outcomes, failures, _open_at_once(told), sockets, seconds, cpu_s, octets - before_octets)


def _without_numbers(line: str) -> str:
    return re.sub(r"[\d.:]+", "#", line)


def _watch(role: RunningRole, over: object) -> tuple[int, int]:
    """The most memory and sockets seen until it is over."""
    assert callable(over)  # noqa: S101
    octets, sockets, until = 0, 0, time.monotonic() + _ROUND_S
    while not over():
        if time.monotonic() > until:
            raise SystemExit(f"waited {_ROUND_S:g} s for the sessions to end")
        octets = max(octets, role.resident_octets)
        sockets = max(sockets, len(list(Path(f"/proc/{role.pid}/fd").iterdir())))
        time.sleep(0.5)
    return octets, sockets


def _delivered(database: Path) -> int:
    found = look(database, "SELECT count(*) FROM delivery")
    return int(str(found[0][0])) if found else 0


def _open_at_once(told: Iterable[Delivery]) -> int:
    """The most that stood at any instant."""
    steps: list[tuple[datetime, int]] = []
    for one in told:
        if len(one.exchanges) > _ASSOCIATED_FROM:
            steps += [(one.exchanges[_ASSOCIATED_FROM].at, 1), (one.exchanges[-1].at, -1)]
    return max(accumulate(step for _, step in sorted(steps)), default=0)


def _allow_files(needed: int) -> None:
    """The roles and the meters inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))


def main() -> None:
    """Print what it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.associations", description=__doc__)
    parser.add_argument("--meters", type=int, default=5_000)
    parser.add_argument("--thinks", type=float, default=4.0, help="seconds before each answer of a meter")
    chosen = parser.parse_args()
    found = measure(chosen.meters, chosen.thinks)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in found.outcomes.items())
    print(f"{chosen.meters} meters that think {chosen.thinks:g} s: {outcomes}, in {found.seconds:.0f} s")
    for line, times in found.failures.most_common(3):
        print(f"  {times} x {line}")
    print(f"associations open at once {found.open_at_once} (files open {found.sockets_at_once})")
    share = found.cpu_s / found.seconds
    print(f"CPU {1000 * found.cpu_s / chosen.meters:.2f} ms a session, {100 * share:.0f} % of a core")
    print(f"memory {found.grown_octets / chosen.meters / 1024:.1f} KiB for each")


if __name__ == "__main__":
    main()
