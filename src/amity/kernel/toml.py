"""TOML text that somebody wrote, parsed: everything that is wrong with it is one error."""

import re
import tomllib
from typing import Any, Final

DEPTH_MAX: Final = 32
"""Tables and lists in one another; more than any file of ours has, and few enough for all that walks through them."""

_PLACE: Final = re.compile(r"(.*) \(at line (\d+), column (\d+)\)", re.DOTALL)


class TomlError(ValueError):
    """What is no TOML, and why; `line` and `column` count from 1 and are 0 where no single place is to blame."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        at = _PLACE.fullmatch(message)
        self.reason = at[1] if at else message
        self.line, self.column = (int(at[2]), int(at[3])) if at else (0, 0)


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a text; raise TomlError, whatever is wrong with it."""
    try:
        document = tomllib.loads(text)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:  # also of numbers that are too long
        raise TomlError(str(error)) from error
    if _is_deep(document):
        raise _too_deep()
    return document


def _is_deep(document: dict[str, Any]) -> bool:
    level: list[Any] = [document]
    for _ in range(DEPTH_MAX):
        inside = (value for one in level for value in (one.values() if isinstance(one, dict) else one))
        level = [value for value in inside if isinstance(value, dict | list)]
        if not level:
            return False
    return True


def _too_deep() -> TomlError:
    return TomlError(f"nested too deeply: {DEPTH_MAX} tables and lists may stand in one another")
