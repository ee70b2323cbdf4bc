from dataclasses import replace

import numpy as np
import pytest

from amity.domain.readings import IntervalSeries, Quality, ReadingType
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY
from amity.kernel.units import Unit
from amity.mdm.intervals import day_blocks

IMPORT = ReadingType(Obis.parse("1.0.1.29.0.255"), Unit.WATT_HOUR, 0, 900)


def series(starts: list[int], **changes: object) -> IntervalSeries:
    columns = {"values": np.arange(len(starts)) + 1, "qualities": np.full(len(starts), Quality.MEASURED, np.uint8)}
    return replace(IntervalSeries(IMPORT, np.array(starts, np.int64), **columns), **changes)


def test_a_series_across_midnight_becomes_two_days() -> None:
    first, second = day_blocks(series([2 * SECONDS_PER_DAY - 900, 2 * SECONDS_PER_DAY, 2 * SECONDS_PER_DAY + 1800]), 7)
    assert (first.channel_id, first.day, second.day) == (7, 1, 2)
    assert np.flatnonzero(first.qualities).tolist() == [95]
    assert np.flatnonzero(second.qualities).tolist() == [0, 2]
    assert (first.values[95], second.values[0], second.values[2]) == (1, 2, 3)


def test_a_series_without_intervals_has_no_days() -> None:
    assert day_blocks(series([])) == []


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (series([0, 901]), "off the grid of 900 s"),
        (series([900, 0]), "not in order"),
        (series([900, 900]), "comes twice"),
        (series([-900, 0]), "before 1970"),
        (series([2**33 * 900]), "after 2106"),
        (series([0], values=np.arange(2)), "differ in length"),
        (series([0], qualities=np.zeros(1, np.uint8)), "without quality"),
        (series([0], reading_type=replace(IMPORT, interval_s=0)), "0 s does not divide a day"),
        (series([0], reading_type=replace(IMPORT, interval_s=-900)), "-900 s does not divide a day"),
        (series([0], reading_type=replace(IMPORT, interval_s=700)), "700 s does not divide a day"),
        (series([0], reading_type=replace(IMPORT, exponent=400)), r"10\^400"),
    ],
)
def test_what_no_meter_can_mean_is_refused_with_the_reason(broken: IntervalSeries, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason) as raised:
        day_blocks(broken)
    assert "1.0.1.29.0.255" in raised.value.what
