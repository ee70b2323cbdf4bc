"""The load of the whole town: import and export per quarter hour, and how many meters each sum rests on."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from amity.domain.readings import Int64Column, Quality
from amity.usecases.grid import Grid

ESTIMATED = Quality.LINEAR | Quality.ESTIMATED
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True, eq=False)
class DayLoad:
    """One local day of the town, int64[slots] columns; slot i starts at start_s + i x interval_s.

    import_wh and export_wh are sums over the meters that have a value; `meters` counts those of import. Values that
    validation questions (a spike) are left out of the sums and counted in `left_out`.
    """

    day: date
    start_s: int
    interval_s: int
    import_wh: Int64Column
    export_wh: Int64Column
    meters: Int64Column
    left_out: int

    @property
    def import_kw(self) -> list[float | None]:
        """Mean power of each interval, None where no meter has a value."""
        return self._kw(self.import_wh)

    @property
    def export_kw(self) -> list[float | None]:
        """Mean power fed in, None where no meter has a value."""
        return self._kw(self.export_wh)

    @property
    def imported_kwh(self) -> float:
        """Energy taken from the grid in the intervals that are known."""
        return float(self.import_wh.sum()) / 1000

    @property
    def exported_kwh(self) -> float:
        """Energy fed into the grid in the intervals that are known."""
        return float(self.export_wh.sum()) / 1000

    def _kw(self, energy_wh: Int64Column) -> list[float | None]:
        power = energy_wh * (SECONDS_PER_HOUR / self.interval_s / 1000)
        return [round(float(kw), 3) if known else None for kw, known in zip(power, self.meters, strict=True)]


@dataclass(frozen=True, slots=True)
class DayCompleteness:
    """How many of the import intervals that should exist by now do: measured + estimated + missing = expected."""

    day: date
    expected: int
    measured: int
    estimated: int

    @property
    def missing(self) -> int:
        """Intervals that nobody has a value for."""
        return self.expected - self.measured - self.estimated

    @property
    def measured_percent(self) -> float:
        """Share that was measured, 100 when nothing is expected yet."""
        return 100.0 * self.measured / self.expected if self.expected else 100.0


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of intervals without a value on one channel: [start_s, end_s)."""

    meter_id: str
    start_s: int
    end_s: int

    @property
    def seconds(self) -> int:
        """How long it is."""
        return self.end_s - self.start_s


def day_load(day: date, imported: Grid, exported: Grid) -> DayLoad:
    """Sum the meters of one day; both grids cover the same span."""
    known, exported_known = _counted(imported), _counted(exported)
    return DayLoad(
        day,
        imported.start_s,
        imported.interval_s,
        imported.values.sum(axis=0, where=known),
        exported.values.sum(axis=0, where=exported_known),
        known.sum(axis=0, dtype=np.int64),
        _questioned(imported) + _questioned(exported),
    )


def _questioned(grid: Grid) -> int:
    return int(np.count_nonzero(grid.qualities & Quality.QUESTIONABLE))


def _counted(grid: Grid) -> NDArray[np.bool_]:
    counted: NDArray[np.bool_] = (grid.qualities != Quality.EMPTY) & (grid.qualities & Quality.QUESTIONABLE == 0)
    return counted


def completeness(day: date, imported: Grid, meters: int, due_s: int) -> DayCompleteness:
    """Count what is due by `due_s` of a day that `meters` meters should have, also those without any channel yet."""
    due = imported.due(due_s)
    known = imported.qualities[due]
    estimated = int(np.count_nonzero(known & ESTIMATED))
    slots_due = max(0, min(imported.slots, (due_s - imported.start_s) // imported.interval_s))
    expected = int(due.sum()) + max(0, meters - len(imported.channels)) * slots_due
    return DayCompleteness(day, expected, int(np.count_nonzero(known)) - estimated, estimated)


def gaps(imported: Grid, due_s: int) -> list[Gap]:
    """Runs of EMPTY in what is due by `due_s`, channel by channel, earliest first."""
    missing = (imported.qualities == Quality.EMPTY) & imported.due(due_s)
    steps = np.diff(np.pad(missing, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    first_s, step_s = imported.start_s, imported.interval_s
    return [
        Gap(imported.channels[row].meter_id, int(first_s + start * step_s), int(first_s + end * step_s))
        for row, start, end in zip(rows, starts, ends, strict=True)
    ]


def late_meters(imported: Grid, due_s: int) -> tuple[str, ...]:
    """Meters whose newest interval due by `due_s` has no value."""
    due = imported.due(due_s)
    newest = due.sum(axis=1) - 1
    rows = np.flatnonzero(newest >= 0)
    late = rows[imported.qualities[rows, newest[rows]] == Quality.EMPTY]
    return tuple(sorted(imported.channels[row].meter_id for row in late.tolist()))


def known_until_s(imported: Grid, now_s: int) -> int:
    """End of the newest interval that at least half of the meters with data have; 0 when there are none.

    Intervals after it are still on their way; a value dated after `now_s` (a clock that jumped) does not count.
    """
    known = imported.qualities != Quality.EMPTY
    known[:, max(0, (now_s - imported.start_s) // imported.interval_s) :] = False
    counts = known.sum(axis=0)
    meters = int(known.any(axis=1).sum())
    common = np.flatnonzero(2 * counts >= max(meters, 1))
    return int(imported.start_s + (common[-1] + 1) * imported.interval_s) if len(common) else 0


def known_since_s(imported: Grid) -> int | None:
    """Start of the oldest interval that any meter has, None when there is none."""
    known = np.flatnonzero((imported.qualities != Quality.EMPTY).any(axis=0))
    return int(imported.start_s + known[0] * imported.interval_s) if len(known) else None
