"""What a job that was done says of the intervals that the meter did not have, as ISO 8601 intervals in its words.

A session that brought all the meter had is done; whether that was all there should be is judged by these words.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from amity.domain.spans import TimeSpan
from amity.kernel.time import isoformat

_WORDS: Final = "the meter had no rows for "
_BETWEEN: Final = ", "
_SPANS_MAX: Final = 16
_SPAN: Final = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+Z)/(\d{4}-\d\d-\d\dT[\d:.]+Z)", re.ASCII)


def lacking_told(spans: Iterable[TimeSpan]) -> str:
    """Words of a job's `told`; empty for nothing. Beyond 16 stretches the last one told reaches to the end of all."""
    found = sorted(spans)
    if len(found) > _SPANS_MAX:
        found = [*found[: _SPANS_MAX - 1], TimeSpan(found[_SPANS_MAX - 1].start, max(one.end for one in found))]
    told = _BETWEEN.join(f"{isoformat(one.start)}/{isoformat(one.end)}" for one in found)
    return _WORDS + told if told else ""


def lacking_of(told: str) -> tuple[TimeSpan, ...]:
    """The stretches in the words of a job that was done; none in any other words."""
    return tuple(_spans(told)) if told.startswith(_WORDS) else ()


def _spans(told: str) -> Iterator[TimeSpan]:
    for start, end in _SPAN.findall(told):
        yield TimeSpan(datetime.fromisoformat(start), datetime.fromisoformat(end))
