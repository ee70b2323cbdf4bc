"""Many channels over one span as dense columns: what town load, completeness and gaps are computed from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amity.domain.blocks import Block, Channel, Stage
from amity.domain.readings import Int64Column, Quality, QualityColumn
from amity.domain.spans import EpochSpan
from amity.kernel.time import utc_day
from amity.usecases.ports import BlockStore

INTERVAL_S = 900  # the town is looked at in quarter hours


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """values: int64[channels, slots] in whole units (Wh), qualities: uint8[channels, slots] (EMPTY: nothing known).

    Slot i covers [start_s + i x interval_s, start_s + (i + 1) x interval_s); row k belongs to `channels[k]`.
    """

    channels: tuple[Channel, ...]
    start_s: int
    interval_s: int
    values: Int64Column
    qualities: QualityColumn

    @property
    def slots(self) -> int:
        """Intervals in the span."""
        return int(self.values.shape[1])

    def due(self, until_s: int) -> NDArray[np.bool_]:
        """bool[channels, slots]: which slots lie in intervals of their channel that are over by `until_s`."""
        steps = np.array([max(channel.interval_s, self.interval_s) for channel in self.channels], np.int64)
        starts = self.start_s + np.arange(self.slots, dtype=np.int64) * self.interval_s
        due: NDArray[np.bool_] = starts < (until_s // steps * steps)[:, np.newaxis]
        return due

    def part(self, span: EpochSpan) -> "Grid":
        """The slots that lie in `span`; raise ValueError when it starts before this grid."""
        first = (span.start_s - self.start_s) // self.interval_s
        if first < 0:
            raise ValueError(f"the span starts {-first} intervals before the grid")
        last = (span.end_s - self.start_s) // self.interval_s
        start_s = self.start_s + first * self.interval_s
        return Grid(self.channels, start_s, self.interval_s, self.values[:, first:last], self.qualities[:, first:last])


def read_grid(
    blocks: BlockStore, stage: Stage, channels: Sequence[Channel], span: EpochSpan, interval_s: int = INTERVAL_S
) -> Grid:
    """Read the channels over `span`, whose ends lie on the grid of `interval_s` (which divides a day).

    Finer channels are summed; coarser ones are spread evenly and marked DERIVED. Channels that resolve finer than
    the unit are rounded to it, interval by interval.
    """
    slots = (span.end_s - span.start_s) // interval_s
    values = np.zeros((len(channels), slots), np.int64)
    qualities = np.zeros((len(channels), slots), np.uint8)
    row_of = {channel.channel_id: row for row, channel in enumerate(channels)}
    grid = Grid(tuple(channels), span.start_s, interval_s, values, qualities)
    for block in blocks.read(stage, list(row_of), utc_day(span.start_s), utc_day(span.end_s - 1)):
        _lay(block, row_of[block.channel_id], grid)
    return grid


def _lay(block: Block, row: int, grid: Grid) -> None:
    values, qualities = _resampled(block, grid.interval_s)
    offset = (block.first_start_s - grid.start_s) // grid.interval_s
    source = slice(max(0, -offset), max(0, min(len(values), grid.slots - offset)))
    target = slice(max(0, offset), max(0, offset + source.stop))
    grid.values[row, target] = _in_units(values[source], grid.channels[row].exponent)
    grid.qualities[row, target] = qualities[source]


def _in_units(values: Int64Column, exponent: int) -> Int64Column:
    scaled: Int64Column = np.rint(values / 10**-exponent).astype(np.int64) if exponent < 0 else values * 10**exponent
    return scaled


def _resampled(block: Block, interval_s: int) -> tuple[Int64Column, QualityColumn]:
    if block.interval_s == interval_s:
        return block.values, block.qualities
    if block.interval_s < interval_s:
        return _summed(block, interval_s // block.interval_s)
    return _spread(block, block.interval_s // interval_s)


def _summed(block: Block, times: int) -> tuple[Int64Column, QualityColumn]:
    qualities = block.qualities.reshape(-1, times)
    complete = (qualities != Quality.EMPTY).all(axis=1)
    joined = np.bitwise_or.reduce(qualities, axis=1)
    return block.values.reshape(-1, times).sum(axis=1), np.where(complete, joined, 0).astype(np.uint8)


def _spread(block: Block, times: int) -> tuple[Int64Column, QualityColumn]:
    share, rest = np.divmod(block.values, times)
    values = np.repeat(share, times)
    values[::times] += rest  # the sum stays what was measured
    known = np.repeat(block.qualities, times)
    return values, np.where(known, known | Quality.DERIVED, 0).astype(np.uint8)
