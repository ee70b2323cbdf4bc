"""Members of a document that somebody else wrote, each taken as what it must be or refused by name."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar

from amity.kernel.errors import ConfigurationError

Choice = TypeVar("Choice", bound=StrEnum)


class Fields:
    """One object of a document; `name` is what its refusals call it."""

    def __init__(self, name: str, written: Any) -> None:
        """Raise ConfigurationError for what is no object."""
        self.name = name
        if not isinstance(written, dict):
            raise ConfigurationError(f"{name} is no object")
        self._written: Mapping[str, Any] = written

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
        word = self.text(key, otherwise=otherwise and otherwise.value)
        if word not in list(choices):
            raise self.refusal(key, f"must be one of {', '.join(choices)}")
        return choices(word)

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

    def refusal(self, key: str, reason: str) -> ConfigurationError:
        """What to raise for a member that cannot be used."""
        return ConfigurationError(f"{self.name}: {key} {reason}", next_step=f"correct {key} of {self.name}")
