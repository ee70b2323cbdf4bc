"""What somebody is told who wrote something else into a TOML file: line, key, and what may stand there."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from amity.kernel.errors import ConfigurationError
from amity.kernel.toml import TomlError, parse_toml

Path = Sequence[int | str]
KnownKeys = Callable[[Sequence[str]], Collection[str]]
"""The keys that a table may have, by the names of the tables down to it."""

_OF_A_KEY: Final = "[key]"
"""What pydantic puts behind a key that is itself wrong."""
_REASONS: Final = {
    "greater_than": "{shown} is too small: it must be more than {gt:g}",
    "greater_than_equal": "{shown} is too small: it must be at least {ge:g}",
    "less_than_equal": "{shown} is too large: it may be {le:g} at most",
    "too_short": "the list is empty: name one at least",
    "string_type": "{shown} is no text: write it in quotes",
    "tuple_type": '{shown} is no list: write it like ["one", "two"]',
}
_KINDS: Final = {
    "int_": "{shown} is no whole number",
    "float_": "{shown} is no number",
    "model_": "this is no table: it needs one pair of brackets, and keys below it",
    "dict_": "this is no table: it needs one pair of brackets, and keys below it",
}


class TomlText(NamedTuple):
    """A file as it was written, and as it was parsed."""

    name: str
    text: str
    document: Mapping[str, Any]

    @classmethod
    def parsed(cls, name: str, text: str) -> "TomlText":
        """Raise ConfigurationError with the line for what is no TOML."""
        try:
            return cls(name, text, parse_toml(text))
        except TomlError as error:
            place = f"{name}, line {error.line}" if error.line else name
            column = f" in column {error.column}" if error.column else ""
            raise ConfigurationError(
                f"{place}: {error.reason}{column}",
                next_step="correct it: is a quote or a bracket left open?",
            ) from error

    def refusal(self, path: Path, reason: str, meant: str = "") -> ConfigurationError:
        """What is wrong with what stands at this path, with line and key, and what was meant by it if that is clear."""
        return self._told(path, f"{self._in_words(path)}: {reason}", meant)

    def refused(self, error: ValidationError, known: KnownKeys) -> ConfigurationError:
        """The first thing that pydantic found wrong, in words; a key that is not known tells most."""
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        path: Path = [part for part in first["loc"] if part != _OF_A_KEY]
        if first["type"] == "extra_forbidden":
            key, around = str(path[-1]), path[:-1]
            place = f" in {self._in_words(around)}" if around else ""
            keys = known(_names(around))
            return self._told(path, f"there is no key {key}{place}: known are {', '.join(keys)}", _like(key, keys))
        if first["type"] == "missing":
            return self._told(path, f"{self._in_words(path[:-1])} has no {path[-1]}")
        if first["type"] == "enum":
            allowed = re.findall(r"'([^']*)'", first["ctx"]["expected"])
            reason = f"{_shown(first['input'])} is none of {', '.join(allowed)}"
            return self.refusal(path, reason, _like(first["input"], allowed))
        return self.refusal(path, _reason(first))

    def _told(self, path: Path, what: str, meant: str = "") -> ConfigurationError:
        line = self._line_of(path)
        return ConfigurationError(
            f"{self.name}, line {line}: {what}" if line else f"{self.name}: {what}",
            next_step=(f"did you mean {meant}? " if meant else "correct it; ")
            + "docs/jobs.md has every key, `amity schedules check` tries",
        )

    def _in_words(self, path: Path) -> str:
        """`jitter of schedule 'night'`, `throttle.network.sessions`."""
        position = next((number for number, part in enumerate(path) if isinstance(part, int)), None)
        if position is None:
            return ".".join(map(str, path)) or "the file"
        one_of = self._named(str(path[position - 1]), int(path[position]))
        key = ".".join(_names(path[position + 1 :]))
        return f"{key} of {one_of}" if key else one_of

    def _named(self, table: str, number: int) -> str:
        written = self.document[table][number]
        name = written.get("name") if isinstance(written, dict) else None
        return f"{table} {name!r}" if isinstance(name, str) else f"{table} number {number + 1}"

    def _line_of(self, path: Path) -> int:
        """The line of the innermost key of the path that stands there, counted from 1; 0 when none does."""
        keys = _names(path)
        if not keys:
            return 0
        position = next((part for part in path if isinstance(part, int)), None)
        found, seen = 0, -1
        header: tuple[str, ...] = ()
        for number, line in enumerate(self.text.splitlines(), start=1):
            if head := re.match(r"\s*(\[+)([^\]]*)\]", line):
                header = tuple(part.strip(" \"'") for part in head[2].split(".", 2))
                seen += head[1] == "[["
                if header == keys[: len(header)] and position in {None, seen}:
                    found = number
            elif header == keys[:-1] and position in {None, seen} and line.partition("=")[0].strip(" \"'") == keys[-1]:
                found = number
        return found


def _names(path: Path) -> tuple[str, ...]:
    return tuple(part for part in path if isinstance(part, str))


def _like(text: object, allowed: Collection[str]) -> str:
    return next(iter(get_close_matches(str(text), allowed, n=1)), "")


def _reason(first: ErrorDetails) -> str:
    kind, shown = first["type"], _shown(first["input"])
    if kind in _REASONS:
        return _REASONS[kind].format(shown=shown, **first.get("ctx", {}))
    for beginning, reason in _KINDS.items():
        if kind.startswith(beginning):
            return reason.format(shown=shown)
    return first["msg"].removeprefix("Value error, ").replace("Input should", "it should")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str | int | float) else "this"
