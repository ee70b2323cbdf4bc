from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.domain.blocks import Block, Channel, Stage
from amity.domain.readings import Quality, ReadingType
from amity.domain.spans import EpochSpan
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s, time_zone
from amity.kernel.units import Unit
from amity.usecases.calendar import local_day
from amity.usecases.grid import Grid, read_grid
from amity.usecases.load import completeness, day_load, gaps, known_since_s, known_until_s, late_meters
from tests.unit.usecases.memory_database import MemoryBlocks

DAY = 20_000
START = DAY * 86_400
AT = datetime(2026, 1, 1, tzinfo=UTC)
M, LIN, Q = int(Quality.MEASURED), int(Quality.LINEAR), int(Quality.QUESTIONABLE)


def grid_of(qualities: Any, values: Any = None) -> Grid:
    rows = np.array(qualities, np.uint8)
    numbers = np.array(values, np.int64) if values is not None else np.ones(rows.shape, np.int64)
    blocks = MemoryBlocks()
    kind = ReadingType(Obis.parse("1.0.1.29.0.255"), Unit.WATT_HOUR, 0, 900)
    channels = tuple(blocks.channel(f"M{i}", kind) for i in range(len(rows)))
    return Grid(channels, START, 900, numbers, rows)


def stored(interval_s: int, values: list[int], qualities: list[int] | None = None):
    blocks = MemoryBlocks()
    channel = blocks.channel("M", ReadingType(Obis.parse("1.0.1.29.0.255"), Unit.WATT_HOUR, 0, interval_s))
    slots = 86_400 // interval_s
    dense, known = np.zeros(slots, np.int64), np.zeros(slots, np.uint8)
    dense[: len(values)] = values
    known[: len(values)] = qualities or [M] * len(values)
    blocks.merge(Stage.FINAL, [Block(channel.channel_id, DAY, interval_s, dense, known)], source="x", recorded_at=AT)
    return blocks, [channel]


def read(blocks: MemoryBlocks, channels: Sequence[Channel], first: int = 0, slots: int = 96) -> Grid:
    return read_grid(blocks, Stage.FINAL, channels, EpochSpan(START + first * 900, START + (first + slots) * 900))


def test_a_span_that_cuts_days_in_the_middle_is_read_slot_by_slot():
    blocks, channels = stored(900, list(range(96)))
    assert read(blocks, channels, 10, 5).values.tolist() == [[10, 11, 12, 13, 14]]
    assert read(blocks, channels, -3, 5).values.tolist() == [[0, 0, 0, 0, 1]]
    assert read(blocks, channels, 94, 4).qualities.tolist() == [[M, M, 0, 0]]
    assert not read(blocks, channels, -200, 5).qualities.any()


def test_finer_intervals_are_summed_and_an_incomplete_sum_is_no_value():
    blocks, channels = stored(300, [1, 2, 3, 4, 5], [M, M, LIN, M, M])
    grid = read(blocks, channels, 0, 2)
    assert grid.values[0, 0] == 6
    assert grid.qualities.tolist() == [[M | LIN, 0]]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=24))
def test_coarser_intervals_are_spread_without_losing_a_watt_hour(values: Any):
    blocks, channels = stored(3600, values)
    grid = read(blocks, channels)
    assert grid.values.sum() == sum(values)
    assert set(grid.qualities[0, : 4 * len(values)]) == {M | int(Quality.DERIVED)}


@pytest.mark.parametrize(("exponent", "value", "watt_hours"), [(-1, 1234, 123), (0, 1234, 1234), (1, 1234, 12_340)])
def test_channels_of_any_resolution_are_added_in_watt_hours(exponent: int, value: int, watt_hours: int):
    blocks, channels = stored(900, [value])
    assert read(blocks, [replace(channels[0], exponent=exponent)]).values[0, 0] == watt_hours


def test_a_part_before_the_grid_is_refused():
    with pytest.raises(ValueError, match="before the grid"):
        grid_of([[M] * 4]).part(EpochSpan(START - 900, START))


