"""`amity demo`: a living utility in one folder. Every meter in it is simulated, everything else is the real thing."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from amity.cli.demo.display import Display
from amity.cli.demo.folder import (
    choosing_ports,
    remembered_story,
    settings_with_free_ports,
    sole_user,
    usual_directory,
)
from amity.cli.demo.utility import Utility
from amity.runtime.folder import Folder
from amity.runtime.system import SystemClock
from amity.simulation.fleet import METERS_MAX


def demo(
    meters: Annotated[
        int | None, typer.Option(help="How many simulated meters; 200 for a new town.", min=1, max=METERS_MAX)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Which town; the same seed gives the same one.")] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where it lives, amity-demo without it; delete it to forget.")
    ] = None,
    once: Annotated[bool, typer.Option(help="Read everything once, print a summary, end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Start a utility in a box: simulated meters on real sockets, head-end, store, console.

    Started again in the same folder it goes on. With --once the exit status is 0 only if every healthy meter is
    complete.
    """
    folder = Folder(directory or usual_directory(meters, seed))
    folder.create()
    display = Display(quiet=as_json)
    with sole_user(folder), choosing_ports(display.said) as all_listen:
        story = remembered_story(folder, meters=meters, seed=seed, now=SystemClock().now(), tell=display.said)
        settings = settings_with_free_ports(folder, display.said)
        utility = Utility(folder, story, settings, display, all_listen)
        if once:
            summary = asyncio.run(utility.read_once())
            display.summary(summary)
            if as_json:
                print(json.dumps(summary.to_json(), ensure_ascii=False, indent=2))
            raise typer.Exit(0 if summary.good else 1)
        asyncio.run(utility.live(as_json=as_json))
