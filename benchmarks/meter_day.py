"""What a meter-day costs, end to end: read by leased jobs, carried by the broker, in committed blocks of the IT zone.

The roles are those of `amity serve`, each in a process of its own, the meters in another: four channels of 96 rows, ten
exchanges' worth of registers, name and clock, suite 0 with HLS-GMAC. The clocks are put a day ahead for each round; the
default schedule does the rest. Counted are the CPU seconds of each role's process, all its threads.
Run: `python -m benchmarks.meter_day [--meters 300] [--days 4] [--json]`.
"""

import argparse
import json
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from amity.messaging.codec import ProtobufCodec
from benchmarks import meters, workload
from benchmarks.installation import CAPTURED, Installation, lay_down, look, served, wait_for

BAR_MS = 1.5
_ROUND_S = 300.0
_CHANNELS = CAPTURED - 1
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Round:
    """One day of all meters: CPU milliseconds by role for each meter, and octets that each left behind."""

    headend_ms: float
    broker_ms: float
    mdm_ms: float

    @property
    def sum_ms(self) -> float:
        """All roles together."""
        return self.headend_ms + self.broker_ms + self.mdm_ms


@dataclass(frozen=True, slots=True)
class Octets:
    """Of a meter-day: on the line to the meter, in the broker's message, in either database."""

    wire: float
    message: float
    ot_disk: float
    it_disk: float


def measure(count: int, days: int, concurrency: int, *, channels: int = _CHANNELS) -> tuple[list[Round], Octets]:
    """The first day, which learns what the columns of every meter are, is not among the rounds."""
    with TemporaryDirectory() as root, meters.on_loopback(count, captured=channels + 1) as simulated:
        folder = lay_down(Path(root), simulated.ports, concurrency=concurrency)
        first = workload.START + timedelta(days=1) + _MINUTE
        simulated.set(first)
        with served(folder, first) as installed:
            _until_committed(installed, 1, count * channels)
            before = _disk(installed)
            rounds = list(_rounds(installed, simulated, count, days, channels))
            grown = [(now - then) / count / days for now, then in zip(_disk(installed), before, strict=True)]
            return rounds, Octets(*_messages(installed), *grown)


def _rounds(installed: Installation, simulated: meters.Meters, count: int, days: int, channels: int) -> Iterator[Round]:
    for day in range(2, days + 2):
        instant = workload.START + timedelta(days=day) + _MINUTE
        before = installed.cpu_s()
        simulated.set(instant)
        installed.put_clocks(instant)
        _until_committed(installed, day, count * channels)
        after = installed.cpu_s()
        spent = {role: 1000 * (after[role] - before[role]) / count for role in after}
        yield Round(spent["headend"], spent["broker"], spent["mdm"])


def _until_committed(installed: Installation, day: int, wanted: int) -> None:
    """Every meter has a final block of that day's channels, whole from the second day on, and its outbox is empty."""
    epoch_day = (workload.START + timedelta(days=day - 1)).timestamp() // 86_400
    query = "SELECT count(*) FROM block WHERE stage = 'final' AND day = ?"
    ot, it = installed.folder.ot_database, installed.folder.it_database

    def committed() -> bool:
        blocks, waiting = look(it, query, epoch_day), look(ot, "SELECT count(*) FROM delivery WHERE sent = 0")
        return blocks == [(wanted,)] and waiting == [(0,)]

    wait_for(committed, f"day {day}: {wanted} blocks", _ROUND_S)


def _disk(installed: Installation) -> tuple[int, int]:
    """Octets of the two databases' pages, what waits in their logs included."""
    paths = installed.folder.ot_database, installed.folder.it_database
    pages = "SELECT p.page_count * s.page_size FROM pragma_page_count AS p, pragma_page_size AS s"
    ot, it = (int(look(path, pages)[0][0]) for path in paths)  # type: ignore[call-overload]
    return ot, it


def _messages(installed: Installation) -> tuple[float, float]:
    """Median octets on the wire (as the route frames them) and of the message, of the last day's sessions."""
    rows = look(installed.folder.ot_database, "SELECT body FROM delivery ORDER BY sequence DESC LIMIT 100")
    bodies = [body for (body,) in rows if isinstance(body, bytes)]
    told = [ProtobufCodec().decode(body).exchanges for body in bodies]
    wire = [sum(len(one.request) + len(one.response) for one in exchanges) for exchanges in told]
    return statistics.median(wire), statistics.median(map(len, bodies))


def main() -> None:
    """Print what each day cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.meter_day", description=__doc__)
    parser.add_argument("--meters", type=int, default=300)
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args()
    rounds, octets = measure(chosen.meters, chosen.days, chosen.concurrency)
    if chosen.json:
        print(json.dumps({"rounds": [asdict(one) for one in rounds], "octets": asdict(octets)}))
        return
    print(f"CPU ms of a meter-day, {chosen.meters} meters, {_CHANNELS} channels of {workload.ROWS}, suite 0")
    print("          head-end   broker      MDM      sum")
    for one in rounds:
        print(f"     {one.headend_ms:13.2f}{one.broker_ms:9.2f}{one.mdm_ms:9.2f}{one.sum_ms:9.2f}")
    median = statistics.median(one.sum_ms for one in rounds)
    print(f"median {median:.2f} ms, bar {BAR_MS} ms: {'met' if median <= BAR_MS else 'MISSED'}")
    print(f"octets: wire {octets.wire:.0f}, message {octets.message:.0f}, "
          f"OT disk {octets.ot_disk:.0f}, IT disk {octets.it_disk:.0f}")  # fmt: skip


if __name__ == "__main__":
    main()
