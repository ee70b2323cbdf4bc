"""One value out of a telegram, with what the telegram (or what is known about its sender) says about it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.protocols.dlms.data import Data, Tag
from amity.protocols.dlms.datetime import CosemDateTime

ReadingValue = None | bool | int | float | str | bytes | Decimal | CosemDateTime | Data


class Scaling(NamedTuple):
    """Physical quantity = number · 10^scaler `unit`; `unit` is a bare code where the kernel has no name for it."""

    scaler: int
    unit: Unit | int


@dataclass(frozen=True, slots=True)
class NormalisedReading:
    """A value and its name.

    `value` is exactly what was sent: a whole number before scaling, text, octets, a date-time, or Data for a list.
    `scaling` is what the telegram says about a number, or the layout of a list that names nothing. `assumed` is for
    lists that name their values but neither unit nor scaler: the maker's published list has them, the telegram not.
    """

    obis: Obis | None
    value: ReadingValue
    tag: Tag | None = None
    scaling: Scaling | None = None
    assumed: Scaling | None = None
    class_id: int | None = None
    attribute: int | None = None
    name: str | None = None
    time: CosemDateTime | str | None = None

    @property
    def number(self) -> Decimal | None:
        """The number with the scaler of the telegram applied, exact; None for what is no number."""
        return _scaled(self.value, self.scaling)

    @property
    def quantity(self) -> Decimal | None:
        """The number in its unit, by assumption where the telegram leaves scaler and unit out."""
        return _scaled(self.value, self.scaling or self.assumed)


def _scaled(value: ReadingValue, scaling: Scaling | None) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return exact if scaling is None or not exact.is_finite() else exact.scaleb(scaling.scaler)


def unit_of(code: int) -> Unit | int:
    """The named unit of a COSEM unit code, the code itself where the kernel has no name for it."""
    try:
        return Unit(code)
    except ValueError:
        return code


def unit_symbol(unit: Unit | int) -> str:
    """How people write the unit."""
    return unit.symbol if isinstance(unit, Unit) else f"unit {unit}"
