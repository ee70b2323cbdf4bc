"""What was promised, as TOML.

title = "Night reading"
zone = "Europe/London"          # days and times of day are those of this zone

[[measure]]                     # share of meters whose day is complete by a time of the next day
kind = "completeness"
name = "complete by 06:00"
by = "06:00"                    # 00:00 to 24:00; or within_h = 8, hours from the midnight that ended the day
target = 0.98                   # optional: without one the share is told and nothing is judged
source = "the contract, 4.2"    # optional: where the number is from; without one it is ours

[[measure]]                     # share of jobs done within so many seconds of being asked for
kind = "latency"
name = "on demand within 25 s"
priorities = ["on-demand"]      # optional: of these; jobs = ["ping", …] likewise
within_s = 25

[[measure]]                     # share of jobs that succeeded
kind = "success"
name = "commands"
jobs = ["clock-set"]
"""

import tomllib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from importlib import resources
from typing import Any, Final
from zoneinfo import ZoneInfo

from amity.domain.jobs import JobKind, Priority
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import time_zone

_HOURS_MAX: Final = 24 * 31
_SECONDS_MAX: Final = 86_400 * 31
_MINUTES_PER_DAY: Final = 24 * 60
_PRIORITIES: Final = {one.name.lower().replace("_", "-"): one for one in Priority}
_SUFFIX: Final = ".toml"


class MeasureKind(StrEnum):
    """What is counted: meters with a complete day, jobs done in time, jobs that succeeded."""

    COMPLETENESS = "completeness"
    LATENCY = "latency"
    SUCCESS = "success"


@dataclass(frozen=True, slots=True)
class Measure:
    """One promise. Of COMPLETENESS `by_minute` (local, of the next day) or `within`; of LATENCY `within`.

    `jobs` and `priorities` are those that count, empty for all; of COMPLETENESS `jobs` are those that bring a day.
    `source` is where the promise is written, empty for a number of ours.
    """

    kind: MeasureKind
    name: str
    target: float | None = None
    by_minute: int | None = None
    within: timedelta | None = None
    jobs: frozenset[JobKind] = frozenset()
    priorities: frozenset[Priority] = frozenset()
    source: str = ""

    def counts(self, kind: JobKind, priority: Priority) -> bool:
        """True when a job of this kind and priority is one of those that the measure is about."""
        return (not self.jobs or kind in self.jobs) and (not self.priorities or priority in self.priorities)


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """All that was promised to somebody."""

    name: str
    title: str
    zone: ZoneInfo
    measures: tuple[Measure, ...]


def preset_names() -> tuple[str, ...]:
    """The service levels that come with Amity."""
    return tuple(sorted(entry.name.removesuffix(_SUFFIX) for entry in _presets().iterdir() if _is_preset(entry.name)))


def preset(name: str) -> ServiceLevel:
    """One that comes with Amity; raise ConfigurationError when there is none of this name."""
    if name not in preset_names():
        raise ConfigurationError(
            f"there is no preset {name!r}", next_step=f"choose one of {', '.join(preset_names())}, or give a file"
        )
    return parse_service_level((_presets() / f"{name}{_SUFFIX}").read_text(encoding="utf-8"), name)


def _presets() -> Any:
    return resources.files(__package__) / "presets"


def _is_preset(name: str) -> bool:
    return name.endswith(_SUFFIX)


