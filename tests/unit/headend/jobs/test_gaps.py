"""The fewest ranges that bring what is missing."""

from datetime import datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from amity.domain.spans import TimeSpan
from amity.headend.jobs.gaps import BackfillRules, backfill, gaps_of_channel
from amity.kernel.time import epoch_s, from_epoch_s
from tests.unit.headend.jobs.requests import NOW

PERIOD = 900
END = from_epoch_s(epoch_s(NOW) // PERIOD * PERIOD)
NO_BRIDGE = BackfillRules(bridge=0)


def back(slots: float) -> datetime:
    """So many intervals before the newest end."""
    return END - timedelta(seconds=slots * PERIOD)


def span(first: float, last: float) -> TimeSpan:
    return TimeSpan(back(first), back(last))


def asked(
    *missing: TimeSpan, rules: BackfillRules = NO_BRIDGE, entries_max: int = 1000
) -> tuple[list[TimeSpan], list[TimeSpan]]:
    found = backfill(missing, period_s=PERIOD, entries_max=entries_max, now=NOW, rules=rules)
    return list(found.ranges), list(found.lost)


def test_gaps_of_a_channel_are_found_at_both_ends_and_between() -> None:
    starts = np.array([epoch_s(back(n)) for n in (9, 8, 5, 4)], np.int64)
    assert gaps_of_channel(starts, span(11, 1), PERIOD) == [span(11, 9), span(7, 5), span(3, 1)]
    assert gaps_of_channel(starts, span(9, 7), PERIOD) == []
    assert gaps_of_channel(starts[:0], span(3, 1), PERIOD) == [span(3, 1)]


def test_channels_that_miss_the_same_are_asked_once() -> None:
    assert asked(span(20, 10), span(15, 5), span(5, 3)) == ([span(20, 3)], [])


def test_gaps_with_little_between_them_are_one_question() -> None:
    near = BackfillRules(bridge=3)
    assert asked(span(20, 15), span(12, 10), rules=near)[0] == [span(20, 10)]
    assert asked(span(20, 15), span(11, 10), rules=near)[0] == [span(20, 15), span(11, 10)]


def test_what_the_meter_no_longer_holds_is_said_to_be_lost() -> None:
    assert asked(span(20, 5), entries_max=10) == ([span(10, 5)], [span(20, 10)])
    assert asked(span(30, 20), entries_max=10) == ([], [span(30, 20)])


def test_what_has_not_ended_is_left_out() -> None:
    assert asked(span(2, -5)) == ([span(2, 0)], [])


def test_parts_of_intervals_are_whole_ones() -> None:
    assert asked(span(2.5, 2.4)) == ([span(3, 2)], [])


def test_long_stretches_come_in_pieces() -> None:
    rules = BackfillRules(span_max=timedelta(seconds=4 * PERIOD))
    assert asked(span(10, 0), rules=rules)[0] == [span(10, 6), span(6, 2), span(2, 0)]


_GAPS = st.lists(st.tuples(st.integers(-5, 60), st.integers(0, 20)), max_size=12)


@given(_GAPS, st.integers(1, 50), st.integers(0, 10), st.integers(1, 30))
def test_everything_that_can_be_had_is_asked_for_once(
    gaps: list[tuple[int, int]], entries: int, bridge: int, piece: int
) -> None:
    missing = [span(last + length, last) for last, length in gaps]
    rules = BackfillRules(bridge, timedelta(seconds=piece * PERIOD))
    ranges, lost = asked(*missing, rules=rules, entries_max=entries)

    def slots(spans: list[TimeSpan]) -> list[int]:
        return [slot for one in spans for slot in range(epoch_s(one.start) // PERIOD, epoch_s(one.end) // PERIOD)]

    newest = epoch_s(END) // PERIOD
    wanted = set(slots(missing))
    reachable = {slot for slot in wanted if newest - entries <= slot < newest}
    assert reachable <= set(slots(ranges))
    assert len(slots(ranges)) == len(set(slots(ranges)))
    assert set(slots(lost)) == {slot for slot in wanted if slot < newest - entries}
    assert all(newest - entries <= slot < newest for slot in slots(ranges))
    assert all(one.end - one.start <= rules.span_max for one in ranges)
    if not bridge:
        assert set(slots(ranges)) == reachable
