"""What to do about a meter's clock: leave it, adjust it, set it, or call a person; and when it may be moved.

A clock that is moved over the end of an interval or demand period makes the meter close that period early or twice, so
the row that follows is wrong. Hence a clock is moved only while its old and its new time lie in the same period, with
a guard on either side; a clock that is off by more than a period cannot be moved so, and is a person's decision.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from amity.kernel.errors import ConfigurationError
from amity.kernel.time import EPOCH


class ClockAction(StrEnum):
    """By rising drift."""

    NONE = "none"
    ADJUST = "adjust"  # shift_time: the meter keeps running
    SET = "set"
    ALARM = "alarm"  # a person decides


@dataclass(frozen=True, slots=True)
class ClockBands:
    """The greatest drift, ahead or behind, for which each action is chosen; `guard` is kept from every boundary."""

    fine: timedelta = timedelta(seconds=5)
    adjust: timedelta = timedelta(seconds=60)
    set: timedelta = timedelta(minutes=10)
    guard: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        if not timedelta(0) <= self.fine <= self.adjust <= self.set:
            raise ConfigurationError(
                "the drift bands of clocks must not fall: fine, adjust, set",
                next_step="write them in rising order, like 5, 60 and 600 seconds",
            )


class ClockDecision(NamedTuple):
    """What to do, and from when on it may be done; the drift is taken to stay what it is until then."""

    action: ClockAction
    not_before: datetime


def decide(ahead: timedelta, now: datetime, period: timedelta, bands: ClockBands) -> ClockDecision:
    """The action for a clock that is this far ahead (behind when negative) of ours; `period` ends on its multiples."""
    drift = abs(ahead)
    if drift <= bands.fine:
        return ClockDecision(ClockAction.NONE, now)
    if drift > bands.set or drift + 2 * bands.guard >= period:
        return ClockDecision(ClockAction.ALARM, now)
    action = ClockAction.ADJUST if drift <= bands.adjust else ClockAction.SET
    return ClockDecision(action, may_move_from(ahead, now, period, bands.guard))


def may_move_from(ahead: timedelta, now: datetime, period: timedelta, guard: timedelta) -> datetime:
    """The first instant from now on at which moving the clock crosses no boundary and comes no nearer than `guard`.

    Raise ConfigurationError when the move and its guards are as long as the period: there is no such instant.
    """
    if abs(ahead) + 2 * guard >= period:
        raise ConfigurationError(
            f"a clock that is off by {abs(ahead)} cannot be moved within one period of {period}",
            next_step="let a person set it, and mark the rows around as suspect",
        )
    first = now + min(ahead, timedelta(0)) - guard
    last = now + max(ahead, timedelta(0)) + guard
    boundary = EPOCH + (last - EPOCH) // period * period
    return now if boundary < first else now + (boundary - first) + timedelta(microseconds=1)
