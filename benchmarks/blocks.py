"""Readings a second into SQLite, as channel-day blocks and as one row each: same load, same settings, one core.

The load is what a day brings: every channel's 96 intervals, a tenth of the blocks delivered a second time as they were,
and one in twenty corrected in part of the day. Every delivered reading counts once for each time it is delivered; what
is stored afterwards is compared between both stores and with the load itself. CPU seconds (user and system) of the
process, median of the runs. Run: `python -m benchmarks.blocks [--json] [--channels N] [--days N] [--runs N]`.
"""

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amity.domain.blocks import Block, Stage
from amity.domain.collection import Delivery, Outcome
from amity.domain.readings import Int64Column, IntervalSeries, QualityColumn, ReadingType
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY
from amity.kernel.units import Unit
from amity.storage.it.database import open_database
from amity.usecases.ingest import ingest

INTERVAL_S = 900
SLOTS = SECONDS_PER_DAY // INTERVAL_S
FIRST_DAY = 20_000
IMPORT = ReadingType(Obis.parse("1.0.1.29.0.255"), Unit.WATT_HOUR, 0, INTERVAL_S)
CHANNELS = tuple(Obis.parse(f"1.0.{quantity}.29.0.255") for quantity in range(1, 5))
BODY_OCTETS = 4_000
AGAIN_SHARE, CORRECTED_SHARE = 0.10, 0.05
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Arrival(NamedTuple):
    """Blocks that arrive together: channel numbers [n], day numbers [n], values and qualities [n, SLOTS]."""

    channels: Int64Column
    days: Int64Column
    values: Int64Column
    qualities: QualityColumn

    @property
    def readings(self) -> int:
        """How many values arrive."""
        return int((self.qualities != 0).sum())


class Measured(NamedTuple):
    """One run of one store."""

    cpu_s: float
    wall_s: float
    readings: int
    octets: int
    stored: tuple[int, int]  # how many readings are there afterwards, and their sum


def arrivals(channels: int, days: int, seed: int = 1) -> Iterator[Arrival]:
    """Day by day: first the day itself, then what is delivered again, then what is corrected."""
    chance = np.random.default_rng(seed)
    for day in range(FIRST_DAY, FIRST_DAY + days):
        household = 60 + 45 * np.sin(np.linspace(0, 2 * np.pi, SLOTS) + chance.random((channels, 1)))
        values = (chance.gamma(2.0, 1.0, (channels, SLOTS)) * household).astype(np.int64)
        qualities = np.ones((channels, SLOTS), np.uint8)
        numbers = np.arange(1, channels + 1)
        yield Arrival(numbers, np.full(channels, day), values, qualities)
        again = np.flatnonzero(chance.random(channels) < AGAIN_SHARE)
        yield Arrival(numbers[again], np.full(len(again), day), values[again], qualities[again])
        corrected = np.flatnonzero(chance.random(channels) < CORRECTED_SHARE)
        part = np.zeros((len(corrected), SLOTS), np.uint8)
        part[:, 40:52] = 1
        yield Arrival(numbers[corrected], np.full(len(corrected), day), values[corrected] + 7, part)


def expected(load: list[Arrival]) -> tuple[int, int]:
    """How many readings must be stored in the end, and their sum: the newest of each interval."""
    count, total = 0, 0
    for whole, _again, corrected in zip(*[iter(load)] * 3, strict=True):
        final = whole.values.copy()
        final[corrected.channels - 1] = np.where(
            corrected.qualities != 0, corrected.values, final[corrected.channels - 1]
        )
        count, total = count + final.size, total + int(final.sum())
    return count, total


def as_blocks(load: list[Arrival], folder: Path) -> Measured:
    """Through the BlockStore that Amity uses, one transaction for each arrival."""
    database = open_database(folder / "blocks.sqlite")
    channels = max(int(arrival.channels.max()) for arrival in load if len(arrival.channels))
    with database.transaction():
        ids = np.array([0] + [database.blocks.channel(f"meter-{n}", IMPORT).channel_id for n in range(channels)])
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    for number, arrival in enumerate(load):
        rows = zip(
            ids[arrival.channels].tolist(), arrival.days.tolist(), arrival.values, arrival.qualities, strict=True
        )
        blocks = [Block(channel, day, INTERVAL_S, values, qualities) for channel, day, values, qualities in rows]
        database.blocks.merge(Stage.RAW, blocks, source=f"delivery {number}", recorded_at=NOW)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    found = database.blocks.read(Stage.RAW, ids[1:].tolist(), FIRST_DAY, FIRST_DAY + 10_000)
    count = sum(int((block.qualities != 0).sum()) for block in found)
    stored = (count, sum(int(block.values.sum()) for block in found))
    database.close()
    return Measured(cpu_s, wall_s, sum(a.readings for a in load), _octets(folder / "blocks.sqlite"), stored)


