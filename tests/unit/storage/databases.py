"""Every database that the storage tests run on, and small makers of what they store."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from amity.domain.blocks import Block
from amity.domain.collection import Delivery, Outcome
from amity.domain.readings import IntervalSeries, Quality, ReadingType, RegisterReading
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY, from_epoch_s
from amity.kernel.units import Unit
from amity.storage.it.database import ItDatabase, open_database

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = 20_000
IMPORT = ReadingType(Obis.parse("1.0.1.29.0.255"), Unit.WATT_HOUR, 0, 900)
IMPORT_REGISTER = ReadingType(Obis.parse("1.0.1.8.0.255"), Unit.WATT_HOUR)


@cache
def _migrated() -> bytes:
    """The file of an empty database: its migrations are run once, not for each test."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "it.sqlite"
        open_database(path).close()
        return path.read_bytes()


def empty_database(folder: Path) -> ItDatabase:
    """The one in that folder; a new one where there is none."""
    folder.mkdir(exist_ok=True)
    path = folder / "it.sqlite"
    if not path.exists():
        path.write_bytes(_migrated())
    return open_database(path)


def _sqlite(folder: Path) -> ItDatabase:
    return empty_database(folder / "it")


def _postgresql(_folder: Path) -> ItDatabase:
    pytest.skip("the store does not run on PostgreSQL yet")


DATABASES: dict[str, Callable[[Path], ItDatabase]] = {"sqlite": _sqlite, "postgresql": _postgresql}


class FixedClock:
    def __init__(self, instant: datetime = NOON) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant


def block(channel_id: int, known: dict[int, int], *, day: int = DAY, interval_s: int = 900) -> Block:
    """A block that knows these slots, measured."""
    slots = SECONDS_PER_DAY // interval_s
    values, qualities = np.zeros(slots, np.int64), np.zeros(slots, np.uint8)
    for slot, value in known.items():
        values[slot], qualities[slot] = value, Quality.MEASURED
    return Block(channel_id, day, interval_s, values, qualities)


def known(stored: Block) -> dict[int, int]:
    """The slots of a block that have a value."""
    return {int(slot): int(stored.values[slot]) for slot in np.flatnonzero(stored.qualities)}


def series(
    first_slot: int, values: Sequence[int], *, day: int = DAY, reading_type: ReadingType = IMPORT
) -> IntervalSeries:
    """Measured intervals in a row; negative values stand for intervals that are left out."""
    slots = np.array([slot for slot, value in enumerate(values, start=first_slot) if value >= 0], np.int64)
    starts = day * SECONDS_PER_DAY + slots * reading_type.interval_s
    kept = np.array([value for value in values if value >= 0], np.int64)
    return IntervalSeries(reading_type, starts, kept, np.full(len(kept), Quality.MEASURED, np.uint8))


def register(value: int, at_s: int, reading_type: ReadingType = IMPORT_REGISTER) -> RegisterReading:
    return RegisterReading(reading_type, value, from_epoch_s(at_s))


def delivery(message_id: str, *intervals: IntervalSeries, meter_id: str = "M1", **fields: object) -> Delivery:
    """A complete session, unless `fields` say otherwise."""
    defaults = {"collected_at": NOON, "outcome": Outcome.COMPLETE, "session_id": f"session of {message_id}"}
    return Delivery(message_id=message_id, meter_id=meter_id, intervals=intervals, **{**defaults, **fields})
