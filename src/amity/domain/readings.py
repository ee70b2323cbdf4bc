"""Readings after normalisation: OBIS reading types, interval series on a grid, register readings, quality bits."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from amity.kernel.obis import Obis
from amity.kernel.units import Unit

Int64Column = NDArray[np.int64]
QualityColumn = NDArray[np.uint8]


class Quality(IntFlag):
    """What is known of one interval value; one octet each in a block. EMPTY means: no value in this slot.

    The meaning of bits 1 to 4 follows the ReadingQuality bits of IEEE 2030.5 (estimated, edited, questionable);
    the meter's own status (outage, clock) is kept beside them because VEE rules ask for it.
    """

    EMPTY = 0
    MEASURED = 1
    LINEAR = 2  # estimated by linear interpolation
    ESTIMATED = 4  # estimated by another method
    EDITED = 8  # changed by a person
    QUESTIONABLE = 16  # a validation failed, the value stands
    POWER_OUTAGE = 32  # the meter says power was off in the interval
    CLOCK_SUSPECT = 64  # the meter says its clock was invalid or adjusted
    DERIVED = 128  # computed from other readings

    def words(self) -> list[str]:
        """The set bits as lower-case words; ["missing"] when there is none."""
        return [str(flag.name).lower().replace("_", "-") for flag in Quality if flag and flag in self] or ["missing"]


@dataclass(frozen=True, slots=True)
class ReadingType:
    """What a value measures: OBIS, unit, a power of ten, and the interval length (0 s for a register).

    A value v stands for v x 10**exponent of the unit. Interval energy has exponent 0 (integer Wh, varh) unless a meter
    resolves finer; a register keeps the meter's own step, because a sum check must know how coarse it is.
    """

    obis: Obis
    unit: Unit
    exponent: int = 0
    interval_s: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class IntervalSeries:
    """Interval readings of one channel of one meter.

    starts: int64[n], epoch seconds UTC of each interval's start, strictly increasing, on the grid of `interval_s`.
    values: int64[n], in 10**exponent of the unit. qualities: uint8[n], bits of `Quality`, never EMPTY.
    evidence: positions in the delivery's `exchanges` that hold the octets these values came from.
    """

    reading_type: ReadingType
    starts: Int64Column
    values: Int64Column
    qualities: QualityColumn
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RegisterReading:
    """One register value at one instant: `value` x 10**`reading_type.exponent` in the unit, exact."""

    reading_type: ReadingType
    value: int
    at: datetime
    evidence: tuple[int, ...] = ()

    def quantity(self) -> Decimal:
        """The value in the unit itself."""
        exponent = self.reading_type.exponent
        return Decimal(self.value * 10**exponent) if exponent > 0 else Decimal(self.value).scaleb(exponent)


@dataclass(frozen=True, slots=True)
class UnknownObject:
    """An object that no mapping names: kept as the meter sent it (A-XDR octets) and flagged, never dropped."""

    class_id: int
    obis: Obis
    attribute: int
    octets: bytes
    at: datetime
    evidence: tuple[int, ...] = ()