def as_rows(load: list[Arrival], folder: Path) -> Measured:
    """One row for each reading, by hand and without SQLAlchemy: the fastest honest form of it."""
    connection = sqlite3.connect(folder / "rows.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE reading (channel_id INTEGER, start_s INTEGER, value INTEGER NOT NULL, quality INTEGER NOT NULL,"
        " PRIMARY KEY (channel_id, start_s)) WITHOUT ROWID"
    )
    upsert = (
        "INSERT INTO reading VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value,"
        " quality = excluded.quality WHERE value <> excluded.value OR quality <> excluded.quality"
    )
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    for arrival in load:
        row, slot = np.nonzero(arrival.qualities)
        starts = arrival.days[row] * SECONDS_PER_DAY + slot * INTERVAL_S
        columns = (arrival.channels[row], starts, arrival.values[row, slot], arrival.qualities[row, slot])
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(upsert, zip(*(column.tolist() for column in columns), strict=True))
        connection.execute("COMMIT")
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    stored = connection.execute("SELECT count(*), sum(value) FROM reading").fetchone()
    connection.close()
    return Measured(cpu_s, wall_s, sum(a.readings for a in load), _octets(folder / "rows.sqlite"), stored)


def as_deliveries(meters: int, folder: Path) -> dict[str, float]:
    """What a whole delivery costs on the IT side: evidence, raw and final blocks, VEE, findings, one commit each."""
    database = open_database(folder / "deliveries.sqlite")
    values = np.random.default_rng(1).integers(0, 900, (len(CHANNELS), SLOTS))
    starts = FIRST_DAY * SECONDS_PER_DAY + np.arange(SLOTS) * INTERVAL_S
    intervals = tuple(
        IntervalSeries(replace(IMPORT, obis=obis), starts, row, np.ones(SLOTS, np.uint8))
        for obis, row in zip(CHANNELS, values, strict=True)
    )
    body = np.random.default_rng(2).bytes(BODY_OCTETS)
    deliveries = [
        Delivery(f"message {n}", f"meter-{n}", f"session {n}", NOW, Outcome.COMPLETE, intervals=intervals)
        for n in range(meters)
    ]
    cpu_s = time.process_time()
    for delivery in deliveries:
        ingest(delivery, body, database, _StoppedClock())
    cpu_s = time.process_time() - cpu_s
    database.close()
    readings = meters * len(CHANNELS) * SLOTS
    return {
        "deliveries": meters,
        "readings": readings,
        "cpu_s": round(cpu_s, 3),
        "cpu_ms_per_delivery": round(1000 * cpu_s / meters, 2),
        "readings_per_cpu_s": round(readings / cpu_s),
    }


class _StoppedClock:
    def now(self) -> datetime:
        return NOW


def _octets(database: Path) -> int:
    return sum(path.stat().st_size for path in database.parent.glob(f"{database.name}*"))


def measure(store: Callable[[list[Arrival], Path], Measured], load: list[Arrival], runs: int) -> dict[str, float]:
    """Median of the runs; raise SystemExit when a run stored anything but the expected readings."""
    results = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            results.append(store(load, Path(folder)))
        if results[-1].stored != expected(load):
            raise SystemExit(f"{store.__name__}: stored {results[-1].stored}, expected {expected(load)}")
    cpu_s = statistics.median(result.cpu_s for result in results)
    return {
        "readings": results[0].readings,
        "runs": runs,
        "cpu_s": round(cpu_s, 3),
        "wall_s": round(statistics.median(result.wall_s for result in results), 3),
        "readings_per_cpu_s": round(results[0].readings / cpu_s),
        "octets_per_stored_reading": round(results[0].octets / results[0].stored[0], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--channels", type=int, default=2_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--deliveries", type=int, default=300)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    load = list(arrivals(options.channels, options.days))
    # Rows take about ten times as long each, so they get a tenth of the days: that favours them, their tree is smaller.
    fewer = load[: 3 * max(1, options.days // 10)]
    results = {"blocks": measure(as_blocks, load, options.runs), "rows": measure(as_rows, fewer, options.runs)}
    with tempfile.TemporaryDirectory() as folder:
        whole = as_deliveries(options.deliveries, Path(folder))
    times = results["blocks"]["readings_per_cpu_s"] / results["rows"]["readings_per_cpu_s"]
    hourly = results["blocks"]["readings_per_cpu_s"] * 3600
    if options.json:
        print(json.dumps({"benchmark": "blocks", **results, "deliveries": whole, "times_faster": round(times, 1)}))
        return
    print(f"{'into SQLite':<28}{'readings':>12}{'CPU s':>9}{'readings/CPU s':>17}{'octets each':>13}")
    for name, label in (("blocks", "channel-day blocks"), ("rows", "one row per reading")):
        r = results[name]
        print(
            f"{label:<28}{r['readings']:>12,}{r['cpu_s']:>9.2f}{r['readings_per_cpu_s']:>17,}"
            f"{r['octets_per_stored_reading']:>13.2f}"
        )
    print(
        f"{'whole deliveries with VEE':<28}{whole['readings']:>12,}{whole['cpu_s']:>9.2f}"
        f"{whole['readings_per_cpu_s']:>17,}   ({whole['cpu_ms_per_delivery']} ms each, {len(CHANNELS)} channel-days)"
    )
    print(f"blocks are {times:.1f} times as fast; one core stores {hourly / 1e9:.1f} billion readings an hour")


if __name__ == "__main__":
    main()
