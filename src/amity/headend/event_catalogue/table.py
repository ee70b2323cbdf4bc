"""One table of event codes (TOML): which device profiles it speaks for, and what each of their codes means.

profiles = ["tarn_*"]   # names of device profiles, * and ? as in file names
complete = true         # optional: these meters have their own numbers, so no other table is asked

[events]                # whatever log the code stands in
1 = { class = "power", severity = "alarm", text = "power lost", kind = "power-down" }

[logs.fraud]            # only in this log; goes before [events]
1 = { class = "tamper", severity = "alarm", text = "seal broken" }

[logs.alarm-1]          # bits of alarm register 1, the lowest is 0
0 = { class = "clock", severity = "warning", text = "clock invalid", kind = "clock-invalid", source = "manual" }

[sources]               # optional: where a number with such a `source` was found; one without is unverified
manual = "the maker's manual, revision 3, page 41"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from amity.domain.events import EventClass, EventKind, EventMeaning, Severity
from amity.kernel.errors import ConfigurationError

ANY_LOG: Final = ""
CODE_MAX: Final = 0xFFFF_FFFF
_KEYS: Final = frozenset({"profiles", "complete", "events", "logs", "note", "sources"})
_MEANING_KEYS: Final = frozenset({"class", "severity", "text", "kind", "source"})


@dataclass(frozen=True, slots=True)
class EventTable:
    """A table as read; `meanings` by log (ANY_LOG where it does not matter) and code, `sources` of some of them."""

    name: str
    profiles: tuple[str, ...]
    meanings: Mapping[tuple[str, int], EventMeaning]
    complete: bool = False
    sources: Mapping[tuple[str, int], str] = field(default_factory=dict)

    def speaks_for(self, profile: str) -> bool:
        """True when the table is about meters of this device profile."""
        return any(fnmatchcase(profile, pattern) for pattern in self.profiles)

    def meaning(self, log: str, code: int) -> EventMeaning | None:
        """What the code means in this log, None when the table does not say."""
        return self.meanings.get((log, code)) or self.meanings.get((ANY_LOG, code))

    def source(self, log: str, code: int) -> str:
        """Where the code was found with this meaning, empty for one that is unverified."""
        return self.sources.get((log, code) if (log, code) in self.meanings else (ANY_LOG, code), "")


def parse_table(document_text: str, name: str) -> EventTable:
    """Read a table; raise ConfigurationError with file, key and reason for anything not usable as written."""
    try:
        document = tomllib.loads(document_text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{name} is no TOML: {error}", next_step="correct that line") from error
    _refuse_unknown(document, _KEYS, name)
    profiles, complete = document.get("profiles"), document.get("complete", False)
    if not isinstance(profiles, list) or not profiles or not all(isinstance(one, str) and one for one in profiles):
        raise _refusal(name, 'profiles must be a list of names, like ["tarn_*"]')
    if not isinstance(complete, bool):
        raise _refusal(name, "complete must be true or false")
    named = _sources(document, name)
    meanings: dict[tuple[str, int], EventMeaning] = {}
    sources: dict[tuple[str, int], str] = {}
    for log, where, codes in _logs(document, name):
        for text, written in codes.items():
            code, there = _code(text, f"{name}: {where}"), f"{name}: {where}.{text}"
            meanings[log, code] = _meaning(written, there)
            if "source" in written:
                sources[log, code] = _source(written, named, there)
    if not meanings:
        raise _refusal(name, "there is no code in it", "write them under [events] or [logs.…]")
    return EventTable(name, tuple(profiles), meanings, complete, sources)


def _sources(document: dict[str, Any], name: str) -> dict[str, str]:
    named = _table(document.get("sources", {}), f"{name}: sources")
    if not all(isinstance(text, str) and text.isprintable() for text in named.values()):
        raise _refusal(f"{name}: sources", "each must be a text")
    return named


def _source(written: dict[str, Any], named: Mapping[str, str], where: str) -> str:
    word = written["source"]
    if not isinstance(word, str) or word not in named:
        raise _refusal(where, f"source must be one that stands under [sources], not {word!r}")
    return named[word]


def _logs(document: dict[str, Any], name: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Log, key and codes of each table inside."""
    logs = _table(document.get("logs", {}), f"{name}: logs")
    written = [(ANY_LOG, "events", document.get("events", {}))]
    written += [(log, f"logs.{log}", codes) for log, codes in logs.items()]
    return [(log, where, _table(codes, f"{name}: {where}")) for log, where, codes in written]


def _table(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refusal(where, "must be a table")
    return value


def _code(text: str, where: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(CODE_MAX)) and int(text) <= CODE_MAX):
        raise _refusal(where, f"a code is a whole number up to {CODE_MAX}, not {text!r}")
    return int(text)


def _meaning(value: object, where: str) -> EventMeaning:
    written = _table(value, where)
    _refuse_unknown(written, _MEANING_KEYS, where)
    text = written.get("text")
    if not isinstance(text, str) or not text or not text.isprintable():
        raise _refusal(where, "text must say in plain words what happened")
    return EventMeaning(
        EventClass(_word(written, "class", EventClass, where)),
        Severity(_word(written, "severity", Severity, where)),
        text,
        EventKind(_word(written, "kind", EventKind, where)) if "kind" in written else EventKind.OTHER,
    )


def _word(
    written: dict[str, Any], key: str, words: type[EventClass] | type[Severity] | type[EventKind], where: str
) -> str:
    word = written.get(key)
    if not isinstance(word, str) or word not in list(words):
        raise _refusal(where, f"{key} must be one of {', '.join(words)}, not {word!r}")
    return word


def _refuse_unknown(written: dict[str, Any], known: frozenset[str], where: str) -> None:
    for key in written:
        if key not in known:
            raise _refusal(where, f"there is no key {key!r}; known: {', '.join(sorted(known))}")


def _refusal(where: str, reason: str, next_step: str | None = None) -> ConfigurationError:
    return ConfigurationError(f"{where}: {reason}", next_step=next_step or "correct it: until then it changes nothing")
