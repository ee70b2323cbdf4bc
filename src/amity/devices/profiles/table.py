"""A TOML table read key by key: a wrong value or an unknown key is refused with file, key and reason."""

from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar, cast

from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis

_Choice = TypeVar("_Choice", bound=StrEnum)


class ProfileError(ConfigurationError):
    """A profile that cannot be used: `path` is the key with its tables, dotted; empty for a `line` that is no TOML."""

    def __init__(
        self, file: str, path: str, reason: str, next_step: str | None = None, *, line: int | None = None
    ) -> None:
        super().__init__(": ".join(part for part in (file, path, reason) if part), next_step=next_step)
        self.file = file
        self.path = path
        self.reason = reason
        self.line = line


class Table:
    """One table of a profile file. Read every key you know, then call `finish`: what is left over is an error."""

    def __init__(self, file: str, path: str, content: object) -> None:
        self._file = file
        self._path = path
        self._known: list[str] = []
        if not isinstance(content, dict):
            raise self.refusal("", "must be a table")
        self._content = cast("dict[str, Any]", dict(content))

    def refusal(self, key: str, reason: str, next_step: str | None = None) -> ProfileError:
        """The error for one key, ready to raise."""
        return ProfileError(self._file, ".".join(part for part in (self._path, key) if part), reason, next_step)

    def names(self) -> list[str]:
        """The keys not read yet, in file order."""
        return list(self._content)

    def table(self, key: str) -> "Table":
        """A table inside this one."""
        return Table(self._file, f"{self._path}.{key}" if self._path else key, self._take(key))

    def text(self, key: str) -> str:
        """A string."""
        value = self._take(key)
        if not isinstance(value, str):
            raise self.refusal(key, f"must be text, not {value!r}")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._take(key)
        if not isinstance(value, bool):
            raise self.refusal(key, f"must be true or false, not {value!r}")
        return value

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from `low` to `high`."""
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.refusal(key, f"must be a whole number from {low} to {high}, not {value!r}")
        return value

    def choice(self, key: str, choices: type[_Choice]) -> _Choice:
        """One of an enumeration's values."""
        return self._one_of(key, self._take(key), choices)

    def choices(self, key: str, choices: type[_Choice]) -> tuple[_Choice, ...]:
        """A list of an enumeration's values, none twice."""
        return tuple(self._one_of(key, value, choices) for value in self._distinct(key))

    def words(self, key: str) -> tuple[str, ...]:
        """A list of strings, none twice."""
        return tuple(self._distinct(key))

    def obis(self, key: str) -> Obis:
        """An OBIS code in dotted form."""
        return self._obis(key, self.text(key))

    def obis_list(self, key: str) -> tuple[Obis, ...]:
        """A list of OBIS codes, none twice."""
        return tuple(self._obis(key, text) for text in self._distinct(key))

    def finish(self) -> None:
        """Refuse the keys that nobody read."""
        for key in self._content:
            near = get_close_matches(key, self._known, n=1)
            raise self.refusal(
                key,
                "is not a key of a device profile",
                f"did you mean {near[0]}?" if near else f"remove it; known here: {', '.join(self._known)}",
            )

    def _obis(self, key: str, text: str) -> Obis:
        try:
            return Obis.parse(text)
        except ConfigurationError as error:
            raise self.refusal(key, error.what, error.next_step) from error

    def _take(self, key: str, default: object = None) -> Any:
        self._known.append(key)
        value = self._content.pop(key, default)
        if value is None:
            raise self.refusal(key, "is missing", "give it here or in the profile this one inherits from")
        return value

    def _one_of(self, key: str, value: object, choices: type[_Choice]) -> _Choice:
        for choice in choices:
            if choice.value == value:
                return choice
        raise self.refusal(key, f"must be one of {', '.join(choices)}, not {value!r}")

    def _distinct(self, key: str) -> list[str]:
        values = self._take(key)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.refusal(key, "must be a list of texts")
        if len(set(values)) != len(values):
            raise self.refusal(key, "names something twice")
        return values
