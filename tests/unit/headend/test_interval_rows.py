"""Rows find their interval, whatever the order; totals become amounts, also where they roll over."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.headend import interval_rows
from amity.protocols.dlms.data import Tag

T = 1_795_000_500  # a multiple of 900


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.parametrize(("stamped_at_end", "first"), [(True, T - 900), (False, T)])
def test_a_stamp_names_the_start_or_the_end(stamped_at_end: bool, first: int) -> None:
    placed = interval_rows.place(ints(T, T + 900), 900, stamped_at_end=stamped_at_end)
    assert placed.starts.tolist() == [first, first + 900]


def test_rows_written_again_and_rows_off_the_grid_are_told_apart() -> None:
    placed = interval_rows.place(ints(T, T + 900, T + 7, T, T + 900, T + 1800), 900, stamped_at_end=False)
    assert placed.recorded.tolist() == [0, 1, 3, 4, 5]
    assert placed.superseded.tolist() == [True, True, False, False, False]
    assert placed.repeated.tolist() == [False, False, True, True, False]
    assert placed.off_grid.tolist() == [2]


def test_a_buffer_with_the_newest_row_first_is_turned_round() -> None:
    placed = interval_rows.place(ints(T + 1800, T + 900, T), 900, stamped_at_end=False)
    assert placed.recorded.tolist() == [2, 1, 0]
    assert placed.starts.tolist() == [T, T + 900, T + 1800]


def test_no_rows_are_no_rows() -> None:
    placed = interval_rows.place(ints(), 900, stamped_at_end=True)
    assert placed.in_order
    assert not any(part.size for part in placed if isinstance(part, np.ndarray))


@given(st.lists(st.integers(0, 20).map(lambda slot: T + slot * 450)))
def test_every_row_is_on_the_grid_or_off_it_and_every_interval_counts_once(stamps: list[int]) -> None:
    placed = interval_rows.place(ints(*stamps), 900, stamped_at_end=False)
    assert sorted([*placed.recorded.tolist(), *placed.off_grid.tolist()]) == list(range(len(stamps)))
    counted = placed.starts[~placed.superseded].tolist()
    assert sorted(counted) == sorted({stamp for stamp in stamps if stamp % 900 == 0})


def test_a_row_follows_only_a_known_row_one_period_before() -> None:
    placed = interval_rows.place(ints(T, T + 900, T + 2700, T + 3600, T + 4500), 900, stamped_at_end=False)
    known = np.array([True, True, True, False, True])
    assert interval_rows.follows(placed, known).tolist() == [False, True, False, False, False]


@pytest.mark.parametrize("stamps", [(T, T), (T + 900, T), (T, T + 1800, T + 900)])
def test_rows_are_in_order_only_where_each_is_later_than_the_one_before(stamps: tuple[int, ...]) -> None:
    placed = interval_rows.place(ints(*stamps), 900, stamped_at_end=False)
    assert placed.in_order == bool((np.diff(placed.starts) > 0).all())


def test_totals_become_amounts() -> None:
    amounts, believable = interval_rows.differences(ints(100, 130, 130, 190), None)
    assert amounts[1:].tolist() == [30, 0, 60]
    assert believable.tolist() == [False, True, True, True]


def test_a_total_that_rolled_over_goes_on() -> None:
    modulus = interval_rows.MODULUS[Tag.DOUBLE_LONG_UNSIGNED]
    amounts, believable = interval_rows.differences(ints(modulus - 10, 5, 25), modulus)
    assert amounts[1:].tolist() == [15, 20]
    assert believable.tolist() == [False, True, True]


def test_a_total_that_was_reset_has_no_amount_there() -> None:
    _, believable = interval_rows.differences(ints(50_000_000, 3, 10), 1 << 32)
    assert believable.tolist() == [False, False, True]
    _, believable = interval_rows.differences(ints(50_000_000, 3, 10), None)
    assert believable.tolist() == [False, False, True]


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 100_000), min_size=1, max_size=50))
def test_any_amounts_survive_being_counted_on_32_bits(first: int, amounts: list[int]) -> None:
    totals = (first + np.cumsum([0, *amounts])) % (1 << 32)
    found, believable = interval_rows.differences(totals.astype(np.int64), 1 << 32)
    assert found[1:].tolist() == amounts
    assert believable[1:].all()
