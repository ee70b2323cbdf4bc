"""`amity meter`: what somebody does with one meter."""

import typer

from amity.cli.jobs import read_by_job
from amity.cli.meter_add import add
from amity.cli.objects import objects
from amity.cli.ping import ping
from amity.cli.probe import probe

meter_app = typer.Typer(help="One meter: make it known, read it now, find out how to reach it.", no_args_is_help=True)
meter_app.command("add")(add)
meter_app.command("ping")(ping)
meter_app.command("read")(read_by_job)
meter_app.command("probe")(probe)
meter_app.command("objects")(objects)
