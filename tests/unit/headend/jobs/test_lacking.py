"""What a meter had no rows for, as a job keeps it and as people read it."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from amity.domain.spans import TimeSpan
from amity.headend.jobs.lacking import lacking_kept, lacking_told

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
spans = st.builds(
    lambda start, length: TimeSpan(NOON + start * HOUR, NOON + (start + length) * HOUR),
    st.integers(0, 48),
    st.integers(1, 9),
)


@given(st.lists(spans, max_size=40))
def test_what_is_kept_is_little_and_nothing_of_it_is_forgotten(found: list[TimeSpan]) -> None:
    kept = lacking_kept(found)
    assert len(kept) <= 16
    if len(found) <= 16:
        assert list(kept) == sorted(found)
    assert all(any(one.start <= lost.start and lost.end <= one.end for one in kept) for lost in found)


def test_it_is_told_as_intervals_of_iso_8601() -> None:
    assert lacking_told([]) == ""
    found = [TimeSpan(NOON, NOON + HOUR), TimeSpan(NOON + 2 * HOUR, NOON + 3 * HOUR)]
    assert lacking_told(found) == (
        "the meter had no rows for 2026-11-20T12:00:00Z/2026-11-20T13:00:00Z, 2026-11-20T14:00:00Z/2026-11-20T15:00:00Z"
    )
