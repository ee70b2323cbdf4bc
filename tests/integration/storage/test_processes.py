"""Several processes on one database file, and one that is killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from amity.domain.blocks import Stage
from amity.domain.events import event_id
from amity.storage.it.database import open_database
from tests.integration.storage.writers import CHANNELS, SLOTS, pieces, true_events, value_of
from tests.unit.storage.databases import DAY, IMPORT, known

ROOT = Path(__file__).parents[3]
WRITERS = 4

pytestmark = pytest.mark.slow


def start(job: str, database: Path, seed: int = 0, **named: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "tests.integration.storage.writers", job, str(database), str(seed)]
    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **named)  # noqa: S603 - our own module


def test_four_processes_merging_overlapping_parts_of_days_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    path = tmp_path / "it.sqlite"
    open_database(path).close()
    processes = [start("merge", path, seed) for seed in range(WRITERS)]
    assert [process.wait(timeout=60) for process in processes] == [0] * WRITERS

    expected: dict[tuple[str, int], dict[int, int]] = {}
    for seed in range(WRITERS):
        for channel, day, slots in pieces(seed):
            expected.setdefault((f"M{channel}", DAY + day), {}).update(slots)
    database = open_database(path)
    meters = {channel.channel_id: channel.meter_id for channel in database.blocks.channels()}
    assert len(meters) == CHANNELS  # found or created once, whoever was first
    stored = database.blocks.read(Stage.RAW, list(meters), 0, 2**31)
    assert {(meters[block.channel_id], block.day): known(block) for block in stored} == expected
    assert all(
        slots[slot] == value_of(int(m[1:]), d - DAY, slot) for (m, d), slots in expected.items() for slot in slots
    )
    for block in stored:
        versions = database.blocks.revisions(Stage.RAW, block.channel_id, block.day)
        assert [version.revision for version in versions] == list(range(1, block.revision + 1))
        sizes = [len(known(version)) for version in versions]
        assert sizes == sorted(set(sizes))  # each version knows more than the one before: no writer undid another
    database.close()


def test_what_was_acknowledged_before_kill_minus_nine_is_there(tmp_path: Path) -> None:
    path = tmp_path / "it.sqlite"
    for _ in range(3):
        process = start("forever", path, stdout=subprocess.PIPE)
        assert process.stdout is not None
        acknowledged = 0
        while acknowledged < 40:
            acknowledged = int(process.stdout.readline())
        process.kill()
        rest = process.stdout.read().split()
        process.wait(timeout=10)
        process.stdout.close()
        acknowledged = int(rest[-1]) if rest else acknowledged

        database = open_database(path)
        (channel,) = database.blocks.channels("M1")
        assert channel.interval_s == IMPORT.interval_s
        stored = {block.day: known(block) for block in database.blocks.read(Stage.RAW, [channel.channel_id], 0, 2**31)}
        assert set(stored) >= set(range(1, acknowledged + 1))
        assert all(slots == {slot: day + slot for slot in range(SLOTS)} for day, slots in stored.items())
        database.close()


def test_events_told_often_in_any_order_are_one_each_though_the_taker_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "it.sqlite"
    for life, acknowledged in enumerate((1, 40, 150, 260)):
        process = start("take-in", path, life, stdout=subprocess.PIPE)
        assert process.stdout is not None
        while int(process.stdout.readline()) < acknowledged:
            pass
        process.kill()
        process.stdout.close()
        process.wait(timeout=10)
    assert start("take-in", path, 9, stdout=subprocess.DEVNULL).wait(timeout=60) == 0
    database = open_database(path)
    for meter in range(CHANNELS):
        stored = [one.event for one in database.deliveries.events(f"M{meter}", limit=1000)]
        ids = sorted(event_id(f"M{meter}", one) for one in stored)
        assert ids == sorted(event_id(f"M{meter}", one) for one in true_events(meter))
    database.close()


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    path = tmp_path / "it.sqlite"
    processes = [start("open", path) for _ in range(WRITERS)]
    assert [process.wait(timeout=60) for process in processes] == [0] * WRITERS
    database = open_database(path)
    assert database.registry.town() is None
    database.close()
