"""Rows of (meter, interval label, energy) from any file, made into series: the rules all formats share."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from amity.domain.readings import Int64Column, IntervalSeries, Quality, ReadingType
from amity.kernel.time import from_epoch_s, isoformat
from amity.usecases.import_readings import MeterSeries, ReadingsFile, ReadingsFileError, RejectedRow


class Label(StrEnum):
    """What the time in a row names: the start or the end of its interval. We name intervals by their start."""

    START = "start"
    END = "end"


@dataclass(frozen=True, slots=True, eq=False)
class IntervalRows:
    """Columns of one file: `meters[k]` is the position in `meter_ids` of row k, which stands at `numbers[k]` of it.

    meters, labels_s (epoch seconds UTC), values, numbers: int64[rows].
    """

    meter_ids: Sequence[str]
    meters: Int64Column
    labels_s: Int64Column
    values: Int64Column
    numbers: Int64Column


def readings_file(
    source: str,
    rows: IntervalRows,
    reading_type: ReadingType,
    label: Label,
    *,
    rows_read: int,
    rejected: Sequence[RejectedRow] = (),
) -> ReadingsFile:
    """Sort by meter and time, drop rows that say the same again, keep out rows off the grid.

    Raise ReadingsFileError when two rows give different values to the same interval.
    """
    interval_s = reading_type.interval_s
    on_grid = rows.labels_s % interval_s == 0
    off_grid = [
        RejectedRow(int(number), f"{isoformat(from_epoch_s(label_s))} is off the grid of {interval_s} s")
        for number, label_s in zip(rows.numbers[~on_grid], rows.labels_s[~on_grid], strict=True)
    ]
    kept = _picked(rows, np.flatnonzero(on_grid))
    ordered = _picked(kept, np.lexsort((kept.numbers, kept.labels_s, kept.meters)))
    again = _repeated(ordered)
    unique = _picked(ordered, np.flatnonzero(~again))
    shift_s = interval_s if label is Label.END else 0
    return ReadingsFile(
        source=source,
        rows=rows_read,
        duplicates=int(again.sum()),
        rejected=tuple(sorted([*rejected, *off_grid])),
        meters=tuple(_series(unique, reading_type, shift_s)),
    )


def _picked(rows: IntervalRows, positions: NDArray[np.intp]) -> IntervalRows:
    return IntervalRows(
        rows.meter_ids,
        rows.meters[positions],
        rows.labels_s[positions],
        rows.values[positions],
        rows.numbers[positions],
    )


def _repeated(ordered: IntervalRows) -> NDArray[np.bool_]:
    """Mark rows that repeat the one before; raise ReadingsFileError when they contradict it."""
    same = (np.diff(ordered.meters) == 0) & (np.diff(ordered.labels_s) == 0)
    contradicting = np.flatnonzero(same & (np.diff(ordered.values) != 0))
    if len(contradicting):
        first = int(contradicting[0])
        meter_id = ordered.meter_ids[int(ordered.meters[first])]
        raise ReadingsFileError(
            f"rows {ordered.numbers[first]} and {ordered.numbers[first + 1]} contradict each other",
            tried=f"read {meter_id} at {isoformat(from_epoch_s(ordered.labels_s[first]))}",
            answer=f"one says {ordered.values[first]}, the other {ordered.values[first + 1]}",
            next_step="correct or remove one of them; nothing of the file was imported",
        )
    return np.concatenate((np.zeros(min(1, len(ordered.meters)), bool), same))


def _series(unique: IntervalRows, reading_type: ReadingType, shift_s: int) -> list[MeterSeries]:
    borders = np.flatnonzero(np.diff(unique.meters)) + 1
    pieces = np.split(np.arange(len(unique.meters)), borders)
    return [
        MeterSeries(
            unique.meter_ids[int(unique.meters[piece[0]])],
            IntervalSeries(
                reading_type,
                unique.labels_s[piece] - shift_s,
                unique.values[piece],
                np.full(len(piece), Quality.MEASURED, np.uint8),
            ),
        )
        for piece in pieces
        if len(piece)
    ]
