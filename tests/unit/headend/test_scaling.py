"""Numbers with scaler and unit stay exact, or are told to be too large; no scaler of a meter breaks anything."""

import numpy as np
import pytest

from amity.headend.scaling import Measure, scaled, scaled_number
from amity.kernel.units import Unit


def test_coarser_steps_become_whole_units() -> None:
    column = scaled_number(42, Measure(3, Unit.WATT_HOUR))
    assert column is not None
    assert (column.values.tolist(), column.exponent, column.as_told(0)) == ([42_000], 0, (42, 3))


def test_finer_steps_stay_finer() -> None:
    column = scaled_number(42, Measure(-2, Unit.WATT_HOUR))
    assert column is not None
    assert (column.values.tolist(), column.exponent) == ([42], -2)


@pytest.mark.parametrize("value", [0, 1, 2**62])
@pytest.mark.parametrize("scaler", [19, 20, 127])
def test_a_scale_beyond_64_bits_is_no_number_also_for_zero(value: int, scaler: int) -> None:
    assert scaled_number(value, Measure(scaler, Unit.WATT_HOUR)) is None


@pytest.mark.parametrize("scaler", [-128, 0, 18])
def test_zero_in_every_other_scale_is_zero(scaler: int) -> None:
    column = scaled_number(0, Measure(scaler, Unit.WATT_HOUR))
    assert column is not None
    assert column.values.tolist() == [0]


def test_an_empty_column_in_an_absurd_scale_is_none() -> None:
    assert scaled(np.zeros(0, np.int64), None, Measure(19, Unit.WATT_HOUR)) is None
