"""schedules.toml: when meters are read and under which rules; what is wrong is named with line and key."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from amity.domain.jobs import Blackout, GroupSelector, JobKind, MissedFires, Priority, ReadingSchedule
from amity.headend.jobs.calendar import Calendar
from amity.headend.jobs.clock_policy import ClockBands
from amity.headend.jobs.plan import JobPlan
from amity.headend.jobs.retry import RetryRules
from amity.headend.jobs.throttle import Limit, ThrottleRules
from amity.headend.watched_file import WatchedFile
from amity.kernel.backoff import Backoff
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import isoformat
from amity.runtime.files.schedule_values import (
    Count,
    Deadline,
    Gate,
    Instant,
    Interval,
    Name,
    Names,
    Ranges,
    Seconds,
    Span,
    Urgency,
    Window,
)
from amity.runtime.files.toml_refusal import TomlText


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
    source = TomlText.parsed(name, text)
    try:
        file = _File.model_validate(source.document)
    except ValidationError as error:
        raise source.refused(error, _known_keys) from error
    file.check_names(source)
    return file.plan()


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Schedule(_Table):
    name: Name
    cron: str = ""
    every: Interval | None = None
    zone: str = "UTC"
    read: Annotated[tuple[JobKind, ...], Field(min_length=1)]
    meters: Names = ()
    profiles: Names = ()
    networks: Ranges = ()
    jitter: Span = timedelta(0)
    blackouts: tuple[Window, ...] = ()
    deadline: Deadline | None = None
    priority: Urgency = Priority.SCHEDULED
    missed: MissedFires = MissedFires.COALESCE
    valid_from: Instant | None = None
    valid_until: Instant | None = None

    @field_validator("cron")
    @classmethod
    def _comes(cls, cron: str) -> str:
        if cron:
            _check(cron=cron)
        return cron

    @field_validator("zone")
    @classmethod
    def _is_there(cls, zone: str) -> str:
        _check(zone=zone)
        return zone

    @field_validator("jitter")
    @classmethod
    def _ends_before_the_next_fire(cls, jitter: timedelta, info: ValidationInfo) -> timedelta:
        cron, every = info.data.get("cron"), info.data.get("every")
        if bool(cron) == (every is not None):  # told elsewhere
            return jitter
        period = _calendar(cron=cron or "* * * * *", every=every).shortest_period
        if period is not None and jitter > period:
            raise ValueError(f"{jitter} is longer than {period}, the shortest time between two fires")
        return jitter

    @field_validator("blackouts")
    @classmethod
    def _leave_time(cls, blackouts: tuple[Blackout, ...], info: ValidationInfo) -> tuple[Blackout, ...]:
        _check(name=info.data.get("name", ""), zone=info.data.get("zone", "UTC"), blackouts=blackouts)
        return blackouts

    @field_validator("valid_until")
    @classmethod
    def _comes_after(cls, until: datetime | None, info: ValidationInfo) -> datetime | None:
        begins = info.data.get("valid_from")
        if until is not None and begins is not None and until <= begins:
            raise ValueError(f"{isoformat(until)} is not after valid_from, {isoformat(begins)}")
        return until

    @model_validator(mode="after")
    def _can_fire(self) -> "_Schedule":
        if bool(self.cron) == (self.every is not None):
            raise ValueError("a schedule has either cron or every")
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


def _check(**keys: Any) -> None:
    """Raise ValueError when a schedule with these keys could never fire, or never let a job begin."""
    try:
        _calendar(**keys).check()
    except ConfigurationError as error:
        raise ValueError("; ".join(filter(None, (error.what, error.next_step)))) from error


def _calendar(**keys: Any) -> Calendar:
    """Of a schedule with these keys, and as few others as there may be."""
    usual = {"name": "", "cron": "* * * * *", "zone": "UTC", "kinds": ()}
    return Calendar(ReadingSchedule(**{**usual, **keys}))


class _Limit(_Table):
    sessions: Annotated[Count, Field(ge=0)] | None = None
    per_second: Annotated[float, Field(strict=True, gt=0, le=100_000)] | None = None
    burst: Annotated[Count, Field(ge=1)] = 1

    def limit(self) -> Limit:
        return Limit(self.sessions, self.per_second, self.burst)


class _LimitOfAll(_Limit):
    """One gate may be shut by its name; all of them would stop the head-end."""

    @field_validator("sessions")
    @classmethod
    def _lets_through(cls, sessions: int | None) -> int | None:
        if sessions == 0:
            raise ValueError("with 0 sessions no meter would be read: only a gate under [throttle.named] may be shut")
        return sessions


class _Throttle(_Table):
    all: _LimitOfAll = _LimitOfAll()
    collector: _LimitOfAll = _LimitOfAll()
    cell: _LimitOfAll = _LimitOfAll()
    network: _LimitOfAll = _LimitOfAll()
    named: dict[Gate, _Limit] = {}

    def rules(self) -> ThrottleRules:
        named = {name: one.limit() for name, one in self.named.items()}
        return ThrottleRules(self.all.limit(), self.collector.limit(), self.cell.limit(), self.network.limit(), named)


class _Retry(_Table):
    attempts: Annotated[Count, Field(ge=1, le=100)] = 6
    tries_a_day: Annotated[Count, Field(ge=1)] = 24
    base_s: Seconds = 10.0
    limit_s: Annotated[Seconds, Field(validate_default=True)] = 3600.0

    @field_validator("limit_s")
    @classmethod
    def _covers_the_base(cls, limit_s: float, info: ValidationInfo) -> float:
        base_s = info.data.get("base_s", 0.0)
        if limit_s < base_s:
            raise ValueError(f"{limit_s:g} is less than base_s, {base_s:g}")
        return limit_s

    def rules(self) -> RetryRules:
        return RetryRules(self.attempts, self.tries_a_day, Backoff(self.base_s, self.limit_s))


class _Clock(_Table):
    fine_s: Seconds = 5
    adjust_s: Annotated[float, Field(strict=True, ge=0, le=900)] = 60  # shift_time moves by 900 s at most
    set_s: Seconds = 600
    guard_s: Seconds = 30

    @model_validator(mode="after")
    def _rises(self) -> "_Clock":
        try:
            self.bands()
        except ConfigurationError as error:
            raise ValueError(error.what) from error
        return self

    def bands(self) -> ClockBands:
        return ClockBands(*(timedelta(seconds=one) for one in (self.fine_s, self.adjust_s, self.set_s, self.guard_s)))


def _several(written: object) -> object:
    if isinstance(written, dict):
        raise ValueError("there may be several of them: write [[schedule]], with two pairs of brackets")  # noqa: TRY004 - for pydantic
    return written


class _File(_Table):
    schedule: Annotated[tuple[_Schedule, ...], BeforeValidator(_several)] = ()
    throttle: _Throttle = _Throttle()
    retry: _Retry | None = None
    clock: _Clock = _Clock()
    take_along: Span = timedelta(0)

    def check_names(self, source: TomlText) -> None:
        """Raise ConfigurationError at the second of two schedules that have one name."""
        names = [one.name for one in self.schedule]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise source.refusal(("schedule", number, "name"), f"two schedules are called {name!r}")

    def plan(self) -> JobPlan:
        return JobPlan(
            schedules=tuple(one.schedule() for one in self.schedule),
            throttle=self.throttle.rules(),
            retry=self.retry.rules() if self.retry is not None else None,
            clock=self.clock.bands(),
            take_along=self.take_along,
        )


_TABLES: Final[dict[str, type[_Table]]] = {
    "schedule": _Schedule,
    "throttle": _Throttle,
    "retry": _Retry,
    "clock": _Clock,
}


def _known_keys(tables: Sequence[str]) -> Collection[str]:
    if not tables:
        return _File.model_fields
    return (_TABLES[tables[0]] if len(tables) == 1 else _Limit).model_fields
