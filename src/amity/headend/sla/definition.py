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

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from importlib import resources
from typing import Any, Final
from zoneinfo import ZoneInfo

from amity.domain.jobs import JobKind, Priority
from amity.headend.fields import Fields, read_toml
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

    def only(self, kind: MeasureKind) -> "ServiceLevel":
        """What it promises of one kind."""
        return replace(self, measures=tuple(measure for measure in self.measures if measure.kind is kind))


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
    document = read_toml(text, name)
    document.only(("title", "zone", "measure"))
    zone = time_zone(document.line("zone"), name)
    return ServiceLevel(name, document.line("title"), zone, tuple(map(_measure, document.listed("measure"))))


def _measure(fields: Fields) -> Measure:
    kind = fields.choice("kind", MeasureKind)
    fields.only((*_KEYS, *_KEYS_OF[kind]))
    target = fields.quantity("target", 0, 1) if fields.has("target") else None
    source = fields.line("source", otherwise="")
    return Measure(kind, fields.line("name"), target, source=source, **_LIMITS[kind](fields))


def _completeness(fields: Fields) -> dict[str, Any]:
    jobs = frozenset(map(JobKind, fields.words("jobs", tuple(JobKind)))) or frozenset({JobKind.PROFILES})
    if fields.has("by") == fields.has("within_h"):
        raise fields.refusal("by", "or within_h must be there, and not both")
    if fields.has("by"):
        return {"by_minute": _minute(fields, "by"), "jobs": jobs}
    return {"within": timedelta(hours=fields.quantity("within_h", 0.001, _HOURS_MAX)), "jobs": jobs}


def _latency(fields: Fields) -> dict[str, Any]:
    return {"within": timedelta(seconds=fields.quantity("within_s", 0.001, _SECONDS_MAX)), **_selection(fields)}


def _selection(fields: Fields) -> dict[str, Any]:
    return {
        "jobs": frozenset(map(JobKind, fields.words("jobs", tuple(JobKind)))),
        "priorities": frozenset(_PRIORITIES[word] for word in fields.words("priorities", tuple(_PRIORITIES))),
    }


_KEYS: Final = ("kind", "name", "target", "source", "jobs")
_KEYS_OF: Final = {
    MeasureKind.COMPLETENESS: ("by", "within_h"),
    MeasureKind.LATENCY: ("within_s", "priorities"),
    MeasureKind.SUCCESS: ("priorities",),
}
_LIMITS: Final = {
    MeasureKind.COMPLETENESS: _completeness,
    MeasureKind.LATENCY: _latency,
    MeasureKind.SUCCESS: _selection,
}


def _minute(fields: Fields, key: str) -> int:
    """A time of day from 00:00 to 24:00, as minutes after midnight."""
    text = fields.line(key)
    hour, _, minute = text.partition(":")
    if not (len(text) == len("06:00") and text.isascii() and hour.isdecimal() and minute.isdecimal()):
        raise fields.refusal(key, f"must be a time like 06:00, not {text!r}")
    minutes = int(hour) * 60 + int(minute)
    if minutes > _MINUTES_PER_DAY or int(minute) >= 60:  # noqa: PLR2004 - minutes of an hour
        raise fields.refusal(key, f"must be a time from 00:00 to 24:00, not {text!r}")
    return minutes