def test_the_load_counts_known_values_and_leaves_out_questionable_ones():
    imported = grid_of([[M, M, 0], [M, M | Q, M]], [[100, 200, 7], [10, 90_000, 30]])
    exported = grid_of([[M, M, M]], [[1, 2, 3]])
    load = day_load(date(2026, 1, 1), imported, exported)
    assert load.import_wh.tolist() == [110, 200, 30]
    assert load.meters.tolist() == [2, 1, 1]
    assert load.left_out == 1
    assert load.import_kw == [0.44, 0.8, 0.12]
    assert load.export_kw == [0.004, 0.008, 0.012]
    assert load.imported_kwh == 0.34


def test_power_is_nothing_where_no_meter_has_a_value():
    load = day_load(date(2026, 1, 1), grid_of([[0, M]]), grid_of(np.zeros((0, 2), np.uint8)))
    assert load.import_kw == [None, 0.004]


def test_completeness_splits_what_is_expected():
    day = completeness(date(2026, 1, 1), grid_of([[M, LIN, 0, 0], [M, M, M, M]]), meters=3, due_s=START + 3 * 900)
    assert (day.expected, day.measured, day.estimated, day.missing) == (9, 4, 1, 4)
    assert day.measured_percent == pytest.approx(400 / 9)


def test_gaps_are_runs_of_missing_values_also_at_both_ends():
    found = gaps(grid_of([[0, M, 0, 0, M, 0], [M] * 6]), due_s=START + 6 * 900)
    assert [((gap.start_s - START) // 900, (gap.end_s - START) // 900) for gap in found] == [(0, 1), (2, 4), (5, 6)]
    assert {gap.meter_id for gap in found} == {"M0"}
    assert [gap.seconds for gap in gaps(grid_of([[M, 0, 0]]), due_s=START + 2 * 900)] == [900]


@given(st.lists(st.lists(st.sampled_from([0, M, LIN]), min_size=12, max_size=12), min_size=1, max_size=4))
def test_gaps_and_known_values_make_up_the_whole_grid(rows: list[list[int]]):
    grid = grid_of(rows)
    assert (
        sum(gap.seconds for gap in gaps(grid, START + 12 * 900)) // 900 + np.count_nonzero(grid.qualities)
        == grid.qualities.size
    )


def test_data_are_known_until_half_of_the_meters_have_them_and_never_from_the_future():
    grid = grid_of([[M, M, M, 0], [M, M, 0, 0], [0, 0, 0, 0]])
    assert known_until_s(grid, START + 10_000) == START + 3 * 900
    assert known_until_s(grid, START + 900) == START + 900
    assert known_until_s(grid_of([[0, 0]]), START + 10_000) == 0
    assert known_since_s(grid_of([[0, M]])) == START + 900
    assert known_since_s(grid_of([[0, 0]])) is None


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 1, 1), 24)])
def test_a_local_day_has_the_hours_that_the_clock_change_leaves(day: date, hours: int):
    span = local_day(day, time_zone("Europe/Vienna"))
    assert span.end_s - span.start_s == hours * 3600
    assert span.start_s == epoch_s(datetime(day.year, day.month, day.day, tzinfo=time_zone("Europe/Vienna")))


@pytest.mark.parametrize("name", ["Europe/Nowhere", "", "../etc/passwd"])
def test_a_time_zone_that_is_none_is_a_configuration_error(name: str):
    with pytest.raises(ConfigurationError, match="time zone"):
        time_zone(name)


def test_midnight_of_the_next_day_is_not_24_hours_later_on_a_long_day():
    first, second = (local_day(date(2026, 10, 25) + timedelta(days=i), time_zone("Europe/Vienna")) for i in (0, 1))
    assert first.end_s == second.start_s


def test_an_hourly_channel_is_due_by_whole_hours():
    grid = grid_of([[M, M, M, M, 0, 0, 0, 0], [M, M, M, M, M, M, 0, 0]])
    hourly = replace(grid, channels=(replace(grid.channels[0], interval_s=3600), grid.channels[1]))
    assert late_meters(grid, START + 6 * 900) == ("M0",)
    assert late_meters(hourly, START + 6 * 900) == ()
    assert late_meters(hourly, START + 8 * 900) == ("M0", "M1")
    assert gaps(hourly, START + 6 * 900) == []
    day = completeness(date(2026, 1, 1), hourly, meters=2, due_s=START + 6 * 900)
    assert (day.expected, day.measured) == (10, 10)


def test_nothing_is_late_before_anything_is_due():
    assert late_meters(grid_of([[0, 0]]), START) == ()
