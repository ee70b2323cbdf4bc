"""How complete the readings of meters are over a span: measured intervals against those that should exist."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from amity.domain.blocks import Stage
from amity.domain.readings import Quality
from amity.domain.spans import EpochSpan
from amity.kernel.obis import Obis
from amity.usecases.grid import read_grid
from amity.usecases.ports import Database


@dataclass(frozen=True, slots=True)
class Completeness:
    """Intervals of one meter's channel: `measured` of `expected`."""

    measured: int
    expected: int

    @property
    def whole(self) -> bool:
        """True when nothing is missing."""
        return self.measured >= self.expected


def completeness_of(
    database: Database, meter_ids: Iterable[str], obis: Obis, span: EpochSpan
) -> dict[str, Completeness]:
    """Of each meter, what it measured itself (estimates do not count); a meter without the channel has 0."""
    channels = [channel for channel in database.blocks.channels() if channel.obis == obis]
    grid = read_grid(database.blocks, Stage.RAW, channels, span)
    counts = np.count_nonzero(grid.qualities & Quality.MEASURED, axis=1)
    measured = {channel.meter_id: int(count) for channel, count in zip(channels, counts, strict=True)}
    return {meter_id: Completeness(measured.get(meter_id, 0), grid.slots) for meter_id in meter_ids}
