"""What the rules work on and what they say."""

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from amity.domain.readings import Int64Column, QualityColumn
from amity.kernel.time import SECONDS_PER_DAY, from_epoch_s, isoformat
from amity.kernel.units import Unit


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Consecutive whole UTC days of one channel: int64[n] values, uint8[n] qualities, slot 0 at `start_s`.

    A value v is v x 10**`exponent` of the channel's unit; a slot of quality EMPTY has no value.
    """

    start_s: int
    interval_s: int
    values: Int64Column
    qualities: QualityColumn
    exponent: int = 0
    unit: Unit = Unit.WATT_HOUR

    def said(self, value: int, exponent: int | None = None) -> str:
        """A value with its unit as findings print it; `exponent` where it is not the window's own."""
        number = Decimal(int(value)).scaleb(self.exponent if exponent is None else exponent)
        return f"{number:,f} {self.unit.symbol}".rstrip()

    @property
    def slots_per_day(self) -> int:
        """Intervals in a day."""
        return SECONDS_PER_DAY // self.interval_s

    def second(self, slot: int) -> int:
        """Epoch second at which a slot starts (the end of the window for slot n)."""
        return self.start_s + int(slot) * self.interval_s

    def slot(self, second: int) -> int:
        """The slot that starts at or before this epoch second."""
        return (second - self.start_s) // self.interval_s

    def replaced(self, values: Int64Column, qualities: QualityColumn) -> "Window":
        """The same days with other contents."""
        return replace(self, values=values, qualities=qualities)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the catalogue; a new version whenever its results could differ."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says of the intervals in [start_s, end_s); `resolved` when nothing is left to do."""

    rule: Rule
    start_s: int
    end_s: int
    message: str
    resolved: bool = False


def clock_time(second: int) -> str:
    """An epoch second as findings print it."""
    return isoformat(from_epoch_s(second))


def runs_of(mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[tuple[int, int]]:
    """(first slot, length) of each run of True in bool[n], in order."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return [(first, end - first) for first, end in edges.reshape(-1, 2).tolist()]
