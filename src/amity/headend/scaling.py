"""Numbers of a meter with scaler and unit, as exact integers of a power of ten of a unit."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amity.devices.readout import ScalerUnit
from amity.domain.readings import Int64Column
from amity.headend.mapping import Rule
from amity.kernel.units import Unit

Mask = NDArray[np.bool_]

_INT64_MAX: Final = 2**63 - 1
_EXPONENT_OF_FLOATS: Final = -3


class Measure(NamedTuple):
    """What one step of a number is: 10**scaler of the unit."""

    scaler: int
    unit: Unit


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Integers in 10**exponent of the unit; `known` is False where the meter sent no value.

    `factor` is how many of them one step of the meter's own number is.
    """

    values: Int64Column
    known: Mask
    exponent: int
    unit: Unit
    factor: int

    def as_told(self, position: int) -> tuple[int, int]:
        """One number in the meter's own steps, and the power of ten of the unit that a step is: its resolution."""
        steps_of_ten = len(str(self.factor)) - 1
        return int(self.values[position]) // self.factor, self.exponent + steps_of_ten

    def modulus(self, steps: int | None) -> int | None:
        """`steps` of the meter's own number in these integers; None where there are none or 64 bits do not hold it."""
        return None if steps is None or steps * self.factor > _INT64_MAX else steps * self.factor


def measure_of(rule: Rule, told: ScalerUnit | None) -> Measure | None:
    """Scaler and unit: the rule's where it has them, else the meter's; None when nobody says a unit that is known."""
    if rule.unit is not None:
        unit = rule.unit
    elif told is not None and told.unit in Unit._value2member_map_:
        unit = Unit(told.unit)
    else:
        return None
    if rule.scaler is not None:
        return Measure(rule.scaler, unit)
    return Measure(told.scaler if told is not None else 0, unit)


def scaled_number(value: object, measure: Measure | None) -> Column | None:
    """One number as a column of one; None for what is no number."""
    if measure is None or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return scaled(np.array([value]), None, measure)


def scaled(values: NDArray[Any], missing: Mask | None, measure: Measure) -> Column | None:
    """Integers in 10**min(scaler, 0): finer than the unit stays finer, coarser becomes whole units.

    Floating point numbers become integers of a thousandth. None when the values are no numbers, or when 64 bits do not
    hold the result or the scale.
    """
    known = np.ones(len(values), np.bool_) if missing is None else ~missing
    if values.dtype.kind == "f":
        return _from_floats(values, known, measure)
    if values.dtype.kind != "i":
        return None
    factor = 10 ** max(measure.scaler, 0)
    if factor > _INT64_MAX:  # of no use even to a column of zeros
        return None
    integers = values.astype(np.int64, copy=False)
    if factor > 1 and len(values):
        if max(abs(int(values.min())), int(values.max())) * factor > _INT64_MAX:
            return None
        integers = integers * factor
    return Column(integers, known, min(measure.scaler, 0), measure.unit, factor)


def _from_floats(values: NDArray[Any], known: Mask, measure: Measure) -> Column | None:
    exponent = min(measure.scaler, 0) + _EXPONENT_OF_FLOATS
    integers = np.rint(values * 10.0 ** (measure.scaler - exponent))
    if not np.all(np.abs(integers[known]) < float(_INT64_MAX)):
        return None
    return Column(np.where(known, integers, 0).astype(np.int64), known, exponent, measure.unit, 1)
