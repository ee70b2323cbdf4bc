"""One word for how a meter is doing, from the latest word on its collection; map, lists and filters share it."""

from datetime import timedelta
from enum import StrEnum

from amity.domain.collection import Outcome
from amity.usecases.ports import CollectionState

CLOCK_TOLERANCE = timedelta(minutes=3)  # the usual "time tolerance" of validation before data are collected


class Condition(StrEnum):
    """Ordered from well to unwell; `waiting` is a meter that nobody tried yet."""

    ANSWERED = "answered"
    INCOMPLETE = "incomplete"
    WAITING = "waiting"
    FAILING = "failing"
    SILENT = "silent"


_CONDITION_OF = {
    Outcome.COMPLETE: Condition.ANSWERED,
    Outcome.PUSHED: Condition.ANSWERED,
    Outcome.PARTIAL: Condition.INCOMPLETE,
    Outcome.SILENT: Condition.SILENT,
    Outcome.REFUSED: Condition.SILENT,
    Outcome.BROKEN: Condition.FAILING,
    Outcome.REJECTED: Condition.FAILING,
    Outcome.WRONG_KEY: Condition.FAILING,
}


def condition_of(state: CollectionState | None) -> Condition:
    """The condition that a collection state stands for."""
    return Condition.WAITING if state is None else _CONDITION_OF[state.outcome]


def clock_is_off(state: CollectionState) -> bool:
    """True when the meter's clock was read and differs from ours by more than the tolerance."""
    return state.clock_offset_s is not None and abs(state.clock_offset_s) > CLOCK_TOLERANCE.total_seconds()
