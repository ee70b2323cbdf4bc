"""Options that several commands share, kept together in dataclasses: each field of one becomes an option."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters that are dataclasses of options are laid out flat, as typer wants them.

    The fields are annotated as typer's parameters are, and have defaults; the command gets each group as one value.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: one.annotation for name, one in signature.parameters.items() if is_dataclass(one.annotation)
    }

    @functools.wraps(command)
    def flat(**given: Any) -> None:
        made = {
            name: group(**{one.name: given.pop(one.name) for one in fields(group)}) for name, group in groups.items()
        }
        command(**given, **made)

    options = [
        option
        for name, one in signature.parameters.items()
        for option in (_options_of(groups[name]) if name in groups else [one])
    ]
    flat.__dict__["__signature__"] = signature.replace(  # what inspect.signature looks for
        parameters=[option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in options]
    )
    flat.__annotations__ = {option.name: option.annotation for option in options} | {"return": None}
    return flat


def words_of(group: Any) -> list[str]:
    """The options of a group that differ from their defaults, as they are typed."""
    words: list[str] = []
    for one in fields(group):
        value, option = getattr(group, one.name), f"--{one.name.replace('_', '-')}"
        if value != one.default:
            words += [option] if isinstance(value, bool) else [option, str(value)]
    return words


def _options_of(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=hints[one.name])
        for one in fields(group)
    ]
