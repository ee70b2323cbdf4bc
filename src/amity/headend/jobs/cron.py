"""Five-field cron expressions in a time zone, exact where clocks change.

Fields and their meaning as in IEEE 1003.1 (`crontab`), with the steps and names of Vixie cron: minute, hour, day of
month, month, day of week; where both days are restricted, either one suffices. Around a change of the clocks, as in
Vixie cron: a schedule whose hour field names hours keeps to the wall clock, so it fires exactly once on every day that
it names: a time that is skipped fires when the gap ends, a time that comes twice fires the first time. One that says
`*` or `*/n` for the hour keeps to elapsed time: it fires in both passes of a repeated hour, and not for skipped times.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from amity.kernel.errors import ConfigurationError
from amity.kernel.time import time_zone

_DAYS_AHEAD_MAX: Final = 366 * 9
"""29 February comes again after eight years at the latest (around 1900 and 2100)."""
_SOME_DAY: Final = date(2000, 1, 1)
_ONE_DAY: Final = timedelta(days=1)

_MONTHS: Final = dict(
    zip(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), range(1, 13), strict=True)
)
_WEEKDAYS: Final = dict(zip(("sun", "mon", "tue", "wed", "thu", "fri", "sat"), range(7), strict=True))
_NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: dict[str, int]


_FIELDS: Final = (
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of month", 1, 31, {}),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression; `elapsed` is true where it keeps to elapsed time. Weekdays count from Sunday, 0."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    elapsed: bool
    zone: ZoneInfo

    def after(self, instant: datetime) -> datetime | None:
        """The first fire strictly after the instant, in UTC; None when there is none in nine years."""
        day = instant.astimezone(self.zone).date() - timedelta(days=1)
        for _ in range(_DAYS_AHEAD_MAX):
            if self._on(day):
                later = next((fire for fire in _fires_of_day(self, day) if fire > instant), None)
                if later is not None:
                    return later
            if day >= _LAST_DAY:
                return None
            day += timedelta(days=1)
        return None

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Every fire in (after, until], in order."""
        fire = self.after(after)
        while fire is not None and fire <= until:
            yield fire
            fire = self.after(fire)

    def shortest_gap(self) -> timedelta | None:
        """The least time between two fires by the clock on the wall; None when there are no two."""
        shown = [timedelta(hours=hour, minutes=minute) for hour in self.hours for minute in self.minutes]
        gaps = [later - earlier for earlier, later in pairwise(shown)]
        days = self._least_days_between()
        if days is not None:
            gaps.append(days + shown[0] - shown[-1])
        return min(gaps) if gaps and days is not None else None

    def _least_days_between(self) -> timedelta | None:
        """Whatever comes twice does so within nine years: which, does not matter."""
        days = (_SOME_DAY + timedelta(days=ahead) for ahead in range(_DAYS_AHEAD_MAX))
        least: timedelta | None = None
        for earlier, later in pairwise(day for day in days if self._on(day)):
            least = later - earlier if least is None else min(least, later - earlier)
            if least == _ONE_DAY:
                break
        return least

    def _on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_month, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (by_month or by_week) if self.either_day else (by_month and by_week)


_LAST_DAY: Final = date.max - timedelta(days=2)


@lru_cache(maxsize=256)
def _fires_of_day(cron: Cron, day: date) -> tuple[datetime, ...]:
    """The instants at which the expression fires on a local day, in order, each once."""
    clock_times = (datetime.combine(day, time(hour, minute)) for hour in cron.hours for minute in cron.minutes)
    return tuple(sorted({instant for shown in clock_times for instant in _instants(shown, cron)}))


def _instants(shown: datetime, cron: Cron) -> tuple[datetime, ...]:
    """When the clock on the wall shows this time, by the rule at the head of this module."""
    first, second = (shown.replace(tzinfo=cron.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return (first,)
    if first < second:  # it comes twice
        return (first, second) if cron.elapsed else (first,)
    return () if cron.elapsed else (offset_change(second, first, cron.zone),)


def offset_change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The instant in (before, after] at which the zone's offset changes, on a whole second."""
    before = before.replace(microsecond=0)
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


# ------------------------------------------------------------------ reading expressions
def parse_cron(expression: str, zone: str) -> Cron:
    """Raise ConfigurationError that names the field and what is wrong with it."""
    words = _NICKNAMES.get(expression.strip().lower(), expression).split()
    if len(words) != len(_FIELDS):
        raise ConfigurationError(
            f"the cron expression {expression!r} has {len(words)} fields, not 5",
            next_step="write minute, hour, day of month, month, day of week, like '15 2 * * *'",
        )
    minutes, hours, days, months, weekdays = (_values(f, word) for f, word in zip(_FIELDS, words, strict=True))
    return Cron(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        either_day=not (words[2].startswith("*") or words[4].startswith("*")),
        elapsed=words[1].startswith("*"),
        zone=time_zone(zone),
    )


def _values(of: _Field, word: str) -> frozenset[int]:
    return frozenset(value for part in word.split(",") for value in _part(of, part))


def _part(of: _Field, part: str) -> range:
    """`*`, `n`, `n-m`, each but `n` with `/step`."""
    span, slash, step_word = part.partition("/")
    step = _number(of, step_word, 1, of.high) if slash else 1
    if span == "*":
        high = 6 if of.names is _WEEKDAYS else of.high
        return range(of.low, high + 1, step)
    low_word, dash, high_word = span.partition("-")
    low = _number(of, low_word, of.low, of.high)
    if not dash:
        if slash:
            raise _refusal(of, part, "a step needs * or a range before it")
        return range(low, low + 1)
    high = _number(of, high_word, of.low, of.high)
    if high == 0 and of.names is _WEEKDAYS:
        high = 7  # fri-sun
    if high < low:
        raise _refusal(of, part, "the range ends before it begins")
    return range(low, high + 1, step)


def _number(of: _Field, word: str, low: int, high: int) -> int:
    value = of.names.get(word.lower())
    if value is None and word.isascii() and word.isdecimal() and len(word) <= 2:  # noqa: PLR2004 - digits of any field
        value = int(word)
    if value is None or not low <= value <= high:
        raise _refusal(of, word, f"write {low} to {high}" + (", or a name" if of.names else ""))
    return value


def _refusal(of: _Field, word: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"cron: {word!r} is no {of.name}: {why}", next_step="see docs/jobs.md for the fields")
