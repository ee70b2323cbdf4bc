"""Files of the Low Carbon London trial (UK Power Networks, London Datastore, CC BY 4.0): half-hours in kWh.

As published (CSV): `LCLid, DateTime, KWH/hh (per half hour)`; as tidied by others (Parquet): `customer_id,
interval_label, kwh`. Labels are GMT all year round (48 a day on both days of clock change) and name the END of the
half-hour: where MAC000002 misses one day, it misses the labels 00:30 to 24:00 of it.
Energy becomes whole Wh: the trial's meters resolved 1 Wh, longer decimals are traces of floating point.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from amity.domain.readings import Int64Column, ReadingType
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s
from amity.kernel.units import Unit
from amity.storage.files.interval_rows import IntervalRows, Label, readings_file
from amity.usecases.import_readings import ReadingsFile, ReadingsFileError, RejectedRow

HALF_HOUR_WH = ReadingType(Obis.parse("1.0.1.29.0.255"), Unit.WATT_HOUR, 0, 1800)

_HEADING = ("LCLid", "DateTime", "KWH/hh (per half hour)")
_COLUMNS = ("customer_id", "interval_label", "kwh")
_NO_VALUE = ("", "Null")
_KWH_MAX = 10_000  # in half an hour: no customer of a town, and far from where float32 loses the Wh of a home
_WH_PER_KWH = 1000
_AGE_S = (946_684_800, 4_102_444_800)  # 2000 to 2099: a label outside is a slip
_DIGEST_CHARACTERS = 12
_CHUNK_OCTETS = 1 << 20


class _Row(NamedTuple):
    number: int
    meter_id: str
    label_s: int
    wh: int


def read_file(path: Path, label: Label = Label.END) -> ReadingsFile:
    """Read a CSV or, by its suffix, a Parquet file.

    Raise ReadingsFileError naming row and column of the first thing that is not as the format promises.
    """
    parse = _read_parquet if path.suffix == ".parquet" else _read_csv
    try:
        file = parse(path, f"file {path.name} sha256:{_digest(path)}", label)
    except OSError as error:
        raise ReadingsFileError(
            f"{path} cannot be read",
            tried="open it",
            answer=error.strerror or str(error),
            next_step="check its name and whether this user may read it",
        ) from error
    if not file.rows:
        raise ReadingsFileError(
            f"{path.name} has no rows",
            tried="find readings below its heading",
            answer="the heading alone" if path.stat().st_size else "an empty file",
            next_step="check that this is the file you meant and that it was written to its end",
        )
    return file


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_OCTETS):
            digest.update(chunk)
    return digest.hexdigest()[:_DIGEST_CHARACTERS]


# ------------------------------------------------------------------ CSV
def _read_csv(path: Path, source: str, label: Label) -> ReadingsFile:
    rejected: list[RejectedRow] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            rows = list(_csv_rows(csv.reader(file), rejected))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ReadingsFileError(
                f"{path.name} is not a CSV file in UTF-8",
                answer=str(error),
                next_step="export it again as comma-separated values",
            ) from error
    meter_ids, meters = np.unique([row.meter_id for row in rows], return_inverse=True)
    columns = IntervalRows(
        meter_ids.tolist(),
        meters.astype(np.int64),
        _column(row.label_s for row in rows),
        _column(row.wh for row in rows),
        _column(row.number for row in rows),
    )
    rows_read = len(rows) + len(rejected)
    return readings_file(source, columns, HALF_HOUR_WH, label, rows_read=rows_read, rejected=rejected)


def _csv_rows(reader: Iterable[list[str]], rejected: list[RejectedRow]) -> Iterator[_Row]:
    """The rows that carry a value; rows without one go to `rejected`."""
    for number, cells in enumerate(reader, start=1):
        stripped = tuple(cell.strip() for cell in cells)
        if number == 1:
            _expect_heading(stripped)
        elif len(stripped) != len(_HEADING):
            raise _at(number, None, f"it has {len(stripped)} cells, not {len(_HEADING)}")
        elif stripped[2] in _NO_VALUE:
            rejected.append(RejectedRow(number, f"no value at {stripped[1]}: {stripped[2]!r}"))
        else:
            yield _csv_row(number, *stripped)


def _expect_heading(cells: tuple[str, ...]) -> None:
    if cells != _HEADING:
        raise ReadingsFileError(
            "row 1 is not the heading of a Low Carbon London file",
            tried=f"find the columns {', '.join(_HEADING)}",
            answer=", ".join(cells) or "an empty row",
            next_step="check that this is the file you meant; other formats are not imported yet",
        )


def _csv_row(number: int, meter_id: str, label: str, kwh: str) -> _Row:
    if not meter_id:
        raise _at(number, _HEADING[0], "it is empty")
    try:
        instant = datetime.fromisoformat(label)
    except ValueError:
        raise _at(number, _HEADING[1], f"{label!r} is not a time like 2012-10-12 00:30:00") from None
    label_s = epoch_s(instant.replace(tzinfo=UTC))
    if not _AGE_S[0] <= label_s < _AGE_S[1]:
        raise _at(number, _HEADING[1], f"{label!r} is not of this century")
    try:
        energy = Decimal(kwh)
    except InvalidOperation:
        raise _at(number, _HEADING[2], f"{kwh!r} is not a number") from None
    if not energy.is_finite() or not 0 <= energy <= _KWH_MAX:
        raise _at(number, _HEADING[2], f"{kwh!r} is no energy of half an hour")
    return _Row(number, meter_id, label_s, round(energy * _WH_PER_KWH))


def _column(numbers: Iterable[int]) -> Int64Column:
    return np.fromiter(numbers, np.int64)


# ------------------------------------------------------------------ Parquet
def _read_parquet(path: Path, source: str, label: Label) -> ReadingsFile:
    try:
        table = pq.read_table(path, columns=list(_COLUMNS))
        ids, labels, kwh = (table.column(name).combine_chunks() for name in _COLUMNS)
        ids = ids if pa.types.is_dictionary(ids.type) else ids.dictionary_encode()
        labels_s = labels.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
        kwh = kwh.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise ReadingsFileError(
            f"{path.name} is not a Parquet file of half-hours",
            tried=f"read its columns {', '.join(_COLUMNS)}",
            answer=str(error).splitlines()[0],
            next_step="check that this is the file you meant; other formats are not imported yet",
        ) from error
    for name, column in zip(_COLUMNS, (ids, labels_s, kwh), strict=True):
        _expect_none(np.asarray(column.is_null()), name, lambda _row: "it is empty")
    seconds, energy = np.asarray(labels_s), np.asarray(kwh)
    in_age = (_AGE_S[0] <= seconds) & (seconds < _AGE_S[1])
    _expect_none(~in_age, "interval_label", lambda row: f"{labels[row]} is not of this century")
    _expect_none(
        ~((energy >= 0) & (energy <= _KWH_MAX)), "kwh", lambda row: f"{energy[row]} is no energy of half an hour"
    )
    columns = IntervalRows(
        ids.dictionary.cast(pa.string()).to_pylist(),
        np.asarray(ids.indices).astype(np.int64),
        seconds,
        np.rint(energy * _WH_PER_KWH).astype(np.int64),
        np.arange(1, len(energy) + 1),
    )
    return readings_file(source, columns, HALF_HOUR_WH, label, rows_read=len(energy))


def _expect_none(wrong: NDArray[np.bool_], column: str, reason: Callable[[int], str]) -> None:
    """Raise ReadingsFileError for the first row that is marked wrong."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        first = int(rows[0])
        raise _at(first + 1, column, reason(first))


def _at(row: int, column: str | None, reason: str) -> ReadingsFileError:
    place = f"row {row}, column {column}" if column else f"row {row}"
    return ReadingsFileError(
        f"{place}: {reason}",
        tried="read the file row by row",
        next_step="correct that row and import again; nothing of the file was imported",
    )
