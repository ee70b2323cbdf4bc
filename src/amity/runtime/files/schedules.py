"""schedules.toml: when meters are read and under which rules; what is wrong is named with line and key."""

import re
import tomllib
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from amity.domain.jobs import Blackout, GroupSelector, JobKind, MissedFires, Network, Priority, ReadingSchedule
from amity.headend.jobs.calendar import Calendar
from amity.headend.jobs.clock_policy import ClockBands
from amity.headend.jobs.plan import JobPlan
from amity.headend.jobs.retry import RetryRules
from amity.headend.jobs.throttle import Limit, ThrottleRules
from amity.headend.watched_file import WatchedFile
from amity.kernel.backoff import Backoff
from amity.kernel.errors import ConfigurationError

_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(\d{1,6})\s*(s|min|h|d)")
_WINDOW = re.compile(r"(?:([a-z,-]+)\s+)?(\d{1,2}:\d\d)\s*-\s*(\d{1,2}:\d\d)")


class ScheduleFile(WatchedFile[JobPlan]):
    """Holds the plan in force; a bad edit is refused and changes nothing."""

    def __init__(self, path: Path, last_good: Path | None = None) -> None:
        """Read the file, written with every key explained if there is none.

        Raise ConfigurationError when neither the file nor a last good copy is usable, StorageError when the disk fails.
        """
        super().__init__(path, parse_plan, packaged_text, last_good)

    @property
    def plan(self) -> JobPlan:
        """The plan in force."""
        return self.content


def packaged_text() -> str:
    """The file as it is before anybody edits it: no schedule, every key explained."""
    return files(__package__).joinpath("schedules.default.toml").read_text(encoding="utf-8")


def parse_plan(text: str, name: str) -> JobPlan:
    """Raise ConfigurationError with line, key and reason."""
    try:
        return _File.model_validate(tomllib.loads(text)).plan()
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name}: {error}", next_step="correct that line") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = _located(text, first["loc"])
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigurationError(
            f"{name}{where}: {reason}",
            next_step="correct it; docs/jobs.md has every key, `amity schedules check` tries",
        ) from error


def _located(text: str, loc: Sequence[int | str]) -> str:
    """`, line 7: schedule 2 (night), cron`, as far as the text shows it."""
    keys = [str(part) for part in loc if isinstance(part, str)]
    position = next((part for part in loc if isinstance(part, int)), None)
    line = _line_of(text.splitlines(), keys, position)
    words = ".".join(keys) + (f" of number {position + 1}" if position is not None else "")
    return (f", line {line}" if line else "") + (f": {words}" if words else "")


def _line_of(lines: Sequence[str], keys: Sequence[str], position: int | None) -> int:
    """The line of the innermost key that stands there, counted from 1; 0 when none does."""
    found, number, seen = 0, 0, -1
    header: tuple[str, ...] = ()
    for number, line in enumerate(lines, start=1):
        if head := re.match(r"\s*\[+([^\]]*)\]", line):
            header = tuple(part.strip(" \"'") for part in head[1].split(".", 2))
            seen += head[0].lstrip().startswith("[[")
            if header == tuple(keys[: len(header)]) and (position is None or seen == position):
                found = number
        elif header == tuple(keys[:-1]) and (position is None or seen == position):
            key = line.partition("=")[0].strip(" \"'")
            found = number if keys and key == keys[-1] else found
    return found


