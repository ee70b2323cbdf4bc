"""What a job that was done says of the intervals that the meter did not have, as ISO 8601 intervals in its words.

A session that brought all the meter had is done; whether that was all there should be is judged by these words.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from amity.domain.jobs import Span
from amity.kernel.time import isoformat

_WORDS: Final = "the meter had no rows for "
_BETWEEN: Final = ", "
_SPANS_MAX: Final = 16
_SPAN: Final = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+Z)/(\d{4}-\d\d-\d\dT[\d:.]+Z)", re.ASCII)


def lacking_told(spans: Iterable[Span]) -> str:
    """Words of a job's `told`; empty for nothing. Beyond 16 stretches the last one told reaches to the end of all."""
    found = sorted(spans)
    if len(found) > _SPANS_MAX:
        found = [*found[: _SPANS_MAX - 1], Span(found[_SPANS_MAX - 1].start, max(one.end for one in found))]
    told = _BETWEEN.join(f"{isoformat(one.start)}/{isoformat(one.end)}" for one in found)
    return _WORDS + told if told else ""


def lacking_of(told: str) -> tuple[Span, ...]:
    """The stretches in the words of a job that was done; none in any other words."""
    return tuple(_spans(told)) if told.startswith(_WORDS) else ()


def _spans(told: str) -> Iterator[Span]:
    for start, end in _SPAN.findall(told):
        yield Span(datetime.fromisoformat(start), datetime.fromisoformat(end))


def without(spans: Iterable[Span], taken: Span) -> list[Span]:
    """What is left of the spans outside of `taken`."""
    parts = (
        part for one in spans
        for part in (Span(one.start, min(one.end, taken.start)), Span(max(one.start, taken.end), one.end))
    )  # fmt: skip
    return [part for part in parts if part.start < part.end]


def within(spans: Iterable[Span], frame: Span) -> list[Span]:
    """What of the spans lies inside of `frame`."""
    return [part for one in spans if (part := one.common(frame)) is not None]
