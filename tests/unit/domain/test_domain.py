from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.domain.blocks import Block, empty_block, merge
from amity.domain.collection import Outcome
from amity.domain.readings import Quality, ReadingType, RegisterReading
from amity.kernel.obis import Obis
from amity.kernel.units import Unit

IMPORT = Obis.parse("1.0.1.8.0.255")


def block(slots: list[tuple[int, int]]) -> Block:
    values, qualities = zip(*slots, strict=True)
    return Block(1, 0, 21_600, np.array(values, np.int64), np.array(qualities, np.uint8))


slot = st.tuples(st.integers(0, 9), st.sampled_from([0, 1, 2, 17]))
four = st.lists(slot, min_size=4, max_size=4).map(block)


@given(four, four)
def test_per_interval_the_newer_known_value_wins_and_nothing_known_is_lost(old: Block, new: Block) -> None:
    values, qualities = merge(old, new)
    for i in range(4):
        source = new if new.qualities[i] else old
        assert qualities[i] == source.qualities[i]
        if qualities[i]:
            assert values[i] == source.values[i]


@given(four, four)
def test_merging_twice_is_merging_once(old: Block, new: Block) -> None:
    once = merge(old, new)
    again = merge(Block(1, 0, 21_600, *once), new)
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


def test_an_interval_that_does_not_divide_the_day_is_refused() -> None:
    assert empty_block(1, 0, 900).slots == 96
    with pytest.raises(ValueError, match="divide a day"):
        empty_block(1, 0, 7000)


def test_quality_in_words() -> None:
    assert Quality(0).words() == ["missing"]
    assert (Quality.MEASURED | Quality.QUESTIONABLE).words() == ["measured", "questionable"]


def test_a_register_reading_is_exact() -> None:
    reading = RegisterReading(ReadingType(IMPORT, Unit.VOLT, -1), 2301, datetime(2026, 1, 1, tzinfo=UTC))
    assert reading.quantity() == Decimal("230.1")


def test_which_outcomes_count_as_an_answer() -> None:
    assert {o for o in Outcome if o.answered} == {Outcome.COMPLETE, Outcome.PARTIAL, Outcome.PUSHED}
