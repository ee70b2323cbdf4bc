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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from amity.domain.events import EventClass, EventKind, EventMeaning, Severity
from amity.headend.fields import Fields, read_toml
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
    document = read_toml(document_text, name)
    document.only(_KEYS)
    profiles, complete = document.lines("profiles"), document.flag("complete")
    named = _sources(document.part("sources"))
    meanings: dict[tuple[str, int], EventMeaning] = {}
    sources: dict[tuple[str, int], str] = {}
    for log, codes in _logs(document):
        for text, fields in codes.parts():
            code = _code(text, codes)
            meanings[log, code] = _meaning(fields)
            if fields.has("source"):
                sources[log, code] = _source(fields, named)
    if not meanings:
        raise ConfigurationError(f"{name}: there is no code in it", next_step="write them under [events] or [logs.…]")
    return EventTable(name, tuple(profiles), meanings, complete, sources)


def _sources(fields: Fields) -> dict[str, str]:
    return {word: fields.line(word) for word in fields}


def _source(fields: Fields, named: Mapping[str, str]) -> str:
    word = fields.text("source")
    if word not in named:
        raise fields.refusal("source", f"must be one that stands under [sources], not {word!r}")
    return named[word]


def _logs(document: Fields) -> Iterator[tuple[str, Fields]]:
    """Each log with the table of its codes."""
    yield ANY_LOG, document.part("events")
    yield from document.part("logs").parts()


def _code(text: str, codes: Fields) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(CODE_MAX)) and int(text) <= CODE_MAX):
        raise codes.refusal(repr(text), f"is no code: that is a whole number up to {CODE_MAX}")
    return int(text)


def _meaning(fields: Fields) -> EventMeaning:
    fields.only(_MEANING_KEYS)
    return EventMeaning(
        fields.choice("class", EventClass),
        fields.choice("severity", Severity),
        fields.line("text"),
        fields.choice("kind", EventKind, EventKind.OTHER),
    )
