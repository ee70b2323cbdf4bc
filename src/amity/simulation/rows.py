"""The load profile of a simulated meter: rows as octets, made a day at a time and kept while they are asked for."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from amity.devices.profiles import CLOCK_COLUMN, MeasuredObject, Stamp
from amity.kernel.time import SECONDS_PER_DAY, epoch_s, utc_day
from amity.protocols.dlms.data import Tag
from amity.simulation.chance import Ints
from amity.simulation.faults import CLOCK_JUMP_S, Mask
from amity.simulation.household import INTERVAL_S, SLOTS
from amity.simulation.measuring import OCTETS_OF, MeasuringElement
from amity.simulation.stamps import Octets, clock_cells

_DAYS_KEPT = 6  # what a read with three days of backfill touches
_STAMP_AHEAD_S_MAX = INTERVAL_S + CLOCK_JUMP_S  # of the start of its interval


@dataclass(frozen=True, slots=True, eq=False)
class CapturedDay:
    """The rows of the intervals that start in one UTC day, in the order of capture.

    stamps: int64[n], the instant each row claims. captured_at_s: int64[n], when it comes into being (interval end).
    full, bare: n rows as octets, with the time and with null-data in its place (the same where times are never null).
    """

    stamps: Ints
    captured_at_s: Ints
    full: list[bytes]
    bare: list[bytes]


_Chosen = tuple[CapturedDay, Ints]  # a day and the positions of some of its rows


class LoadProfileRows:
    """`ProfileRows` over a measuring element: any row since the installation, made when asked for."""

    def __init__(self, element: MeasuringElement, powered: Callable[[int], Mask]) -> None:
        """`powered(day)` tells as bool[96] in which intervals the meter had power."""
        self._element = element
        self._profile = element.profile
        self._rules = element.profile.load_profile
        self._powered = powered
        self._days: OrderedDict[int, CapturedDay] = OrderedDict()
        self._counts: list[int] = []  # rows of installed_day + i, for days that are over
        self._first_day = element.ledger.installed_day

    def count(self, now: datetime) -> int:
        """Rows in the ring."""
        return min(self._captured(epoch_s(now)), self._rules.entries_max)

    def between(self, start: datetime | None, end: datetime | None, now: datetime) -> Sequence[bytes]:
        """Rows whose stamp lies from `start` to `end`, both included."""
        low = epoch_s(start) if start else self._first_day * SECONDS_PER_DAY
        high = epoch_s(end) if end else epoch_s(now) + SECONDS_PER_DAY
        return _rows_of(self._selected(low, high, epoch_s(now)))

    def entries(self, first: int, last: int, now: datetime) -> Sequence[bytes]:
        """Rows from number `first` to `last`, the oldest being number 1."""
        now_s = epoch_s(now)
        in_ring = self.count(now)
        overwritten = self._captured(now_s) - in_ring
        low, high = overwritten + first - 1, overwritten + min(last, in_ring)
        chosen: list[_Chosen] = []
        for day, count in enumerate(self._counts_until(now_s), start=self._first_day):
            if low < count and high > 0:
                chosen.append((self._day(day), np.arange(max(low, 0), min(high, count))))
            low, high = low - count, high - count
        return _rows_of(chosen)

    def of_interval(self, start_s: int) -> bytes | None:
        """The row of the interval that starts at `start_s`, with its time; None when none was captured."""
        captured = self._day(utc_day(start_s))
        found = np.flatnonzero(captured.captured_at_s == start_s + INTERVAL_S)
        return captured.full[found[0]] if len(found) else None

    def forget_from(self, day: int) -> None:
        """What the meter counts from a UTC day on has changed: make its rows again."""
        for made in [made for made in self._days if made >= day]:
            del self._days[made]

    def _selected(self, low_s: int, high_s: int, now_s: int) -> Iterator[_Chosen]:
        """Day by day; a stamp never stands before its interval, and behind it by no more than a jumped clock."""
        oldest_s = self._oldest_s(now_s)
        first = max(utc_day(max(low_s, oldest_s) - _STAMP_AHEAD_S_MAX), self._first_day)
        for day in range(first, utc_day(min(high_s, now_s)) + 1):
            captured = self._day(day)
            inside = (captured.stamps >= low_s) & (captured.stamps <= high_s)
            present = (captured.captured_at_s <= now_s) & (captured.captured_at_s > oldest_s)
            yield captured, np.flatnonzero(inside & present)

    def _oldest_s(self, now_s: int) -> int:
        """Rows captured until this instant have been overwritten."""
        surplus = self._captured(now_s) - self._rules.entries_max
        for day, count in enumerate(self._counts_until(now_s), start=self._first_day):
            if 0 < surplus <= count:
                slot = int(np.flatnonzero(self._present(day))[surplus - 1])
                return (day * SLOTS + slot + 1) * INTERVAL_S
            surplus -= count
        return self._first_day * SECONDS_PER_DAY

    def _captured(self, now_s: int) -> int:
        """Rows captured since the installation."""
        return sum(self._counts_until(now_s))

    def _counts_until(self, now_s: int) -> list[int]:
        """Rows per day since the installation, the running day last."""
        today = utc_day(now_s)
        if today < self._first_day:
            return []
        for day in range(self._first_day + len(self._counts), today):
            self._counts.append(int(self._present(day).sum()))
        running = int((self._day(today).captured_at_s <= now_s).sum())
        return [*self._counts[: today - self._first_day], running]

    def _present(self, day: int) -> Mask:
        return np.asarray(self._element.faults.captured(day) & self._powered(day))

    def _day(self, day: int) -> CapturedDay:
        captured = self._days.get(day)
        if captured is None:
            captured = self._days[day] = self._made(day)
            if len(self._days) > _DAYS_KEPT:
                self._days.popitem(last=False)
        return captured

    def _made(self, day: int) -> CapturedDay:
        present = np.flatnonzero(self._present(day))
        starts = (day * SLOTS + present) * INTERVAL_S
        at_end = INTERVAL_S if self._rules.stamp is Stamp.END else 0
        ahead = np.array([self._element.faults.clock_offset_s(int(start)) for start in starts], np.int64)
        stamps = starts + at_end + ahead
        full = self._rows(day, present, clock_cells(stamps, self._profile.clock))
        bare = full
        if self._rules.null_timestamps:
            bare = self._rows(day, present, np.full((len(present), 1), Tag.NULL, np.uint8))
        return CapturedDay(stamps, starts + INTERVAL_S, full, bare)

    def _rows(self, day: int, present: Ints, times: Octets) -> list[bytes]:
        columns = self._rules.columns
        heading = np.tile(np.array([Tag.STRUCTURE, len(columns)], np.uint8), (len(present), 1))
        cells = [times if name == CLOCK_COLUMN else self._cells(name, day)[present] for name in columns]
        octets = np.hstack((heading, *cells))
        return [row.tobytes() for row in octets]

    def _cells(self, name: str, day: int) -> Octets:
        measured = self._profile.object_named(name)
        return integer_cells(self._element.column(measured, day), measured)


def integer_cells(values: Ints, measured: MeasuredObject) -> Octets:
    """uint8[n, 1 + width]: the values with the tag of their object."""
    width = OCTETS_OF[measured.tag]
    octets = values.astype(">i8").view(np.uint8).reshape(len(values), 8)[:, 8 - width :]
    return np.hstack((np.full((len(values), 1), measured.tag, np.uint8), octets))


def _rows_of(chosen: Iterable[_Chosen]) -> list[bytes]:
    """The octets of the chosen rows; null-data for a time only where one period has passed since the row before."""
    rows: list[bytes] = []
    previous = 0
    for captured, positions in chosen:
        if captured.full is captured.bare:
            rows += [captured.full[position] for position in positions]
            continue
        for position, stamp in zip(positions.tolist(), captured.stamps[positions].tolist(), strict=True):
            rows.append((captured.bare if stamp - previous == INTERVAL_S else captured.full)[position])
            previous = stamp
    return rows
