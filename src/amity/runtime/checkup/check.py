"""What a check says: its state, what was found, and what to do."""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from amity.kernel.errors import AmityError
from amity.runtime.folder import Folder


class State(StrEnum):
    """How it stands; only FAIL means that something does not work."""

    OK = "ok"
    HINT = "hint"  # works, and will not for ever, or not for everybody
    FAIL = "fail"
    UNKNOWN = "unknown"  # cannot be found out from here


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    state: State
    found: str
    next_step: str = ""


def start_command(folder: Folder) -> str:
    """How the roles of an installation are started."""
    if folder.installed:
        return "sudo systemctl start ami-collector"
    return f"amity serve --dir {shlex.quote(str(folder.root))}"


def failing(name: str, error: AmityError) -> Check:
    """An error as a check that failed."""
    found = error.what if error.answer is None else f"{error.what}: {error.answer}"
    return Check(name, State.FAIL, found, error.next_step or "")


def guarded(name: str, look: Callable[[], Iterable[Check]]) -> list[Check]:
    """The checks of `look`; an error that ends it is one that failed."""
    try:
        return list(look())
    except AmityError as error:
        return [failing(name, error)]
