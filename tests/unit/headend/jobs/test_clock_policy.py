"""What is done about a clock, and never over the end of an interval."""

from datetime import datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from amity.headend.jobs.clock_policy import ClockAction, ClockBands, decide, may_move_from
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import EPOCH
from tests.unit.headend.jobs.requests import NOW

QUARTER = timedelta(minutes=15)
BANDS = ClockBands()


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.parametrize(
    ("ahead_s", "action"),
    [
        (0, ClockAction.NONE), (5, ClockAction.NONE), (-5, ClockAction.NONE), (6, ClockAction.ADJUST),
        (-60, ClockAction.ADJUST), (61, ClockAction.SET), (-600, ClockAction.SET), (601, ClockAction.ALARM),
        (-86_400, ClockAction.ALARM),
    ],
)  # fmt: skip
def test_bands_of_drift(ahead_s: int, action: ClockAction) -> None:
    assert decide(seconds(ahead_s), NOW, QUARTER, BANDS).action is action


def test_a_drift_that_no_period_holds_is_a_persons() -> None:
    wide = ClockBands(set=timedelta(hours=2))
    assert decide(seconds(840), NOW, QUARTER, wide).action is ClockAction.ALARM
    assert decide(seconds(839), NOW, QUARTER, wide).action is ClockAction.SET
    assert decide(seconds(840), NOW, timedelta(hours=1), wide).action is ClockAction.SET


@pytest.mark.parametrize(
    ("now", "ahead_s", "wait_s"),
    [("06:17:42", 20, 0), ("06:29:20", 20, 70), ("06:29:00", 20, 0), ("06:30:10", 20, 20), ("06:30:20", -20, 30)],
)
def test_a_clock_waits_until_it_may_be_moved(now: str, ahead_s: int, wait_s: int) -> None:
    at = datetime.fromisoformat(f"2026-11-20T{now}+00:00")
    waited = may_move_from(seconds(ahead_s), at, QUARTER, seconds(30)) - at
    assert round(waited.total_seconds()) == wait_s


@given(st.integers(-700, 700), st.integers(0, 86_400), st.sampled_from([300, 900, 1800, 3600]), st.integers(0, 60))
def test_old_time_new_time_and_guards_lie_in_one_period_and_the_wait_is_the_shortest(
    ahead_s: int, second: int, period_s: int, guard_s: int
) -> None:
    assume(abs(ahead_s) + 2 * guard_s < period_s)
    now = EPOCH + timedelta(days=20_000, seconds=second)
    ahead, period, guard = seconds(ahead_s), seconds(period_s), seconds(guard_s)

    def is_safe(at: datetime) -> bool:
        first, last = min(at, at + ahead) - guard, max(at, at + ahead) + guard
        on_boundary = (last - EPOCH) % period == timedelta(0) or (first - EPOCH) % period == timedelta(0)
        return (first - EPOCH) // period == (last - EPOCH) // period and not on_boundary

    at = may_move_from(ahead, now, period, guard)
    assert at >= now
    assert is_safe(at)
    assert at == now or not is_safe(at - timedelta(microseconds=1))


def test_bands_that_fall_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="must not fall"):
        ClockBands(fine=seconds(90))
