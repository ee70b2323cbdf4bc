"""Words on missing rows say the same to people and to the service levels."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from amity.domain.spans import TimeSpan
from amity.headend.jobs.lacking import lacking_of, lacking_told

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
spans = st.builds(
    lambda start, length: TimeSpan(NOON + start * HOUR, NOON + (start + length) * HOUR),
    st.integers(0, 48),
    st.integers(1, 9),
)


@given(st.lists(spans, max_size=40))
def test_what_was_told_is_read_again_and_nothing_is_forgotten(found: list[TimeSpan]) -> None:
    again = lacking_of(lacking_told(found))
    if len(found) <= 16:
        assert list(again) == sorted(found)
    assert all(any(one.start <= lost.start and lost.end <= one.end for one in again) for lost in found)


def test_other_words_name_no_stretch() -> None:
    assert lacking_told([]) == ""
    assert lacking_of("clock set; 2026-11-20T12:00:00Z/2026-11-20T13:00:00Z") == ()