# ------------------------------------------------------------------ single values
def span_of(text: object) -> timedelta:
    """`20 min`, `6 h`, `90 s`, `1 d`; raise ValueError for anything else."""
    match = _SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is no span of time: write it like '20 min', '6 h', '90 s' or '1 d'")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def blackout_of(text: object) -> Blackout:
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
    return time(hour, minute)


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
    """A TOML date or date-time; what has no zone is UTC."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise ValueError("write a date like 2026-11-20, or a time like 2026-11-20T06:00:00Z")  # noqa: TRY004 - for pydantic
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _network_of(text: object) -> Network:
    return ip_network(str(text))


def _priority_of(text: object) -> Priority:
    words = {priority.name.lower().replace("_", "-"): priority for priority in Priority}
    if text not in words:
        raise ValueError(f"{text!r} is no priority: write {', '.join(words)}")
    return words[str(text)]


_Span = Annotated[timedelta, BeforeValidator(span_of)]
_Window = Annotated[Any, BeforeValidator(blackout_of)]
_Range = Annotated[Any, BeforeValidator(_network_of)]
_Class = Annotated[Any, BeforeValidator(_priority_of)]
_Instant = Annotated[datetime, BeforeValidator(_instant_of)]
_Seconds = Annotated[float, Field(ge=0, le=86_400)]


# ------------------------------------------------------------------ the file
class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Schedule(_Table):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    cron: str = ""
    every: Annotated[_Span, Field(ge=timedelta(seconds=5))] | None = None
    zone: str = "UTC"
    read: Annotated[tuple[JobKind, ...], Field(min_length=1)]
    meters: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    networks: tuple[_Range, ...] = ()
    jitter: _Span = timedelta(0)
    blackouts: tuple[_Window, ...] = ()
    deadline: Annotated[_Span, Field(gt=timedelta(0))] | None = None
    priority: _Class = Priority.SCHEDULED
    missed: MissedFires = MissedFires.COALESCE
    valid_from: _Instant | None = None
    valid_until: _Instant | None = None

    @model_validator(mode="after")
    def _can_fire(self) -> "_Schedule":
        if bool(self.cron) == (self.every is not None):
            raise ValueError("a schedule has either cron or every")
        try:
            Calendar(self.schedule()).check()
        except ConfigurationError as error:
            raise ValueError(error.what) from error
        return self

    def schedule(self) -> ReadingSchedule:
        return ReadingSchedule(
            name=self.name,
            cron=self.cron or "* * * * *",
            zone=self.zone,
            kinds=tuple(dict.fromkeys(self.read)),
            every=self.every,
            group=GroupSelector(self.meters, frozenset(self.profiles), self.networks),
            priority=self.priority,
            jitter=self.jitter,
            blackouts=self.blackouts,
            deadline=self.deadline,
            missed=self.missed,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
        )


class _Limit(_Table):
    sessions: Annotated[int, Field(ge=0)] | None = None
    per_second: Annotated[float, Field(gt=0, le=100_000)] | None = None
    burst: Annotated[int, Field(ge=1)] = 1

    def limit(self) -> Limit:
        return Limit(self.sessions, self.per_second, self.burst)


class _Throttle(_Table):
    all: _Limit = _Limit()
    collector: _Limit = _Limit()
    cell: _Limit = _Limit()
    network: _Limit = _Limit()
    named: dict[Annotated[str, Field(pattern=r"^(collector|cell|network):.+$")], _Limit] = {}

    def rules(self) -> ThrottleRules:
        named = {name: one.limit() for name, one in self.named.items()}
        return ThrottleRules(self.all.limit(), self.collector.limit(), self.cell.limit(), self.network.limit(), named)


class _Retry(_Table):
    attempts: Annotated[int, Field(ge=1, le=100)] = 6
    tries_a_day: Annotated[int, Field(ge=1)] = 24
    base_s: _Seconds = 10.0
    limit_s: _Seconds = 3600.0

    def rules(self) -> RetryRules:
        return RetryRules(self.attempts, self.tries_a_day, Backoff(self.base_s, self.limit_s))


class _Clock(_Table):
    fine_s: _Seconds = 5
    adjust_s: Annotated[float, Field(ge=0, le=900)] = 60  # shift_time moves by 900 s at most
    set_s: _Seconds = 600
    guard_s: _Seconds = 30

    @model_validator(mode="after")
    def _rises(self) -> "_Clock":
        try:
            self.bands()
        except ConfigurationError as error:
            raise ValueError(error.what) from error
        return self

    def bands(self) -> ClockBands:
        return ClockBands(*(timedelta(seconds=one) for one in (self.fine_s, self.adjust_s, self.set_s, self.guard_s)))


class _File(_Table):
    schedule: tuple[_Schedule, ...] = ()
    throttle: _Throttle = _Throttle()
    retry: _Retry | None = None
    clock: _Clock = _Clock()
    take_along: _Span = timedelta(0)

    @model_validator(mode="after")
    def _names_differ(self) -> "_File":
        names = [one.name for one in self.schedule]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two schedules are called {twice!r}")
        return self

    def plan(self) -> JobPlan:
        return JobPlan(
            schedules=tuple(one.schedule() for one in self.schedule),
            throttle=self.throttle.rules(),
            retry=self.retry.rules() if self.retry is not None else None,
            clock=self.clock.bands(),
            take_along=self.take_along,
        )
