"""The window of push counters: each is good once, in whatever order they come; straight from a meter only soon."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from amity.headend.heard_counters import SOON_S, WINDOW, HeardCounters

NOW_S = 1_800_000_000
AT_LONGEST_S = 3 * SOON_S


def after(*counters: int, late: bool = False) -> HeardCounters:
    first, *others = counters
    heard = HeardCounters.first(first, NOW_S, late=late)
    for counter in others:
        heard = heard.having(counter, NOW_S)
    return heard


@given(st.permutations(range(2, 40)))
def test_in_any_order_each_is_new_once_and_then_never(counters: list[int]) -> None:
    heard = after(1)
    for counter in counters:
        assert heard.believes(counter, NOW_S, late=False)
        heard = heard.having(counter, NOW_S)
        assert not heard.believes(counter, NOW_S, late=True)
    assert (heard.last, heard.missing_octets) == (39, b"")


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 50)), min_size=2, max_size=60))
def test_what_was_overtaken_is_believed_for_a_minute_surely_and_for_three_at_most(
    arrivals: list[tuple[int, int]],
) -> None:
    """Whatever comes when, in seconds: compared with a memory of each counter by itself."""
    heard, had, overtaken_s = HeardCounters.first(0, NOW_S, late=False), {0}, dict[int, int]()
    instants = accumulate((pause for _, pause in arrivals), initial=NOW_S)
    for (counter, _), now_s in zip(arrivals, list(instants)[1:], strict=True):
        believed = heard.believes(counter, now_s, late=False)
        since_s = now_s - overtaken_s.get(counter, now_s)
        assert not (believed and (counter in had or since_s > AT_LONGEST_S))
        assert believed or counter in had or since_s > SOON_S
        assert heard.believes(counter, now_s, late=True) is (counter not in had)
        if believed:
            heard, had = heard.having(counter, now_s), had | {counter}
            overtaken_s |= {older: now_s for older in range(counter) if older not in overtaken_s}


def test_a_meter_that_speaks_every_quarter_of_an_hour_is_not_the_cover_of_one_that_was_held_back() -> None:
    heard = after(1, 3)
    for counter in range(4, 10):
        now_s = NOW_S + counter * 900
        heard = heard.having(counter, now_s)
        assert not heard.believes(2, now_s + 1, late=False)
        assert heard.believes(2, now_s + 1, late=True)


def test_one_that_waited_for_a_slow_disk_is_as_old_as_when_it_was_heard() -> None:
    heard = after(1).having(9, NOW_S + 3600)
    assert heard.believes(8, NOW_S + 3599, late=False)


def test_a_clock_that_was_ahead_opens_no_window_until_the_true_time_gets_there() -> None:
    heard = after(*range(10), 11).having(12, NOW_S + 365 * 86_400)
    assert not heard.believes(10, NOW_S + 1, late=False), "nobody knows how long ago it was overtaken"
    now_on = heard.having(13, NOW_S + 2)
    assert now_on.having(15, NOW_S + 3).believes(14, NOW_S + 4, late=False)
    assert not now_on.believes(10, NOW_S + 4, late=False)
    assert not now_on.having(15, NOW_S + 3).having(16, NOW_S + 400).believes(14, NOW_S + 401, late=False)


def test_what_came_before_the_first_is_not_believed() -> None:
    for heard in (after(100), after(100, 102)):
        assert not heard.believes(99, NOW_S, late=True)
    assert after(100, 102).believes(101, NOW_S, late=False)


def test_what_an_earlier_release_heard_is_not_opened_again() -> None:
    kept = HeardCounters(100)
    assert not kept.believes(99, NOW_S, late=True)
    assert not HeardCounters(100, missing=1).believes(99, NOW_S, late=False)
    assert kept.having(102, NOW_S).believes(101, NOW_S, late=False)


def test_a_jump_leaves_no_more_than_a_window_open() -> None:
    heard = after(1, 1 << 30)
    assert heard.believes((1 << 30) - WINDOW, NOW_S, late=False)
    assert not heard.believes((1 << 30) - WINDOW - 1, NOW_S, late=True)
    assert len(heard.missing_octets) == WINDOW // 8


def test_hearing_again_changes_nothing() -> None:
    heard = after(1, 5, 3)
    assert heard.having(3, NOW_S) == heard
    assert heard.having(5, NOW_S) == heard


def test_what_the_first_has_overtaken_may_follow_once_if_a_collector_brings_it() -> None:
    assert not after(100).lacks(99)
    heard = after(100, late=True)
    assert heard.believes(99, NOW_S, late=True)
    assert not heard.believes(99, NOW_S, late=False)
    assert not heard.having(99, NOW_S).believes(99, NOW_S, late=True)
