"""JSON that still knows on which line each thing stands, so that a refusal can name the line."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from amity.kernel.errors import ConfigurationError

_BLANKS: Final = " \t\r\n"
_OCTETS_MAX: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Located:
    """One value and the position of its first character in the text of `source`."""

    source: str
    text: str
    position: int
    value: Any

    @property
    def line(self) -> int:
        """The line it starts on, counted from 1."""
        return self.text.count("\n", 0, self.position) + 1

    def refusal(self, reason: str) -> ConfigurationError:
        """The error that names file, line and reason."""
        return ConfigurationError(
            f"{self.source}, line {self.line}: {reason}", next_step=f"correct line {self.line} of {self.source}"
        )

    def members(self) -> "dict[str, Located]":
        """The members of an object by key; raise ConfigurationError when it is none or a key stands twice."""
        if not isinstance(self.value, dict):
            raise self.refusal(f"an object is needed here, not {_shown(self.value)}")
        found: dict[str, Located] = {}
        for key, value in self._walk_members():
            if key.value in found:
                raise key.refusal(f"the key {key.value!r} stands twice")
            found[key.value] = value
        return found

    def items(self) -> "list[Located]":
        """The elements of an array; raise ConfigurationError when it is none."""
        if not isinstance(self.value, list):
            raise self.refusal(f"a list is needed here, not {_shown(self.value)}")
        return list(self._walk_items())

    def _walk_members(self) -> "Iterator[tuple[Located, Located]]":
        position = self._next(self.position + 1, "")
        while self.text[position] != "}":
            key, position = self._value(position)
            value, position = self._value(self._next(position, ":"))
            yield key, value
            position = self._next(position, ",")

    def _walk_items(self) -> "Iterator[Located]":
        position = self._next(self.position + 1, "")
        while self.text[position] != "]":
            item, position = self._value(position)
            yield item
            position = self._next(position, ",")

    def _value(self, position: int) -> "tuple[Located, int]":
        value, end = json.JSONDecoder().raw_decode(self.text, position)
        return Located(self.source, self.text, position, value), end

    def _next(self, position: int, skipped: str) -> int:
        """The position of the next character that is neither blank nor the separator."""
        while self.text[position] in _BLANKS or self.text[position] == skipped:
            position += 1
        return position


def parse(text: str, source: str) -> Located:
    """The document in this text; raise ConfigurationError with line and column when it is not JSON."""
    if len(text) > _OCTETS_MAX:
        raise ConfigurationError(f"{source} has {len(text)} characters; {_OCTETS_MAX} is the most")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"{source}, line {error.lineno}, column {error.colno}: {error.msg}",
            next_step=f"correct line {error.lineno} of {source}",
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise ConfigurationError(f"{source}: {error}") from error
    except RecursionError:
        raise ConfigurationError(f"{source} is nested too deeply") from None
    return Located(source, text, len(text) - len(text.lstrip(_BLANKS)), value)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004 - the width of a remark
