"""Small profiles of a simulated meter: daily register snapshots and the event log, as rows of octets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from amity.kernel.time import SECONDS_PER_DAY, epoch_s, utc_day
from amity.protocols.dlms.data import Tag
from amity.simulation.measuring import OCTETS_OF
from amity.simulation.meter import SimulatedMeter
from amity.simulation.stamps import clock_cells

DAILY_COLUMNS = ("import_total", "export_total", "reactive_total")
"""The registers that a row of the daily profile holds after its time."""


class Row(NamedTuple):
    """One row: the instant it names and its octets."""

    at_s: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class ListedRows:
    """`ProfileRows` over a list that is short enough to be made for each question."""

    rows_until: Callable[[int], Sequence[Row]]
    entries_max: int

    def count(self, now: datetime) -> int:
        """Rows in the ring."""
        return len(self._rows(now))

    def between(self, start: datetime | None, end: datetime | None, now: datetime) -> Sequence[bytes]:
        """Rows whose time lies from `start` to `end`, both included."""
        low = epoch_s(start) if start else 0
        high = epoch_s(end or now)
        return [row.octets for row in self._rows(now) if low <= row.at_s <= high]

    def entries(self, first: int, last: int, now: datetime) -> Sequence[bytes]:
        """Rows from number `first` to `last`, the oldest being number 1."""
        return [row.octets for row in self._rows(now)[first - 1 : last]]

    def _rows(self, now: datetime) -> Sequence[Row]:
        return self.rows_until(epoch_s(now))[-self.entries_max :]


def daily_rows(meter: SimulatedMeter) -> ListedRows:
    """The registers at each 00:00 UTC since the installation.

    Midnight of the time line rather than of the meter's zone: then every maker's snapshots bound the same days.
    """
    entries_max = meter.profile.daily_profile.entries_max
    row_of = cache(partial(_daily_row, meter))

    def rows_until(now_s: int) -> list[Row]:
        first = max(meter.element.ledger.installed_day + 1, utc_day(now_s) - entries_max)
        return [row_of(day) for day in range(first, utc_day(now_s) + 1)]

    return ListedRows(rows_until, entries_max)


def event_rows(meter: SimulatedMeter) -> ListedRows:
    """Time and the maker's code of everything that happened and that this maker has a code for."""
    log = meter.profile.event_log

    def rows_until(now_s: int) -> list[Row]:
        coded = ((event.at_s, log.code_of(event.kind)) for event in meter.happenings.until(now_s))
        return [Row(at_s, _event_row(meter, at_s, code)) for at_s, code in coded if code is not None]

    return ListedRows(rows_until, log.entries_max)


def _daily_row(meter: SimulatedMeter, day: int) -> Row:
    at_s = day * SECONDS_PER_DAY
    cells = [_time(meter, at_s)]
    for name in DAILY_COLUMNS:
        measured = meter.profile.object_named(name)
        value = meter.element.instant(measured, at_s)
        cells.append(bytes([measured.tag]) + value.to_bytes(OCTETS_OF[measured.tag], "big"))
    return Row(at_s, bytes([Tag.STRUCTURE, len(cells)]) + b"".join(cells))


def _event_row(meter: SimulatedMeter, at_s: int, code: int) -> bytes:
    return bytes([Tag.STRUCTURE, 2]) + _time(meter, at_s) + bytes([Tag.LONG_UNSIGNED]) + code.to_bytes(2, "big")


def _time(meter: SimulatedMeter, at_s: int) -> bytes:
    return clock_cells(np.array([at_s], np.int64), meter.profile.clock).tobytes()
