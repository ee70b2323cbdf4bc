"""`amity events`: what meters said on their own, which codes nobody knows, and what a code means."""

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from amity.cli.jobs import AsJson, Configuration, Directory
from amity.cli.options import LIMIT_MAX
from amity.cli.tables import print_table, table_of
from amity.domain.events import EventClass, Severity
from amity.headend.event_catalogue import EventTables, parse_table
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import isoformat
from amity.runtime.databases import it_services_here
from amity.runtime.installation import find_installation
from amity.usecases.findings import events_of, unnamed_codes
from amity.usecases.happenings import CorrelatedEvent, outages_of
from amity.usecases.ports import EventQuery
from amity.usecases.services import Services

events_app = typer.Typer(help="What meters said on their own.", no_args_is_help=True)


@events_app.command("list")
def list_events(
    meter: Annotated[str, typer.Option(help="Of this meter only.")] = "",
    event_class: Annotated[list[EventClass] | None, typer.Option("--class", help="Of these classes.")] = None,
    severity: Annotated[list[Severity] | None, typer.Option(help="Of these severities.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="At most so many.")] = 50,
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Events and alarms as the MDM side has them, the newest first."""
    query = EventQuery(meter or None, frozenset(event_class or ()), frozenset(severity or ()), limit)
    with _services(configuration, directory) as services:
        found = [document(one) for one in events_of(services, query)]
    shown = found if as_json else [{**one, "told by": _tellings(one, found)} for one in found if one["leads"]]
    _print(shown, ("at", "meter", "severity", "class", "text", "told by", "pushed"), as_json=as_json)


def _tellings(best: dict[str, Any], found: list[dict[str, Any]]) -> str:
    """Log and code of all that tell the same."""
    same = sorted((one for one in found if one["happening"] == best["event"]), key=lambda one: not one["leads"])
    return ", ".join(f"{one['log']} {one['code']}" for one in same)


@events_app.command("outages")
def list_outages(
    meter: Annotated[str, typer.Option(help="Of this meter only.")] = "",
    limit: Annotated[
        int, typer.Option(min=1, max=LIMIT_MAX, help="Look at so many of the newest events about power.")
    ] = 500,
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Losses of power with their returns, the newest first; without an end it lasts, or its end was not told."""
    with _services(configuration, directory) as services:
        outages = outages_of(services.database, meter or None, limit=limit)
    found = [
        {
            "meter": one.meter_id,
            "began": isoformat(one.outage.began),
            "ended": isoformat(one.outage.ended) if one.outage.ended else None,
            "lasted_s": one.outage.lasted.total_seconds() if one.outage.lasted is not None else None,
            "told by": ", ".join(f"{event.log} {event.code}" for event in one.outage.told_by),
        }
        for one in outages
    ]
    _print(found, ("meter", "began", "ended", "lasted_s", "told by"), as_json=as_json)


@events_app.command()
def unknown(configuration: Configuration = None, directory: Directory = None, as_json: AsJson = False) -> None:
    """Codes that no table knows: write them into a table of your own."""
    with _services(configuration, directory) as services:
        codes = unnamed_codes(services)
    found = [
        {
            "profile": one.profile, "log": one.log, "code": one.code, "events": one.events, "meters": one.meters,
            "newest": isoformat(one.newest),
        }
        for one in codes
    ]  # fmt: skip
    _print(found, ("profile", "log", "code", "events", "meters", "newest"), as_json=as_json)


@events_app.command()
def explain(
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="The meter's device profile.")],
    code: Annotated[int, typer.Argument(min=0, help="The code, or the bit of an alarm register.")],
    log: Annotated[str, typer.Option(help="standard, fraud, … or alarm-1, alarm-2.")] = "standard",
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """What the tables of this installation say of a code."""
    folder, _ = find_installation(configuration, directory)
    catalogue = EventTables(folder.event_tables, folder.last_good_event_tables).catalogue
    table = catalogue.table_of(profile, log, code)
    meaning = None if table is None else table.meaning(log, code)
    if table is None or meaning is None:
        raise ConfigurationError(
            f"no table knows code {code} of log {log} for profile {profile}",
            next_step=f"write it into a file like {folder.event_tables / 'own.toml'}",
        )
    told = {
        "class": meaning.event_class, "severity": meaning.severity, "text": meaning.text, "kind": meaning.kind,
        "table": table.name, "source": table.source(log, code),
    }  # fmt: skip
    if as_json:
        print(json.dumps(told))
        return
    print(f"{meaning.text} ({meaning.event_class}, {meaning.severity})")
    print(f"{table.name}: {told['source'] or 'unverified, no source is named'}")


@events_app.command()
def check(file: Annotated[Path, typer.Argument(help="A table to try before it is put in force.")]) -> None:
    """Say whether a table of event codes can be used, and what is wrong with it if not."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}", next_step="name a TOML file") from error
    table = parse_table(text, file.name)
    print(f"{file} is right: {len(table.meanings)} codes for {', '.join(table.profiles)}")


def _services(configuration: Path | None, directory: Path | None) -> AbstractContextManager[Services]:
    folder, _ = find_installation(configuration, directory)
    return it_services_here(folder, next_step="ask on the machine that runs `amity serve --roles mdm`")


def document(stored: CorrelatedEvent) -> dict[str, Any]:
    """An event as JSON values."""
    event = stored.event
    return {
        "event": stored.event_id,
        "happening": stored.happening,
        "leads": stored.leads,
        "meter": stored.meter_id,
        "at": isoformat(event.at),
        "class": event.event_class,
        "severity": event.severity,
        "kind": event.kind,
        "text": event.text,
        "log": event.log,
        "code": event.code,
        "occurrence": event.occurrence,
        "pushed": event.pushed,
    }


def _print(found: list[dict[str, Any]], columns: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found))
        return
    table = table_of(columns, wrapped=("text", "told by"))
    for one in found:
        table.add_row(*(_cell(one[column]) for column in columns))
    print_table(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return {True: "yes", False: ""}[value] if isinstance(value, bool) else str(value)