def parse_service_level(text: str, name: str) -> ServiceLevel:
    """Read a definition; raise ConfigurationError with file, key and reason for anything not usable as written."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{name} is no TOML: {error}", next_step="correct that line") from error
    keys = _Keys(document, name)
    title, zone = keys.text("title"), keys.zone()
    written = keys.take("measure")
    keys.finish()
    if not isinstance(written, list) or not written:
        raise ConfigurationError(f"{name}: there is no [[measure]]", next_step="write one for each promise")
    measures = tuple(_measure(one, f"{name}: measure {number}") for number, one in enumerate(written, 1))
    return ServiceLevel(name, title, zone, measures)


def _measure(written: object, where: str) -> Measure:
    keys = _Keys(written, where)
    kind = MeasureKind(keys.word("kind", tuple(MeasureKind)))
    limits: dict[str, Any] = {}
    if kind is MeasureKind.COMPLETENESS:
        limits = _completeness_limit(keys)
    elif kind is MeasureKind.LATENCY:
        limits = {"within": timedelta(seconds=keys.number("within_s", 0.001, _SECONDS_MAX)), **_selection(keys)}
    else:
        limits = _selection(keys)
    target = keys.number("target", 0, 1) if "target" in keys else None
    source = keys.text("source") if "source" in keys else ""
    measure = Measure(kind, keys.text("name"), target, source=source, **limits)
    keys.finish()
    return measure


def _completeness_limit(keys: "_Keys") -> dict[str, Any]:
    jobs = frozenset(map(JobKind, keys.words("jobs", tuple(JobKind)))) or frozenset({JobKind.PROFILES})
    if ("by" in keys) == ("within_h" in keys):
        raise keys.refusal("by", "a completeness has either `by` or `within_h`")
    if "by" in keys:
        return {"by_minute": keys.minute("by"), "jobs": jobs}
    return {"within": timedelta(hours=keys.number("within_h", 0.001, _HOURS_MAX)), "jobs": jobs}


def _selection(keys: "_Keys") -> dict[str, Any]:
    return {
        "jobs": frozenset(map(JobKind, keys.words("jobs", tuple(JobKind)))),
        "priorities": frozenset(_PRIORITIES[word] for word in keys.words("priorities", tuple(_PRIORITIES))),
    }


class _Keys:
    """A TOML table read key by key; what is left over at the end is an error."""

    def __init__(self, written: object, where: str) -> None:
        if not isinstance(written, dict):
            raise ConfigurationError(f"{where} must be a table", next_step="write it under [[measure]]")
        self._left: dict[str, Any] = dict(written)
        self._where = where

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def refusal(self, key: str, reason: str) -> ConfigurationError:
        return ConfigurationError(f"{self._where}: {key}: {reason}", next_step=f"correct {key}")

    def take(self, key: str) -> Any:
        if key not in self._left:
            raise self.refusal(key, "is missing")
        return self._left.pop(key)

    def text(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str) or not value or not value.isprintable():
            raise self.refusal(key, "must be a text")
        return value

    def word(self, key: str, words: tuple[str, ...]) -> str:
        value = self.take(key)
        if value not in words:
            raise self.refusal(key, f"must be one of {', '.join(words)}, not {value!r}")
        return str(value)

    def words(self, key: str, words: tuple[str, ...]) -> list[str]:
        """A list of words, empty where there is none."""
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) and one in words for one in value):
            raise self.refusal(key, f"must be a list of {', '.join(words)}")
        return value

    def number(self, key: str, low: float, high: float) -> float:
        value = self.take(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.refusal(key, f"must be a number from {low:g} to {high:g}, not {value!r}")
        return float(value)

    def minute(self, key: str) -> int:
        """A time of day from 00:00 to 24:00, as minutes after midnight."""
        text = self.text(key)
        hour, _, minute = text.partition(":")
        if not (len(text) == len("06:00") and text.isascii() and hour.isdecimal() and minute.isdecimal()):
            raise self.refusal(key, f"must be a time like 06:00, not {text!r}")
        minutes = int(hour) * 60 + int(minute)
        if minutes > _MINUTES_PER_DAY or int(minute) >= 60:  # noqa: PLR2004 - minutes of an hour
            raise self.refusal(key, f"must be a time from 00:00 to 24:00, not {text!r}")
        return minutes

    def zone(self) -> ZoneInfo:
        return time_zone(self.text("zone"), self._where)

    def finish(self) -> None:
        for key in self._left:
            raise self.refusal(key, "there is no such key")
