"""`amity schedules`: when the meters are read, checked before it counts."""

import json
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from amity.cli.jobs import AsJson, Configuration, Directory, known_meter
from amity.cli.options import instant
from amity.domain.jobs import ReadingSchedule
from amity.headend.jobs.calendar import Calendar
from amity.headend.jobs.plan import JobPlan
from amity.headend.ports import Endpoint
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import isoformat
from amity.runtime.databases import head_end_of
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
        following = _in_both(one, "next", "next_local") if one["next"] else "never"
        print(f"{one['name']}: {one['fires']}, {', '.join(one['read'])}; next {following}")


@schedules_app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="A file to try before it is put in force.")] = None,
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a schedules.toml can be used, and what is wrong with line and key if not."""
    path = file or find_installation(configuration, directory).folder.schedules
    names = [one.name for one in _plan_of(path).schedules]
    if as_json:
        print(json.dumps({"file": str(path), "schedules": names}))
    else:
        print(f"{path} is right: {', '.join(names) or 'no schedule, so the default one holds'}")


@schedules_app.command("next")
def next_fires(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of this schedule only.")] = "",
    count: Annotated[int, typer.Option(min=1, max=1000, help="So many of each.")] = 5,
    after: Annotated[str, typer.Option(help="From when on; default: now.")] = "",
    meter: Annotated[str, typer.Option(help="Also when this meter's session would begin.")] = "",
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """When schedules fire next, with jitter and blackout windows for one meter if it is named."""
    start = instant("--after", after) if after else SystemClock().now()
    found = [Calendar(one) for one in _schedules(configuration, directory) if name in {"", one.name}]
    if not found:
        raise ConfigurationError(f"no schedule is called {name!r}", next_step="see `amity schedules list`")
    endpoint = _endpoint(meter, configuration, directory) if meter else None
    fires = sorted((fire for one in found for fire in _fires(one, start, count, endpoint)), key=_when)
    if as_json:
        print(json.dumps(fires))
        return
    for fire in fires:
        _print_fire(fire)
    for one in found:
        if endpoint is not None and not _selects(one, endpoint):
            print(f"{one.schedule.name}  {endpoint.meter_id} is not of this schedule")


def _endpoint(meter: str, configuration: Path | None, directory: Path | None) -> Endpoint:
    with head_end_of(configuration, directory) as database:
        return known_meter(database.meter_states, meter)


def _selects(calendar: Calendar, endpoint: Endpoint) -> bool:
    return calendar.schedule.group.selects(endpoint.meter_id, endpoint.profile, endpoint.route.host)


def _fires(calendar: Calendar, start: datetime, count: int, endpoint: Endpoint | None) -> list[dict[str, Any]]:
    """Fires as JSON values; of a meter that is named also when it begins, null where the schedule leaves it out."""
    fires = []
    for fire in islice(calendar.fires(start), count):
        begin: dict[str, Any] = {}
        if endpoint is not None:
            begins = calendar.begin(endpoint.meter_id, fire) if _selects(calendar, endpoint) else None
            begin = {"begin": isoformat(begins) if begins else None, "begin_local": _local(calendar, begins)}
        fires.append(
            {
                "schedule": calendar.schedule.name,
                "fire": isoformat(fire),
                "local": _local(calendar, fire),
                "zone": calendar.schedule.zone,
                **begin,
            }
        )
    return fires


def _when(fire: dict[str, Any]) -> tuple[bool, str]:
    """By when it begins, else by when the schedule fires (instants in UTC sort as texts); what never begins is last."""
    begins = fire.get("begin", fire["fire"])
    return begins is None, begins or fire["fire"]


def _print_fire(fire: dict[str, Any]) -> None:
    """Nothing of a meter that the schedule leaves out."""
    if fire.get("begin", "") is None:
        return
    begins = [f"begins {_in_both(fire, 'begin', 'begin_local')}"] if "begin" in fire else []
    print("  ".join([fire["schedule"], _in_both(fire, "fire", "local"), *begins]))


def _local(calendar: Calendar, at: datetime | None) -> str | None:
    """As the clock on the wall of the schedule's zone shows it, with its distance from UTC."""
    return at.astimezone(calendar.cron.zone).isoformat() if at else None


def _in_both(one: dict[str, Any], key: str, local: str) -> str:
    """An instant in UTC, and in the schedule's zone where that is another."""
    return str(one[key]) if one["zone"] == "UTC" else f"{one[key]} ({one[local]} {one['zone']})"


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
    calendar = Calendar(schedule)
    following = calendar.next_fire(now)
    return {
        "name": schedule.name,
        "fires": f"every {schedule.every}" if schedule.every else f"{schedule.cron} {schedule.zone}",
        "read": [str(kind) for kind in schedule.kinds],
        "zone": schedule.zone,
        "next": isoformat(following) if following else None,
        "next_local": _local(calendar, following),
    }
