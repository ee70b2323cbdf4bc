"""The command line: one program, one command for each thing somebody does."""

import sys

import typer

from amity.cli.capacity import capacity
from amity.cli.collector import collector_app
from amity.cli.decode import decode
from amity.cli.demo.command import demo
from amity.cli.doctor import doctor
from amity.cli.errors import exit_status, report
from amity.cli.events import events_app
from amity.cli.fleet import fleet_app
from amity.cli.import_readings import import_file
from amity.cli.install import install
from amity.cli.jobs import jobs_app
from amity.cli.meter.commands import meter_app
from amity.cli.profile import profile_app
from amity.cli.pushes import pushes_app
from amity.cli.reading.command import read
from amity.cli.schedules import schedules_app
from amity.cli.serve import serve
from amity.cli.simulate import simulate
from amity.cli.sla import sla_app
from amity.cli.story import story
from amity.kernel.errors import AmityError

app = typer.Typer(
    name="amity",
    help="Amity: from the bytes a meter sends to the number on a bill.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(demo)
app.command()(simulate)
app.command()(read)
app.command()(decode)
app.command("import")(import_file)
app.command()(serve)
app.command()(install)
app.command()(doctor)
app.command()(capacity)
app.command()(story)
app.add_typer(meter_app, name="meter")
app.add_typer(fleet_app, name="fleet")
app.add_typer(profile_app, name="profile")
app.add_typer(jobs_app, name="jobs")
app.add_typer(collector_app, name="collector")
app.add_typer(schedules_app, name="schedules")
app.add_typer(events_app, name="events")
app.add_typer(pushes_app, name="pushes")
app.add_typer(sla_app, name="sla")


def main() -> None:
    """Run a command; an Amity error becomes its facts on standard error and an exit status, never a traceback."""
    try:
        app()
    except AmityError as error:
        report(error, as_json="--json" in sys.argv)
        sys.exit(exit_status(error))
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.exit(0)
