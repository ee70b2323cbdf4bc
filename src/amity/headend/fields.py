"""Members of a document that somebody else wrote, each taken as what it must be or refused by name."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar

from amity.kernel.errors import ConfigurationError
from amity.kernel.toml import TomlError, parse_toml

Choice = TypeVar("Choice", bound=StrEnum)


def read_toml(text: str, name: str) -> "Fields":
    """The members of a TOML document; raise ConfigurationError with the line where it is none."""
    try:
        return Fields(name, parse_toml(text))
    except TomlError as error:
        raise ConfigurationError(f"{name} is no TOML: {error}", next_step="correct that line") from error


class Fields:
    """One object or table of a document; `name` is what its refusals call it."""

    def __init__(self, name: str, written: Any) -> None:
        """Raise ConfigurationError for what has no members."""
        self.name = name
        if not isinstance(written, dict):
            raise ConfigurationError(f"{name} must be keys with their values", next_step=f"correct {name}")
        self._written: Mapping[str, Any] = written

    def __iter__(self) -> Iterator[str]:
        """The keys, in the order in which they stand."""
        return iter(self._written)

    def only(self, members: Collection[str]) -> None:
        """Refuse the first member that is none of these."""
        for key in self._written:
            if key not in members:
                near = get_close_matches(key, members, n=1)
                raise ConfigurationError(
                    f"{self.name}: {key} is not a member that is known",
                    next_step=f"did you mean {near[0]}?" if near else f"remove it; known: {', '.join(sorted(members))}",
                )

    def has(self, key: str) -> bool:
        """True when the member is there and not null."""
        return self._written.get(key) is not None

    def text(self, key: str, *, otherwise: str | None = None) -> str:
        """A text; without `otherwise` it must be there and not empty."""
        value = self._written.get(key, otherwise)
        if not isinstance(value, str) or (not value and otherwise is None):
            raise self.refusal(key, "must be a text")
        return value

    def line(self, key: str, *, otherwise: str | None = None) -> str:
        """A text that can be printed as it is, in one line."""
        value = self.text(key, otherwise=otherwise)
        if not value.isprintable():
            raise self.refusal(key, "must be a text of one line")
        return value

    def lines(self, key: str) -> list[str]:
        """A list of such texts, at least one."""
        value = self._written.get(key)
        if not isinstance(value, list) or not value or not all(map(_is_line, value)):
            raise self.refusal(key, "must be a list of texts")
        return value

    def word(self, key: str, words: Collection[str], otherwise: str | None = None) -> str:
        """One of these; without `otherwise` it must be there."""
        value = self._written.get(key, otherwise)
        if not isinstance(value, str) or value not in words:
            raise self.refusal(key, f"must be one of {', '.join(words)}")
        return value

    def words(self, key: str, words: Collection[str]) -> list[str]:
        """A list of some of these, empty when it is not there."""
        value = self._written.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) and one in words for one in value):
            raise self.refusal(key, f"must be a list of {', '.join(words)}")
        return value

    def quantity(self, key: str, low: float, high: float) -> float:
        """A number from `low` to `high`, whole or not."""
        value = self._written.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.refusal(key, f"must be a number from {low:g} to {high:g}")
        return float(value)

    def number(self, key: str, first: int, last: int, *, otherwise: int | None = None) -> int:
        """A whole number from `first` to `last`."""
        value = self._written.get(key, otherwise)
        if isinstance(value, bool) or not isinstance(value, int) or not first <= value <= last:
            raise self.refusal(key, f"must be a number from {first} to {last}")
        return value

    def flag(self, key: str) -> bool:
        """True or false; false when it is not there."""
        value = self._written.get(key, False)
        if not isinstance(value, bool):
            raise self.refusal(key, "must be true or false")
        return value

    def choice(self, key: str, choices: type[Choice], otherwise: Choice | None = None) -> Choice:
        """One of some words; without `otherwise` it must be there."""
        return choices(self.word(key, list(choices), otherwise))

    def octets(self, key: str, lengths: tuple[int, ...] = ()) -> bytes:
        """Hexadecimal octets, empty when they are not there; the text itself is never repeated, it may be a key."""
        try:
            octets = bytes.fromhex(self.text(key, otherwise=""))
        except ValueError:
            raise self.refusal(key, "must be hexadecimal") from None
        if lengths and len(octets) not in lengths:
            raise self.refusal(key, f"must have {' or '.join(map(str, lengths))} octets, not {len(octets)}")
        return octets

    def inside(self, key: str) -> "Fields":
        """The object that this member is."""
        return Fields(f"{key} of {self.name}", self._written.get(key))

    def part(self, key: str) -> "Fields":
        """The table `[key]`, empty where there is none."""
        return Fields(f"{self.name}: {key}", self._written.get(key, {}))

    def parts(self) -> "Iterator[tuple[str, Fields]]":
        """Every member, each of them a table, by its key."""
        for key, value in self._written.items():
            yield key, Fields(f"{self.name}.{key}", value)

    def listed(self, key: str) -> "list[Fields]":
        """The tables `[[key]]`, called by their place from 1; at least one."""
        found = self._written.get(key)
        if not isinstance(found, list) or not found:
            raise ConfigurationError(f"{self.name}: there is no [[{key}]]", next_step="write one or more")
        return [Fields(f"{self.name}: {key} {number}", one) for number, one in enumerate(found, 1)]

    def each(self, key: str) -> "list[Fields]":
        """The objects of this list, called by their place from 1; none when it is not there."""
        found = self._written.get(key) if self.has(key) else []
        if not isinstance(found, list):
            raise self.refusal(key, "must be a list")
        return [Fields(f"{key} {number} of {self.name}", one) for number, one in enumerate(found, 1)]

    def refusal(self, key: str, reason: str) -> ConfigurationError:
        """What to raise for a member that cannot be used."""
        return ConfigurationError(f"{self.name}: {key} {reason}", next_step=f"correct {key} of {self.name}")


def _is_line(value: object) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable()
