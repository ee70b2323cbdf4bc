"""The single values of schedules.toml: spans, windows, dates, ranges, names; what is none is told with an example."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from ipaddress import ip_network
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from amity.domain.jobs import Blackout, Network, Priority

_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(\d{1,6})\s*(s|min|h|d)")
_WINDOW = re.compile(r"(?:([a-z,-]+)\s+)?(\d{1,2}:\d\d)\s*-\s*(\d{1,2}:\d\d)")


def _span_of(text: object) -> timedelta:
    """`20 min`, `6 h`, `90 s`, `1 d`; raise ValueError for anything else."""
    match = _SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is no span of time: write it like '20 min', '6 h', '90 s' or '1 d'")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _span_from(least: str) -> Callable[[object], timedelta]:
    def read(text: object) -> timedelta:
        span = _span_of(text)
        if span < _span_of(least):
            raise ValueError(f"{text!r} is too short: it must be {least} at least")
        return span

    return read


def _blackout_of(text: object) -> Blackout:
    """`07:00-09:00`, `mon-fri 22:00-04:00`, `sat,sun 00:00-24:00`; raise ValueError for anything else."""
    match = _WINDOW.fullmatch(text.strip().lower()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is no window: write it like 'mon-fri 07:00-09:00'")
    days, start, end = match.groups()
    return Blackout(_time_of(start), _time_of(end), _days_of(days) if days else frozenset(range(7)))


def _time_of(text: str) -> time:
    hour, minute = map(int, text.split(":"))
    if (hour, minute) == (24, 0):
        return time()
    try:
        return time(hour, minute)
    except ValueError:
        raise ValueError(f"{text} is no time of day: write 00:00 to 24:00") from None


def _days_of(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise ValueError(f"{part!r} is no day of the week: write mon, tue, wed, thu, fri, sat or sun")
        start = _DAYS.index(first)
        count = (_DAYS.index(last) - start) % 7 + 1 if dash else 1
        days |= {(start + step) % 7 for step in range(count)}
    return frozenset(days)


def _instant_of(value: object) -> datetime:
    """A date or date-time of TOML, or one in quotes; what has no zone is UTC."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} is no date: write it like 2026-11-20, or 2026-11-20T06:00:00Z") from None


def _network_of(text: object) -> Network:
    try:
        return ip_network(str(text))
    except ValueError:
        raise ValueError(
            f"{text!r} is no address range: write it like 10.7.0.0/16, with no bits behind the prefix"
        ) from None


def _priority_of(text: object) -> Priority:
    words = {priority.name.lower().replace("_", "-"): priority for priority in Priority}
    if not isinstance(text, str) or text not in words:
        allowed = ", ".join(map(repr, words))
        raise PydanticCustomError("enum", "one of {expected}", {"expected": allowed})
    return words[text]


def _name_of(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text):
        raise ValueError(f"{text!r} is no name: write up to 64 letters, digits, '_', '.' and '-'")
    return text


def _gate_of(text: str) -> str:
    if not re.fullmatch(r"(collector|cell|network):.+", text):
        raise ValueError(f"{text!r} is no gate: write collector:NAME, cell:NAME or network:RANGE, in quotes")
    return text


def _some(chosen: tuple[Any, ...]) -> tuple[Any, ...]:
    if not chosen:
        raise ValueError("an empty list selects no meter: leave the key out for all")
    return chosen


Span = Annotated[timedelta, BeforeValidator(_span_of)]
Interval = Annotated[timedelta, BeforeValidator(_span_from("5 s"))]
Deadline = Annotated[timedelta, BeforeValidator(_span_from("1 s"))]
Window = Annotated[Any, BeforeValidator(_blackout_of)]
_Range = Annotated[Any, BeforeValidator(_network_of)]
Urgency = Annotated[Any, BeforeValidator(_priority_of)]
Instant = Annotated[datetime, BeforeValidator(_instant_of)]
Name = Annotated[str, AfterValidator(_name_of)]
Gate = Annotated[str, AfterValidator(_gate_of)]
Names = Annotated[tuple[str, ...], AfterValidator(_some)]
Ranges = Annotated[tuple[_Range, ...], AfterValidator(_some)]
Count = Annotated[int, Field(strict=True)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=86_400)]
