"""The unit of storage: one channel's values of one UTC day, and how two of them merge per interval."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import numpy as np

from amity.domain.readings import Int64Column, QualityColumn
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY


class Stage(StrEnum):
    """`raw` is what meters sent, merged, kept for ever; `final` is what VEE and people made of it."""

    RAW = "raw"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Channel:
    """One measured quantity of one meter on a fixed grid; `channel_id` is the store's number for it."""

    channel_id: int
    meter_id: str
    obis: Obis
    unit: int
    exponent: int
    interval_s: int

    def quantity(self, value: int) -> Decimal:
        """A value of this channel in the unit itself, exact."""
        return Decimal(value).scaleb(self.exponent)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A channel-day: dense int64[slots] values and uint8[slots] qualities, EMPTY (0) where nothing is known.

    `day` counts UTC days since 1970-01-01, slot i covers [i, i+1) x interval_s of it.
    `revision` is 0 for a block that is not stored yet. `source` names the delivery, VEE run or person of this revision.
    """

    channel_id: int
    day: int
    interval_s: int
    values: Int64Column
    qualities: QualityColumn
    revision: int = 0
    source: str = ""
    recorded_at: datetime | None = None

    @property
    def slots(self) -> int:
        """Intervals in the day."""
        return len(self.values)

    @property
    def first_start_s(self) -> int:
        """Epoch second at which slot 0 starts."""
        return self.day * SECONDS_PER_DAY


def empty_block(channel_id: int, day: int, interval_s: int) -> Block:
    """A block in which nothing is known yet; raise ValueError unless the interval divides the day."""
    if interval_s <= 0 or SECONDS_PER_DAY % interval_s:
        raise ValueError(f"an interval of {interval_s} s does not divide a day")
    slots = SECONDS_PER_DAY // interval_s
    return Block(channel_id, day, interval_s, np.zeros(slots, np.int64), np.zeros(slots, np.uint8))


def merge(stored: Block, newer: Block) -> tuple[Int64Column, QualityColumn]:
    """Per interval the newer value wins where it has one; what only the stored block knows stays."""
    known = newer.qualities != 0
    return np.where(known, newer.values, stored.values), np.where(known, newer.qualities, stored.qualities)
