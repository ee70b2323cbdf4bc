"""The intervals that a job asked for and the meter did not have.

A session that brought all the meter had is done; whether that was all there should be is judged by what it lacks.
"""

from collections.abc import Iterable
from typing import Final

from amity.domain.spans import TimeSpan
from amity.kernel.time import isoformat

_SPANS_MAX: Final = 16


def lacking_kept(spans: Iterable[TimeSpan]) -> tuple[TimeSpan, ...]:
    """As a job keeps them, in order; of more than 16 stretches the last one kept reaches to the end of all."""
    found = sorted(spans)
    if len(found) > _SPANS_MAX:
        found = [*found[: _SPANS_MAX - 1], TimeSpan(found[_SPANS_MAX - 1].start, max(one.end for one in found))]
    return tuple(found)


def lacking_told(spans: Iterable[TimeSpan]) -> str:
    """In words, as ISO 8601 intervals; empty for nothing."""
    told = ", ".join(f"{isoformat(one.start)}/{isoformat(one.end)}" for one in spans)
    return f"the meter had no rows for {told}" if told else ""
