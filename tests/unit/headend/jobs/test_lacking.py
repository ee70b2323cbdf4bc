"""Words on missing rows say the same to people and to the service levels."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from amity.domain.jobs import Span
from amity.headend.jobs.lacking import lacking_of, lacking_told, within, without

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
spans = st.builds(
    lambda start, length: Span(NOON + start * HOUR, NOON + (start + length) * HOUR),
    st.integers(0, 48),
    st.integers(1, 9),
)


@given(st.lists(spans, max_size=40))
def test_what_was_told_is_read_again_and_nothing_is_forgotten(found: list[Span]) -> None:
    again = lacking_of(lacking_told(found))
    if len(found) <= 16:
        assert list(again) == sorted(found)
    assert all(any(one.start <= lost.start and lost.end <= one.end for one in again) for lost in found)


def test_other_words_name_no_stretch() -> None:
    assert lacking_told([]) == ""
    assert lacking_of("clock set; 2026-11-20T12:00:00Z/2026-11-20T13:00:00Z") == ()


@given(st.lists(spans), spans)
def test_inside_and_outside_are_all(found: list[Span], frame: Span) -> None:
    def hours(parts: list[Span]) -> timedelta:
        return sum((part.end - part.start for part in parts), timedelta(0))

    assert hours(within(found, frame)) + hours(without(found, frame)) == hours(found)
