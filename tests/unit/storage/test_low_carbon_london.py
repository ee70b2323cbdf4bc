from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from amity.kernel.time import from_epoch_s, isoformat
from amity.storage.files.interval_rows import Label
from amity.storage.files.low_carbon_london import HALF_HOUR_WH, read_file
from amity.usecases.import_readings import ReadingsFile, ReadingsFileError, RejectedRow

HEADING = "LCLid,DateTime,KWH/hh (per half hour)\n"


def csv(folder: Path, *rows: str, heading: str = HEADING) -> Path:
    path = folder / "homes.csv"
    path.write_text(heading + "".join(f"{row}\n" for row in rows))
    return path


def parquet(folder: Path, **columns: object) -> Path:
    usual = {
        "customer_id": pa.array(["A", "A", "B"]).dictionary_encode(),
        "interval_label": pa.array([1_357_000_200, 1_357_002_000, 1_357_000_200], pa.timestamp("s")),
        "kwh": pa.array([0.219, 0.241, 1.0], pa.float32()),
    }
    path = folder / "homes.parquet"
    pq.write_table(pa.table({**usual, **columns}), path)
    return path


def values(file: ReadingsFile) -> dict[str, dict[str, int]]:
    return {
        meter.meter_id: {
            isoformat(from_epoch_s(start)): int(value)
            for start, value in zip(meter.series.starts, meter.series.values, strict=True)
        }
        for meter in file.meters
    }


def test_a_row_is_an_interval_named_by_its_end_in_whole_watt_hours(tmp_path: Path) -> None:
    file = read_file(csv(tmp_path, "MAC1,2012-10-12 00:30:00.0000000, 0.219 ", "MAC1,2012-10-12 01:00:00, 0.2460001 "))
    assert values(file) == {"MAC1": {"2012-10-12T00:00:00Z": 219, "2012-10-12T00:30:00Z": 246}}
    assert file.meters[0].series.reading_type == HALF_HOUR_WH
    assert (file.meters[0].series.qualities == 1).all()
    assert file.source.startswith("file homes.csv sha256:")


def test_labels_may_name_the_start(tmp_path: Path) -> None:
    file = read_file(csv(tmp_path, "MAC1,2012-10-12 00:30:00,1"), Label.START)
    assert values(file) == {"MAC1": {"2012-10-12T00:30:00Z": 1000}}


def test_rows_of_many_meters_in_any_order(tmp_path: Path) -> None:
    rows = ("B,2012-10-12 01:00:00,2", "A,2012-10-12 01:00:00,4", "B,2012-10-12 00:30:00,1", "A,2012-10-12 00:30:00,3")
    file = read_file(csv(tmp_path, *rows))
    assert {meter: list(known.values()) for meter, known in values(file).items()} == {
        "A": [3000, 4000],
        "B": [1000, 2000],
    }


def test_the_same_row_again_is_counted_and_a_row_without_value_is_rejected(tmp_path: Path) -> None:
    row = "A,2012-10-12 00:30:00, 0.2 "
    file = read_file(csv(tmp_path, row, row, "A,2012-12-19 12:37:27.0000000,Null", row, "A,2012-10-12 00:45:00,1"))
    assert (file.rows, file.duplicates) == (5, 2)
    assert file.rejected == (
        RejectedRow(4, "no value at 2012-12-19 12:37:27.0000000: 'Null'"),
        RejectedRow(6, "2012-10-12T00:45:00Z is off the grid of 1800 s"),
    )
    assert len(file.meters[0].series.starts) == 1


@pytest.mark.parametrize(("content", "answer"), [("", "an empty file"), (HEADING, "the heading alone")])
def test_a_file_without_rows_is_not_what_was_meant(tmp_path: Path, content: str, answer: str) -> None:
    (tmp_path / "homes.csv").write_text(content)
    with pytest.raises(ReadingsFileError, match=r"homes\.csv has no rows") as raised:
        read_file(tmp_path / "homes.csv")
    assert raised.value.answer == answer


