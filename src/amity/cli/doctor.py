"""`amity doctor`: is this machine, and the installation on it, fit to read meters?"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from amity.runtime.checkup.all_checks import examine
from amity.runtime.checkup.check import Check, State
from amity.runtime.system import SystemClock

_COLOUR = {State.OK: "green", State.HINT: "yellow", State.FAIL: "bold red", State.UNKNOWN: "blue"}
_FAILED_STATUS = 1


def doctor(
    configuration: Annotated[Path | None, typer.Option("--config", help="Default: /etc/ami-gateway.")] = None,
    directory: Annotated[Path | None, typer.Option("--dir", help="An installation in one folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check clock, configuration, ports, keys, disk, database, backlog and broker; say what to do about each.

    Exit status 1: something failed. Hints are for soon, and leave the status at 0. Nothing is changed.
    """
    checks = examine(configuration, directory, SystemClock().now())
    failed = sum(check.state is State.FAIL for check in checks)
    if as_json:
        print(json.dumps({"failed": failed, "checks": [asdict(check) for check in checks]}, indent=1))
    else:
        _print(checks)
    if failed:
        raise typer.Exit(_FAILED_STATUS)


def _print(checks: list[Check]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for check in checks:
        console.print(f"{check.state.value:<8}", style=_COLOUR[check.state], end="")
        console.print(f"{check.name}: {check.found}", markup=False)
        if check.next_step:
            console.print(f"        next: {check.next_step}", markup=False)
