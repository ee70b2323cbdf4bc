"""Waits grow, are spread over their whole length, and have an end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.kernel.backoff import Backoff

RULE = Backoff(base_s=0.5, limit_s=30.0)


@pytest.mark.parametrize(("failures", "longest_s"), [(0, 0.5), (1, 0.5), (2, 1.0), (5, 8.0), (7, 30.0), (10**9, 30.0)])
def test_the_longest_wait_doubles_up_to_the_limit(failures: int, longest_s: float) -> None:
    assert RULE.wait_s(failures, lambda: 1.0) == longest_s


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_chance_spreads_every_wait_from_zero_on(failures: int, chance: float) -> None:
    assert RULE.wait_s(failures, lambda: 0.0) == 0.0
    assert 0.0 <= RULE.wait_s(failures, lambda: chance) < 30.0
