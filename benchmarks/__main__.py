"""`make bench`: Amity beside its peers in one run, CPU seconds, as a table and with `--json FILE` as JSON."""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import amity_jobs, hdlc, headend, meter, peers_run, workload

SESSIONS = 600
PEER_SESSIONS = 120
SECONDS_PER_HOUR = 3600
BLOCKS_BAR_PER_S = 3_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table; `of_seconds` turns the CPU seconds of the job into the figure that is shown."""

    job: str
    title: str
    unit: str
    of_seconds: Callable[[float], float]
    bar: float
    ratio_bar: float | None = None
    ratio_to: str | None = None
    larger_is_better: bool = True
    peer_job: str | None = None

    def met(self, figure: float, ratio: float | None) -> bool:
        """Whether the bar and the ratio to the peer are both reached."""
        reached = figure >= self.bar if self.larger_is_better else figure <= self.bar
        return reached and (self.ratio_bar is None or (ratio is not None and ratio >= self.ratio_bar))


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured for one line."""

    name: str
    unit: str
    amity: float
    peers: dict[str, float]
    ratio: float
    ratio_to: str
    bar: float
    ratio_bar: float | None
    met: bool


def _rows_per_s(seconds: float) -> float:
    return workload.ROWS / seconds


def _per_s(seconds: float) -> float:
    return 1 / seconds


def _milliseconds(seconds: float) -> float:
    return seconds * 1000


LINES = (
    Line("profile", "96-row profile to UTC columns", "rows/s", _rows_per_s, 2e6, 25),
    Line(
        "profile without times", "the same, times after the first row left out", "rows/s", _rows_per_s, 2e6,
        peer_job="profile",
    ),
    Line(
        "profile joined", "the same, 200 buffers joined", "rows/s", _rows_per_s, 10e6, peer_job="profile"
    ),
    Line(
        "session", "ciphered session, client CPU", "ms", _milliseconds, 1, 20, "gurux-dlms", larger_is_better=False
    ),
    Line(
        "session over TCP", "the same, asyncio and sockets too", "ms", _milliseconds, 1, 20, "gurux-dlms",
        larger_is_better=False,
    ),
    Line("association", "AARQ built, AARE read", "/s", _per_s, 20_000),
    Line("decrypt", "3.6 KB APDU decrypted", "/s", _per_s, 250_000),
)  # fmt: skip


def measure() -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """CPU seconds of Amity and of each peer by job, one after the other so that nobody shares the core with a rival."""
    theirs: dict[str, dict[str, float]] = {}
    with meter.on_loopback() as port:
        print("measuring Amity", file=sys.stderr)
        ours = amity_jobs.measure(port, SESSIONS)
    for peer in peers_run.PEERS:
        print(f"measuring {peer}", file=sys.stderr)
        with meter.on_loopback() as port:
            theirs[peer] = peers_run.measure(peer, workload.for_peers("127.0.0.1", port, PEER_SESSIONS))
    return ours, theirs


def compare(line: Line, ours: dict[str, float], theirs: dict[str, dict[str, float]]) -> Result:
    """One line: Amity's figure, each peer's, and how many times less CPU Amity needs than the peer that counts."""
    job = line.peer_job or line.job
    seconds = {peer: jobs[job] for peer, jobs in theirs.items()}
    ratio_to = line.ratio_to or min(seconds, key=seconds.__getitem__)
    ratio = seconds[ratio_to] / ours[line.job]
    figure = line.of_seconds(ours[line.job])
    return Result(
        name=line.title,
        unit=line.unit,
        amity=figure,
        peers={peer: line.of_seconds(used) for peer, used in seconds.items()},
        ratio=ratio,
        ratio_to=ratio_to,
        bar=line.bar,
        ratio_bar=line.ratio_bar,
        met=line.met(figure, ratio),
    )


def blocks() -> Result:
    """Readings into SQLite, measured by `benchmarks.blocks` in a process of its own beside one row per reading."""
    print("measuring blocks into SQLite", file=sys.stderr)
    command = [sys.executable, "-m", "benchmarks.blocks", "--json"]
    printed = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout  # noqa: S603 - our own
    document = json.loads(printed)
    figure = document["blocks"]["readings_per_cpu_s"]
    return Result(
        name="readings into SQLite, de-duplicated",
        unit="/s",
        amity=figure,
        peers={},
        ratio=document["times_faster"],
        ratio_to="one row each",
        bar=BLOCKS_BAR_PER_S,
        ratio_bar=None,
        met=figure >= BLOCKS_BAR_PER_S,
    )


def head_end() -> Result:
    """A session through the head-end's whole path, in a process of its own."""
    print("measuring the head-end's path", file=sys.stderr)
    command = [sys.executable, "-m", "benchmarks.headend", "--json"]
    printed = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout  # noqa: S603 - our own
    document = json.loads(printed)
    figure = (document["session_s"] + document["delivery_s"]) * 1000
    return Result(
        name="head-end: 10 exchanges, stored, delivered",
        unit="ms",
        amity=figure,
        peers={},
        ratio=headend.FIRST_MEASURED_MS / figure,
        ratio_to="as first measured",
        bar=headend.BAR_MS,
        ratio_bar=None,
        met=figure <= headend.BAR_MS,
    )


def framing() -> Result:
    """HDLC frames, the slower of sending and receiving; the ratio is that of the check sequence (see `hdlc`)."""
    print("measuring HDLC framing", file=sys.stderr)
    figure, ratio = hdlc.measure(hdlc.JUDGED).slower, hdlc.check_ratio()
    return Result(
        name=f"HDLC framing, {hdlc.JUDGED} octets a frame",
        unit="MB/s",
        amity=figure,
        peers={},
        ratio=ratio,
        ratio_to="octet by octet",
        bar=hdlc.BAR_MB_PER_S,
        ratio_bar=None,
        met=figure >= hdlc.BAR_MB_PER_S,
    )


def table(results: list[Result]) -> str:
    """Plain columns."""
    heads = ["work", "unit", "Amity", *peers_run.PEERS, "times less CPU than", "bar", ""]
    rows = [heads] + [
        [
            result.name,
            result.unit,
            _figure(result.amity),
            *(_figure(result.peers[peer]) if peer in result.peers else "-" for peer in peers_run.PEERS),
            f"{_times(result.ratio)} {result.ratio_to}",
            _figure(result.bar) + (f", {result.ratio_bar:.0f} x" if result.ratio_bar else ""),
            "met" if result.met else "MISSED",
        ]
        for result in results
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _times(ratio: float) -> str:
    return f"{ratio:.0f} x" if ratio >= 10 else f"{ratio:.1f} x"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def machine() -> dict[str, Any]:
    """What it ran on, without naming the machine."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "measured_at": datetime.now(UTC).replace(microsecond=0).isoformat(),
    }


def main() -> int:
    """Measure, print, write JSON; the exit code is 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    arguments = parser.parse_args()
    try:
        ours, theirs = measure()
    except peers_run.PeerMissingError as error:
        print(error, file=sys.stderr)
        return 2
    results = [*(compare(line, ours, theirs) for line in LINES), head_end(), blocks(), framing()]
    per_hour = int(SECONDS_PER_HOUR / ours["session over TCP"])
    print(table(results))
    print(f"\nAt {ours['session over TCP'] * 1000:.2f} ms a session, one core reads {per_hour:,} meters an hour.")
    if arguments.json is not None:
        document = {
            "machine": machine(),
            "results": [asdict(result) for result in results],
            "meters_per_core_hour": per_hour,
        }
        arguments.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
