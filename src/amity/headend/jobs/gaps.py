"""From the intervals that are missing to the few ranges that are worth asking a meter for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from amity.domain.readings import Int64Column
from amity.domain.spans import TimeSpan, united
from amity.kernel.time import epoch_s, from_epoch_s


@dataclass(frozen=True, slots=True)
class BackfillRules:
    """Ranges closer than `bridge` rows are asked for as one: a request costs as much as that many rows.

    One job asks for at most `span_max`. What a meter did not have is asked for once more, so much `later`.
    """

    bridge: int = 8
    span_max: timedelta = timedelta(days=7)
    later: timedelta = timedelta(hours=1)


class Backfill(NamedTuple):
    """What to ask for, oldest first, and what the meter no longer holds."""

    ranges: tuple[TimeSpan, ...]
    lost: tuple[TimeSpan, ...]


def gaps_of_channel(starts: Int64Column, window: TimeSpan, period_s: int) -> list[TimeSpan]:
    """The stretches of the window without an interval. `starts`: int64[n], epoch seconds, increasing, on the grid."""
    first, end = epoch_s(window.start), epoch_s(window.end)
    inside = starts[(starts >= first) & (starts < end)]
    edges = np.concatenate(([first - period_s], inside, [end]))
    (before,) = np.nonzero(np.diff(edges) > period_s)
    return [
        TimeSpan(from_epoch_s(int(edges[index]) + period_s), from_epoch_s(int(edges[index + 1])))
        for index in before
        if edges[index] + period_s < edges[index + 1]
    ]


def backfill(
    missing: Iterable[TimeSpan], *, period_s: int, entries_max: int, now: datetime, rules: BackfillRules
) -> Backfill:
    """The fewest ranges on the grid of `period_s` that hold everything missing that a meter can still have.

    Its profile keeps the newest `entries_max` rows; what is older is lost. What has not ended by now is left out.
    The spans of several channels may overlap: one row of a profile brings them all.
    """
    period = timedelta(seconds=period_s)
    newest_end = from_epoch_s(epoch_s(now) // period_s * period_s)
    held = TimeSpan(newest_end - entries_max * period, newest_end)
    wanted = list(united(_on_grid(missing, period_s), timedelta(0)))
    reachable = [part for span in wanted if (part := span.common(held))]
    lost = [part for span in wanted if (part := span.common(TimeSpan(span.start, held.start)))]
    bridged = united(reachable, rules.bridge * period)
    return Backfill(tuple(piece for span in bridged for piece in _pieces(span, rules.span_max)), tuple(lost))


def _on_grid(spans: Iterable[TimeSpan], period_s: int) -> list[TimeSpan]:
    """Widened to whole intervals."""
    return sorted(
        TimeSpan(
            from_epoch_s(epoch_s(span.start) // period_s * period_s),
            from_epoch_s(-(-_ceil_s(span.end) // period_s) * period_s),
        )
        for span in spans
        if span.start < span.end
    )


def _ceil_s(instant: datetime) -> int:
    return epoch_s(instant) + (instant.microsecond > 0)


def _pieces(span: TimeSpan, most: timedelta) -> Iterator[TimeSpan]:
    start = span.start
    while start < span.end:
        yield TimeSpan(start, min(start + most, span.end))
        start += most