@pytest.mark.parametrize(
    ("row", "place", "reason"),
    [
        ("A,2012-10-12 00:30:00,zero", "row 3, column KWH/hh (per half hour)", "'zero' is not a number"),
        ("A,2012-10-12 00:30:00,NaN", "row 3, column KWH/hh (per half hour)", "no energy"),
        ("A,2012-10-12 00:30:00,-1", "row 3, column KWH/hh (per half hour)", "no energy"),
        ("A,2012-10-12 00:30:00,1e999999", "row 3, column KWH/hh (per half hour)", "no energy"),
        ("A,yesterday,1", "row 3, column DateTime", "not a time"),
        ("A,9999-99-99 00:00:00,1", "row 3, column DateTime", "not a time"),
        ("A,2112-10-12 00:30:00,1", "row 3, column DateTime", "not of this century"),
        ("A,0001-01-01 00:00:00,1", "row 3, column DateTime", "not of this century"),
        (",2012-10-12 00:30:00,1", "row 3, column LCLid", "empty"),
        ("A,2012-10-12 00:30:00", "row 3", "2 cells, not 3"),
        ("A,2012-10-12 00:30:00,1,2", "row 3", "4 cells, not 3"),
        ("", "row 3", "0 cells, not 3"),
    ],
)
def test_what_is_wrong_is_told_by_row_and_column(tmp_path: Path, row: str, place: str, reason: str) -> None:
    with pytest.raises(ReadingsFileError) as raised:
        read_file(csv(tmp_path, "A,2012-10-12 00:00:00,1", row))
    assert raised.value.what.startswith(f"{place}: ")
    assert reason in raised.value.what
    assert "nothing of the file was imported" in str(raised.value.next_step)


def test_two_rows_that_contradict_each_other_are_both_named(tmp_path: Path) -> None:
    rows = ("A,2012-10-12 00:30:00,1", "B,2012-10-12 00:30:00,2", "A,2012-10-12 00:30:00,3")
    with pytest.raises(ReadingsFileError, match="rows 2 and 4 contradict") as raised:
        read_file(csv(tmp_path, *rows))
    assert raised.value.answer == "one says 1000, the other 3000"


@pytest.mark.parametrize("heading", ["id,time,value\n", "", "\n"])
def test_another_table_is_not_taken_for_readings(tmp_path: Path, heading: str) -> None:
    with pytest.raises(ReadingsFileError, match="not the heading"):
        read_file(csv(tmp_path, "A,2012-10-12 00:30:00,1", heading=heading))


def test_octets_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "homes.csv").write_bytes(HEADING.encode() + b"\xff\xfe\x00")
    with pytest.raises(ReadingsFileError, match="not a CSV file in UTF-8"):
        read_file(tmp_path / "homes.csv")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ReadingsFileError, match="cannot be read") as raised:
        read_file(tmp_path / "nothing.csv")
    assert raised.value.answer == "No such file or directory"


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    file = read_file(parquet(tmp_path))
    assert values(file) == {
        "A": {"2013-01-01T00:00:00Z": 219, "2013-01-01T00:30:00Z": 241},
        "B": {"2013-01-01T00:00:00Z": 1000},
    }
    assert (file.rows, file.duplicates, file.rejected) == (3, 0, ())


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"kwh": pa.array([1.0, None, 2.0])}, "row 2, column kwh: it is empty"),
        ({"kwh": pa.array([1.0, 2.0, float("nan")])}, "row 3, column kwh: nan is no energy"),
        ({"kwh": pa.array([-1.0, 2.0, 2.0])}, "row 1, column kwh: -1.0 is no energy"),
        ({"customer_id": pa.array([None, "A", "A"])}, "row 1, column customer_id: it is empty"),
        ({"interval_label": pa.array([None, 1800, 3600], pa.timestamp("us"))}, "row 1, column interval_label"),
        ({"interval_label": pa.array([1_357_000_200, 0, 1], pa.timestamp("s"))}, "row 2, column interval_label: 1970"),
        ({"interval_label": pa.array(["a", "b", "c"])}, "not a Parquet file of half-hours"),
        ({"kwh": pa.array(["a", "b", "c"])}, "not a Parquet file of half-hours"),
        ({"kwh": pa.array([[1.0], [1.0], [1.0]])}, "not a Parquet file of half-hours"),
        ({"customer_id": pa.array([[1], [2], [3]])}, "not a Parquet file of half-hours"),
    ],
)
def test_wrong_cells_of_a_parquet_file(tmp_path: Path, columns: dict[str, object], complaint: str) -> None:
    with pytest.raises(ReadingsFileError, match=complaint.replace("(", r"\(")):
        read_file(parquet(tmp_path, **columns))


def test_parquet_without_the_columns_or_no_parquet_at_all(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(ReadingsFileError, match="not a Parquet file of half-hours"):
        read_file(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(ReadingsFileError, match="not a Parquet file of half-hours"):
        read_file(tmp_path / "text.parquet")
    (tmp_path / "empty.parquet").touch()
    with pytest.raises(ReadingsFileError, match="not a Parquet file of half-hours"):
        read_file(tmp_path / "empty.parquet")
