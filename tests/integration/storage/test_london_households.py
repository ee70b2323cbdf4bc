"""Real households (Low Carbon London, CC BY 4.0) through store and VEE: what is known of them is found."""

from datetime import date
from pathlib import Path

import pytest

from amity.domain.blocks import Stage
from amity.domain.readings import Quality
from amity.kernel.time import SECONDS_PER_DAY, day_of, from_epoch_s, isoformat
from amity.storage.files.low_carbon_london import read_file
from amity.storage.it.database import ItDatabase
from amity.usecases.import_readings import Imported, import_readings
from tests.unit.storage.databases import FixedClock

DATA = Path(__file__).parents[3].parent / "shared" / "data"
HUNDRED_HOMES = DATA / "lcl_london_100hh_2013_30min.parquet"
ONE_HOME = DATA / "lcl_raw_MAC000002_london_datastore.csv"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared folder with the real households is not here")


def imported(path: Path, database: ItDatabase) -> Imported:
    return import_readings(read_file(path), database, FixedClock())


@pytest.mark.slow
def test_a_hundred_homes_of_2013(database: ItDatabase) -> None:
    report = imported(HUNDRED_HOMES, database)
    assert (report.rows, report.duplicates, report.rejected) == (1_674_718, 0, ())
    assert len(report.meters) == 100
    assert sum(meter.gaps for meter in report.meters) == 211
    assert sum(meter.missing for meter in report.meters) == 920
    assert [meter.meter_id for meter in report.meters if meter.vacant] == ["MAC000037"]
    assert [meter.meter_id for meter in report.meters if meter.ends_early] == [
        "MAC000008",
        "MAC000016",
        "MAC000028",
        "MAC000050",
        "MAC000063",
        "MAC000065",
        "MAC000071",
        "MAC000080",
        "MAC000095",
    ]
    channels = [meter.channel_id for meter in report.meters]
    raw = database.blocks.read(Stage.RAW, channels, 0, 2**31)
    final = database.blocks.read(Stage.FINAL, channels, 0, 2**31)
    assert sum(int((block.qualities != 0).sum()) for block in raw) == report.rows
    estimated = sum(int((block.qualities == 2).sum()) for block in final)
    assert estimated == sum(meter.interpolated for meter in report.meters) == 209
    # Labels are GMT: the days of clock change have 48 intervals like any other, and none of them is a gap.
    change_days = {day_of(date(2013, 3, 31)), day_of(date(2013, 10, 27))}
    unbroken = {meter.channel_id for meter in report.meters if not meter.missing and not meter.ends_early}
    on_change_days = [block for block in final if block.day in change_days and block.channel_id in unbroken]
    assert len(on_change_days) == 2 * len(unbroken) > 0
    assert all((block.qualities == Quality.MEASURED).all() for block in on_change_days)


def test_one_home_as_it_was_published(database: ItDatabase) -> None:
    report = imported(ONE_HOME, database)
    assert (report.rows, report.duplicates) == (24_158, 17)
    ((row, reason),) = report.rejected
    assert row == 3242
    assert "2012-12-19 12:37:27" in reason
    assert "Null" in reason
    (meter,) = report.meters
    assert (meter.meter_id, meter.readings) == ("MAC000002", 24_158 - 17 - 1)
    holes = [f for f in meter.findings if f.rule in {"linear-interpolation", "missing-intervals"}]
    assert [(isoformat(from_epoch_s(f.start_s)), (f.end_s - f.start_s) // 1800) for f in holes] == [
        ("2012-10-12T10:30:00Z", 1),
        ("2012-11-02T19:00:00Z", 1),
        ("2012-11-08T00:00:00Z", 48),
        ("2012-12-11T14:00:00Z", 1),
        ("2014-01-15T20:30:00Z", 1),
    ]
    assert (meter.gaps, meter.missing, meter.interpolated) == (5, 52, 4)
    assert holes[2].start_s % SECONDS_PER_DAY == 0
    final = database.blocks.read(Stage.FINAL, [meter.channel_id], 0, 2**31)
    assert sum(int((block.qualities == 2).sum()) for block in final) == 4


def test_the_same_file_again_changes_nothing(database: ItDatabase) -> None:
    first = imported(ONE_HOME, database)
    again = imported(ONE_HOME, database)
    assert first.meters[0].blocks_changed == 503  # 504 days, of which one is missing whole
    assert again.meters[0].blocks_changed == 0
    assert again.meters[0].gaps == 5
