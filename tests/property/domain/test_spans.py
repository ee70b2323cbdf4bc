"""The arithmetic of stretches of time against the plainest model there is: sets of minutes."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from amity.domain.spans import TimeSpan, united, within, without

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def span(start: int, length: int) -> TimeSpan:
    return TimeSpan(NOON + start * MINUTE, NOON + (start + length) * MINUTE)


spans = st.builds(span, st.integers(0, 48), st.integers(1, 9))


def minutes(*found: TimeSpan) -> list[int]:
    """Every minute in the spans, as often as they hold it."""
    return sorted(one for part in found for one in range((part.start - NOON) // MINUTE, (part.end - NOON) // MINUTE))


@given(spans, spans)
def test_common_is_what_lies_in_both(one: TimeSpan, other: TimeSpan) -> None:
    common = one.common(other)
    assert common == other.common(one)
    assert set(minutes(*([common] if common else []))) == set(minutes(one)) & set(minutes(other))


@given(st.lists(spans), spans)
def test_inside_and_outside_share_nothing_and_are_all(found: list[TimeSpan], frame: TimeSpan) -> None:
    inside, outside = minutes(*within(found, frame)), minutes(*without(found, frame))
    assert set(inside) <= set(minutes(frame))
    assert not set(outside) & set(minutes(frame))
    assert sorted(inside + outside) == minutes(*found)


@given(st.lists(spans), st.integers(0, 5))
def test_united_spans_are_apart_by_more_than_the_bridge_and_add_no_more_than_it(
    found: list[TimeSpan], bridge: int
) -> None:
    joined = list(united(sorted(found), bridge * MINUTE))
    assert all(later.start - one.end > bridge * MINUTE for one, later in pairwise(joined))
    assert set(minutes(*found)) <= set(minutes(*joined))
    bridged = without(joined, found[0]) if found else []
    for one in found[1:]:
        bridged = without(bridged, one)
    assert all(part.end - part.start <= bridge * MINUTE for part in bridged)


def test_an_empty_span_is_in_nothing() -> None:
    assert within([span(3, 0)], span(0, 9)) == []
    assert span(0, 3).common(span(3, 3)) is None
