"""How an error leaves the command line: its facts on standard error and one exit status, from this one table."""

import json
import sys

from rich.console import Console

from amity.kernel.errors import (
    AmityError,
    ConfigurationError,
    LocalProtocolError,
    RemoteProtocolError,
    RemoteRefusalError,
    RequestError,
    StorageError,
    TransportError,
)
from amity.runtime.logs.lines import harmless

EXIT_STATUS: tuple[tuple[type[AmityError], int], ...] = (
    (ConfigurationError, 2),
    (LocalProtocolError, 2),
    (RequestError, 2),
    (TransportError, 3),
    (RemoteRefusalError, 4),
    (RemoteProtocolError, 5),
    (StorageError, 6),
    (AmityError, 1),
)


def exit_status(error: AmityError) -> int:
    """The status of the first class in the table that the error belongs to."""
    return next(status for kind, status in EXIT_STATUS if isinstance(error, kind))


def report(error: AmityError, *, as_json: bool) -> None:
    """Print what happened, what was tried, what came back and the next step to standard error."""
    if as_json:
        facts = {"error": error.what, "tried": error.tried, "answer": error.answer, "next": error.next_step}
        print(json.dumps(facts), file=sys.stderr)
        return
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    what, *facts_of = error.lines()
    console.print(f"[bold red]error[/] {_plain(what)}")
    for line in facts_of:
        name, _, text = line.partition(": ")
        console.print(f"[bold]{name:>6}[/] {_plain(text)}")


def _plain(text: str) -> str:
    """Brackets in a message are not markup, and what a meter said moves no terminal."""
    return harmless(text).replace("[", r"\[")
