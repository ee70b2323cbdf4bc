"""Rows of every packaged model, decoded again, against the measuring element they came from."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from amity.devices.profiles import CLOCK_COLUMN, ClockEncoding, Deviation, fictional_keys
from amity.protocols.dlms.data import Data, Tag, decode_all
from amity.protocols.dlms.datetime import CosemDateTime
from amity.simulation.faults import CLOCK_JUMP_S, FaultKind
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.simulation.measuring import MeasuringElement
from amity.simulation.meter import SimulatedMeter
from amity.simulation.rows import LoadProfileRows

NOW = datetime(2026, 11, 20, 6, 7, 30, tzinfo=UTC)
YESTERDAY = datetime(2026, 11, 19, tzinfo=UTC)


def meter_of(profile: str, fault: FaultKind | None = None) -> SimulatedMeter:
    plain = FleetSettings(meters=5, seed=5, anchor=NOW)
    number = next(at for at, meter in enumerate(build_fleet(plain).meters) if meter.profile.key == profile)
    return build_fleet(replace(plain, fault_of={number: fault} if fault else {})).meters[number]


def rows_of(meter: SimulatedMeter) -> LoadProfileRows:
    return meter.rows


def always_on(_day: int) -> np.ndarray:
    return np.ones(96, bool)


def cells_of(row: bytes) -> tuple[Data, ...]:
    return decode_all(row).items


def stamp_of(meter: SimulatedMeter, row: bytes) -> datetime | None:
    cell = cells_of(row)[meter.profile.load_profile.columns.index(CLOCK_COLUMN)]
    if cell.tag is Tag.NULL:
        return None
    return CosemDateTime.from_octets(cell.value).to_utc(meter.profile.clock.default_deviation_min)


@pytest.mark.parametrize("profile", fictional_keys())
def test_a_day_of_rows_is_complete_typed_and_in_order(profile: str):
    meter = meter_of(profile)
    rules = meter.profile.load_profile
    shift = timedelta(minutes=15 if rules.stamp == "end" else 0)
    rows = rows_of(meter).between(YESTERDAY + shift, YESTERDAY + timedelta(days=1, minutes=-15) + shift, NOW)
    assert len(rows) == 96
    assert stamp_of(meter, rows[0]) == YESTERDAY + shift
    if not rules.null_timestamps:
        assert [stamp_of(meter, row) for row in rows] == [
            YESTERDAY + shift + slot * timedelta(minutes=15) for slot in range(96)
        ]
    for name, position in ((name, at) for at, name in enumerate(rules.columns) if name != CLOCK_COLUMN):
        measured = meter.profile.object_named(name)
        cells = [cells_of(row)[position] for row in rows]
        assert {cell.tag for cell in cells} == {measured.tag}
        column = meter.element.column(measured, int(YESTERDAY.timestamp()) // 86_400)
        assert [cell.value for cell in cells] == column.tolist()


@pytest.mark.parametrize("profile", fictional_keys())
def test_the_clock_is_written_as_the_profile_says(profile: str):
    meter = meter_of(profile)
    row = rows_of(meter).between(YESTERDAY, YESTERDAY, NOW)[0]
    cell = cells_of(row)[meter.profile.load_profile.columns.index(CLOCK_COLUMN)]
    by_date_time = meter.profile.clock.encoding is ClockEncoding.DATE_TIME
    assert cell.tag is (Tag.DATE_TIME if by_date_time else Tag.OCTET_STRING)
    written = CosemDateTime.from_octets(cell.value)
    unspecified = meter.profile.clock.deviation is Deviation.UNSPECIFIED
    assert written.deviation_min == (None if unspecified else -60)
    assert (written.hour, written.weekday) == (1, 4)  # 01:00 local standard time, a Thursday


def test_an_interval_that_runs_has_no_row_yet():
    meter = meter_of("norrvik_n1")
    rows = rows_of(meter)
    assert stamp_of(meter, rows.between(None, None, NOW)[-1]) == NOW.replace(minute=0, second=0)
    quarter_past = NOW.replace(minute=15, second=0)
    assert rows.between(NOW, None, quarter_past - timedelta(seconds=1)) == []
    assert [stamp_of(meter, row) for row in rows.between(NOW, None, quarter_past)] == [quarter_past]


def test_null_timestamps_start_again_at_the_first_row_and_behind_a_gap():
    meter = meter_of("tarn_t4", FaultKind.GAP)
    day = int(YESTERDAY.timestamp()) // 86_400
    missing = np.flatnonzero(~meter.element.faults.captured(day))
    rows = rows_of(meter).between(YESTERDAY, YESTERDAY + timedelta(days=1, minutes=-15), NOW)
    assert len(rows) == 96 - len(missing)
    stamped = [at for at, row in enumerate(rows) if stamp_of(meter, row) is not None]
    assert stamped == [0, int(missing[0])]
    behind = YESTERDAY + timedelta(minutes=15 * (int(missing[-1]) + 1))
    assert stamp_of(meter, rows[stamped[1]]) == behind


def test_null_timestamps_run_on_over_midnight():
    meter = meter_of("tarn_t4")
    rows = rows_of(meter).between(YESTERDAY - timedelta(hours=1), YESTERDAY + timedelta(hours=1), NOW)
    assert len(rows) == 9
    assert [stamp_of(meter, row) is None for row in rows] == [False] + [True] * 8


def test_by_entry_and_by_range_give_the_same_rows():
    rows = rows_of(meter_of("quillon_q5"))
    count = rows.count(NOW)
    everything = rows.between(None, None, NOW)
    assert len(everything) == count
    assert rows.entries(1, count, NOW) == everything
    assert rows.entries(count - 99, count, NOW) == everything[-100:]
    assert rows.entries(5, 4, NOW) == []
    assert rows.entries(count + 1, count + 9, NOW) == []


def test_the_ring_keeps_its_capacity_and_forgets_the_oldest():
    meter = meter_of("norrvik_n1")
    small = replace(meter.profile, load_profile=replace(meter.profile.load_profile, entries_max=100))
    rows = LoadProfileRows(MeasuringElement(meter.element.ledger, small, meter.element.faults), always_on)
    assert rows.count(NOW) == 100
    kept = rows.between(None, None, NOW)
    assert kept == rows_of(meter).between(None, None, NOW)[-100:]
    assert rows.entries(1, 100, NOW) == kept


def test_a_spike_stands_in_the_profile_and_not_in_the_register():
    meter = meter_of("bergholm_b20", FaultKind.SPIKE)
    measured = meter.profile.object_named("import_interval")
    day = int(YESTERDAY.timestamp()) // 86_400
    shown_wh = int(meter.element.column(measured, day).sum()) * 10
    total = meter.profile.object_named("import_total")
    counted_wh = 10 * (
        meter.element.total(0, total.scaler, (day + 1) * 86_400) - meter.element.total(0, total.scaler, day * 86_400)
    )
    assert shown_wh - counted_wh == 41_000


def test_a_jumped_clock_stamps_rows_ahead_and_says_so():
    meter = meter_of("norrvik_n1", FaultKind.CLOCK_JUMP)
    day = int(YESTERDAY.timestamp()) // 86_400
    jumped = np.flatnonzero(meter.element.faults.jumped(day))
    first_end = YESTERDAY + timedelta(minutes=15 * (int(jumped[0]) + 1))
    rows = rows_of(meter).between(YESTERDAY + timedelta(minutes=15), YESTERDAY + timedelta(days=1), NOW)
    assert len(rows) == 96
    stamps = [stamp_of(meter, row) for row in rows]
    ahead = stamps[int(jumped[0])]
    assert ahead == first_end + timedelta(seconds=CLOCK_JUMP_S)
    assert len(set(stamps)) < 96  # after being set back the clock names some times again
    status = [cells_of(row)[1].value for row in rows]
    bits = meter.profile.load_profile.status_bits
    assert status[int(jumped[0])] == (1 << bits.clock_invalid) | (1 << bits.clock_adjusted)
    assert status[int(jumped[-1]) + 1] == 1 << bits.clock_adjusted
    assert status[0] == 0
