"""Whether a head-end runs here: what it writes every few seconds says when it last did."""

import json
from datetime import datetime, timedelta
from typing import Any, Final

import typer

from amity.kernel.errors import ConfigurationError
from amity.kernel.time import isoformat
from amity.runtime.checkup.check import start_command
from amity.runtime.folder import Folder
from amity.runtime.system import SystemClock

_SILENT: Final = timedelta(seconds=30)
"""Six times as long as it leaves between two writes."""


def calls_of(folder: Folder) -> dict[str, Any]:
    """Who called, as the head-end wrote it last; raise ConfigurationError where it never did."""
    try:
        found: dict[str, Any] = json.loads(folder.calls.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "a head-end has not run here yet: nobody can have called",
            answer=str(error),
            next_step=start_command(folder),
        ) from error
    return found


def say_if_stopped(folder: Folder, *, as_json: bool) -> None:
    """A note that what is shown is not of now; programs find it on standard error."""
    at = _last_sign(folder)
    if at is None or SystemClock().now() - at > _SILENT:
        sign = "none" if at is None else isoformat(at)
        told = f"note: the head-end of this machine does not run (last sign of it: {sign}); {start_command(folder)}"
        typer.echo(told, err=as_json)


def _last_sign(folder: Folder) -> datetime | None:
    try:
        return datetime.fromisoformat(calls_of(folder)["at"])
    except ConfigurationError:
        return None
