"""`amity schedules`: when the meters are read, checked before it counts."""

import json
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from amity.cli.jobs import AsJson, Configuration, Directory
from amity.cli.options import instant
from amity.domain.jobs import ReadingSchedule
from amity.headend.jobs.calendar import Calendar
from amity.headend.jobs.plan import JobPlan
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import isoformat
from amity.runtime.files.schedules import parse_plan
from amity.runtime.installation import find_installation
from amity.runtime.roles.job_work import default_schedule
from amity.runtime.system import SystemClock

schedules_app = typer.Typer(help="When the meters are read.", no_args_is_help=True)


@schedules_app.command("list")
def list_schedules(configuration: Configuration = None, directory: Directory = None, as_json: AsJson = False) -> None:
    """The schedules in force, or that would be once the head-end runs."""
    now = SystemClock().now()
    found = [_document(one, now) for one in _schedules(configuration, directory)]
    if as_json:
        print(json.dumps(found))
        return
    for one in found:
        print(f"{one['name']}: {one['fires']}, {', '.join(one['read'])}; next {one['next'] or 'never'}")


@schedules_app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="A file to try before it is put in force.")] = None,
    configuration: Configuration = None,
    directory: Directory = None,
) -> None:
    """Say whether a schedules.toml can be used, and what is wrong with line and key if not."""
    path = file or find_installation(configuration, directory).folder.schedules
    plan = _plan_of(path)
    names = ", ".join(one.name for one in plan.schedules)
    print(f"{path} is right: {names or 'no schedule, so the default one holds'}")


@schedules_app.command("next")
def next_fires(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Of this schedule only.")] = "",
    count: Annotated[int, typer.Option(min=1, max=1000, help="So many of each.")] = 5,
    after: Annotated[str, typer.Option(help="From when on; default: now.")] = "",
    meter: Annotated[str, typer.Option(help="Also when this meter's session would begin.")] = "",
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """When schedules fire next, with jitter and blackout windows for one meter if it is named."""
    start = instant("--after", after) if after else SystemClock().now()
    found = [one for one in _schedules(configuration, directory) if name in {"", one.name}]
    if not found:
        raise ConfigurationError(f"no schedule is called {name!r}", next_step="see `amity schedules list`")
    lines = [line for one in found for line in _fires(Calendar(one), start, count, meter)]
    if as_json:
        print(json.dumps(lines))
        return
    for line in lines:
        print(
            "  ".join(filter(None, (line["schedule"], line["fire"], line.get("begin") and f"begins {line['begin']}")))
        )


def _fires(calendar: Calendar, start: datetime, count: int, meter: str) -> list[dict[str, Any]]:
    fires = []
    for fire in islice(calendar.fires(start), count):
        begin = {"begin": isoformat(calendar.begin(meter, fire))} if meter else {}
        fires.append({"schedule": calendar.schedule.name, "fire": isoformat(fire), **begin})
    return fires


def _schedules(configuration: Path | None, directory: Path | None) -> tuple[ReadingSchedule, ...]:
    folder, settings = find_installation(configuration, directory)
    plan = _plan_of(folder.schedules) if folder.schedules.exists() else JobPlan()
    return plan.schedules or (default_schedule(settings.headend),)


def _plan_of(path: Path) -> JobPlan:
    try:
        return parse_plan(path.read_text(encoding="utf-8"), path.name)
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no {path}", next_step="start the head-end once: it writes one with every key explained"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def _document(schedule: ReadingSchedule, now: datetime) -> dict[str, Any]:
    following = Calendar(schedule).next_fire(now)
    return {
        "name": schedule.name,
        "fires": f"every {schedule.every}" if schedule.every else f"{schedule.cron} {schedule.zone}",
        "read": [str(kind) for kind in schedule.kinds],
        "next": isoformat(following) if following else None,
    }
