"""`amity meter`: what somebody does with one meter of which not everything is known."""

import typer

from amity.cli.objects import objects
from amity.cli.probe import probe

meter_app = typer.Typer(help="One meter: find out how to reach it and what it has.", no_args_is_help=True)
meter_app.command("probe")(probe)
meter_app.command("objects")(objects)
