"""Half-open stretches of time, in instants and in epoch seconds, and what is inside and outside of them."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple


class EpochSpan(NamedTuple):
    """[start_s, end_s) in epoch seconds."""

    start_s: int
    end_s: int


class TimeSpan(NamedTuple):
    """[start, end) in aware UTC."""

    start: datetime
    end: datetime

    def common(self, other: "TimeSpan") -> "TimeSpan | None":
        """What lies in both, None for nothing."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return TimeSpan(start, end) if start < end else None


def without(spans: Iterable[TimeSpan], taken: TimeSpan) -> list[TimeSpan]:
    """What is left of the spans outside of `taken`."""
    parts = (
        part for one in spans
        for part in (TimeSpan(one.start, min(one.end, taken.start)), TimeSpan(max(one.start, taken.end), one.end))
    )  # fmt: skip
    return [part for part in parts if part.start < part.end]


def within(spans: Iterable[TimeSpan], frame: TimeSpan) -> list[TimeSpan]:
    """What of the spans lies inside of `frame`."""
    return [part for one in spans if (part := one.common(frame)) is not None]


def united(ordered: Iterable[TimeSpan], bridge: timedelta = timedelta(0)) -> Iterator[TimeSpan]:
    """Spans in order of their starts, joined where they overlap or are no more than `bridge` apart."""
    open_span: TimeSpan | None = None
    for span in ordered:
        if open_span is None:
            open_span = span
        elif span.start <= open_span.end + bridge:
            open_span = TimeSpan(open_span.start, max(open_span.end, span.end))
        else:
            yield open_span
            open_span = span
    if open_span is not None:
        yield open_span
