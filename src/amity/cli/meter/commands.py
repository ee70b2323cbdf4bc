"""`amity meter`: the meters that are known, and what somebody does with one of them."""

import typer

from amity.cli.jobs import read_by_job
from amity.cli.meter.add import add
from amity.cli.meter.listing import list_meters
from amity.cli.meter.ping import ping
from amity.cli.objects.command import objects
from amity.cli.probe.command import probe

meter_app = typer.Typer(
    help="Which meters there are; one of them: make it known, read it now, find out how to reach it.",
    no_args_is_help=True,
)
meter_app.command("add")(add)
meter_app.command("list")(list_meters)
meter_app.command("ping")(ping)
meter_app.command("read")(read_by_job)
meter_app.command("probe")(probe)
meter_app.command("objects")(objects)
