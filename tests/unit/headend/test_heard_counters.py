"""The window of push counters: each is good once, in whatever order a collector brings them."""

from hypothesis import given
from hypothesis import strategies as st

from amity.headend.heard_counters import WINDOW, HeardCounters


@given(st.permutations(range(2, 40)))
def test_in_any_order_each_is_new_once_and_then_never(counters: list[int]) -> None:
    heard = HeardCounters(1)
    for counter in counters:
        assert counter > heard.last or heard.lacks(counter)
        heard = heard.having(counter)
        assert not heard.lacks(counter)
        assert counter <= heard.last
    assert heard == HeardCounters(39)
    assert heard.missing_octets == b""


def test_what_came_before_the_first_is_not_believed() -> None:
    assert not HeardCounters(100).lacks(99)
    assert not HeardCounters(100).having(102).lacks(99)
    assert HeardCounters(100).having(102).lacks(101)


def test_a_jump_leaves_no_more_than_a_window_open() -> None:
    heard = HeardCounters(1).having(1 << 30)
    assert heard.lacks((1 << 30) - WINDOW)
    assert not heard.lacks((1 << 30) - WINDOW - 1)
    assert len(heard.missing_octets) == WINDOW // 8


def test_hearing_again_changes_nothing() -> None:
    heard = HeardCounters(1).having(5).having(3)
    assert heard.having(3) == heard
    assert heard.having(5) == heard


def test_what_the_first_has_overtaken_may_follow_once_if_a_collector_brings_it() -> None:
    assert not HeardCounters.first(100, late=False).lacks(99)
    heard = HeardCounters.first(100, late=True)
    assert heard.lacks(99)
    assert not heard.having(99).lacks(99)
