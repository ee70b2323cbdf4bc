"""`amity sla`: what was kept of what was promised, and the evidence against."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from amity.cli.jobs import AsJson, Configuration, Directory
from amity.cli.tables import print_table, table_of
from amity.domain.spans import TimeSpan
from amity.headend.sla.definition import ServiceLevel, parse_service_level, preset, preset_names
from amity.headend.sla.evidence_file import EvidenceFile
from amity.headend.sla.groups import GroupBy, groups_by, named_group, whole_fleet
from amity.headend.sla.read_day import ReadDay
from amity.headend.sla.records import Completion, JobLog
from amity.headend.sla.report import Result, ServiceReport, Tell
from amity.headend.sla.report import report as judge
from amity.kernel.errors import ConfigurationError, StorageError
from amity.kernel.time import isoformat, time_zone
from amity.runtime.databases import it_services_here, open_ot_database
from amity.runtime.folder import Folder
from amity.runtime.installation import find_installation
from amity.runtime.metrics.sla import write_sla_metrics
from amity.runtime.system import SystemClock
from amity.usecases.sla import completions_by_deliveries


class Judge(StrEnum):
    """Who says when a meter's day was complete."""

    DELIVERIES = "deliveries"
    JOBS = "jobs"


_JUDGED_BY = {
    Judge.DELIVERIES: "complete is a day of which every interval of every channel is stored",
    Judge.JOBS: "complete is a day of which jobs read every row; what meters pushed is not in the job log",
}

_ALL_WHOLE_S: Final = 100.0

sla_app = typer.Typer(help="What was kept of what was promised.", no_args_is_help=True)


@sla_app.command()
def presets(as_json: AsJson = False) -> None:
    """The service levels that come with Amity: what each promises, and where its number is from."""
    found = [preset(name) for name in preset_names()]
    if as_json:
        print(json.dumps({one.name: {"title": one.title, "measures": _promises(one)} for one in found}))
        return
    for one in found:
        print(f"{one.name}: {one.title} ({one.zone.key})")
        for promise in _promises(one):
            print(f"    {promise['measure']}, {promise['target'] or 'told only'}; {promise['source']}")


def _promises(level: ServiceLevel) -> list[dict[str, str]]:
    return [
        {"measure": one.name, "target": _percent(one.target), "source": one.source or "ours"} for one in level.measures
    ]


@sla_app.command()
def report(  # noqa: PLR0913, PLR0917 - an option each
    name: Annotated[str, typer.Option("--preset", help="A service level that comes with Amity.")] = "",
    file: Annotated[Path | None, typer.Option(help="A service level of your own, as TOML.")] = None,
    day: Annotated[
        str, typer.Option("--date", help="The day of the readings; default: the day before yesterday.")
    ] = "",
    zone: Annotated[str, typer.Option(help="Another time zone than the definition's.")] = "",
    by: Annotated[list[GroupBy] | None, typer.Option(help="Also for each of these.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="Also for NAME=PATTERN[,PATTERN…] of meter ids.")] = None,
    evidence: Annotated[Path | None, typer.Option(help="Write a line for each meter and job here, as CSV.")] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="Write the figures here too, for node_exporter's textfile collector (*.prom).")
    ] = None,
    completeness: Annotated[
        Judge | None, typer.Option(help="Who says when a day was complete; default: deliveries, where they are here.")
    ] = None,
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Judge one day by the intervals that came and by the job log. The log forgets: see `jobs_kept_days`."""
    level = _level(name, file, zone)
    now = SystemClock().now()
    wanted = _day(day) if day else now.astimezone(level.zone).date() - timedelta(days=2)
    folder, settings = find_installation(configuration, directory)
    with closing(open_ot_database(folder, settings.headend)) as database:
        named = dict(map(named_group, group or []))
        groups = groups_by(whole_fleet(database.fleet_pages), by or [], named)
        span = ReadDay(wanted, level.zone).span
        judge_of = completeness or (Judge.DELIVERIES if folder.it_database.exists() else Judge.JOBS)
        known = _by_deliveries(folder, span) if judge_of is Judge.DELIVERIES else None
        with _evidence(evidence) as tell:
            made = judge(
                level, wanted, groups, lambda: database.job_log.since(span.start), now, completions=known, tell=tell
            )
        made = replace(made, remarks=_remarks(database.job_log, made, judge_of, not groups))
    if metrics is not None:
        write_sla_metrics(made, metrics)
    _print(made, as_json=as_json)


def _by_deliveries(folder: Folder, day: TimeSpan) -> dict[str, Completion]:
    elsewhere = "judge by --completeness jobs here, or ask `GET /api/v1/sla` where it is"
    with it_services_here(folder, next_step=elsewhere) as services:
        return completions_by_deliveries(services.database, day)


@contextmanager
def _evidence(path: Path | None) -> Iterator[Tell]:
    """Where evidence goes: a file, or nowhere."""
    if path is None:
        yield lambda _: None
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            yield EvidenceFile(file).write
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}", next_step="name another file") from error


def _level(name: str, file: Path | None, zone: str) -> ServiceLevel:
    if bool(name) == (file is not None):
        raise ConfigurationError(
            "give either --preset or --file", next_step=f"the presets are {', '.join(preset_names())}"
        )
    level = preset(name) if file is None else _read(file)
    return replace(level, zone=time_zone(zone, "--zone")) if zone else level


def _read(file: Path) -> ServiceLevel:
    try:
        return parse_service_level(file.read_text(encoding="utf-8"), file.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}", next_step="name a TOML file") from error


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"--date {text!r} is no day", next_step="write it like 2026-11-19") from None


def _remarks(log: JobLog, made: ServiceReport, by: Judge, no_meters: bool) -> tuple[str, ...]:
    start, begins = ReadDay(made.day, made.level.zone).span.start, log.begins()
    remarks = [_JUDGED_BY[by]] + (["no meter is known: add some first"] if no_meters else [])
    if begins is None or begins > start:
        kept = "is empty" if begins is None else f"begins at {isoformat(begins)}"
        remarks.append(f"the job log {kept}, after the day did: what came before is counted as never done")
    if any(result.open_ for result in made.results):
        remarks.append("some of it may still be met: the targets of those measures are not judged yet")
    return tuple(remarks)


# ------------------------------------------------------------------ printing
def document(made: ServiceReport) -> dict[str, Any]:
    """A report as JSON values; shares from 0 to 1, times in seconds."""
    return {
        "level": made.level.name,
        "title": made.level.title,
        "zone": made.level.zone.key,
        "date": made.day.isoformat(),
        "made_at": isoformat(made.made_at),
        "results": [_result(one) for one in made.results],
        "against": len(made.against),
        "remarks": list(made.remarks),
    }


def _result(one: Result) -> dict[str, Any]:
    return {
        "measure": one.measure.name,
        "kind": one.measure.kind,
        "group": one.group,
        "counted": one.counted,
        "met": one.met,
        "open": one.open_,
        "excluded": one.excluded,
        "share": one.share,
        "target": one.measure.target,
        "kept": one.kept,
        "percentiles_s": {f"p{percent}": seconds for percent, seconds in one.percentiles().items()},
    }


def _print(made: ServiceReport, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(document(made)))
        return
    print(f"{made.level.title}; readings of {made.day} ({made.level.zone.key})")
    figures = ("met", "of", "open", "share", "target", "kept", "p50 s", "p95 s", "p100 s")
    words = ("measure", "group")
    table = table_of((*words, *figures), wrapped=words, right=figures)
    for one in made.results:
        seconds = one.percentiles()
        table.add_row(
            one.measure.name, one.group, str(one.met), str(one.counted), str(one.open_ or ""), _percent(one.share),
            _percent(one.measure.target), {True: "yes", False: "NO", None: ""}[one.kept],
            *(_seconds(seconds[percent]) if seconds else "" for percent in (50, 95, 100)),
        )  # fmt: skip
    print_table(table)
    for remark in made.remarks:
        print(f"note: {remark}")


def _seconds(took: float) -> str:
    """Three figures, and all whole seconds."""
    return f"{took:.3g}" if took < _ALL_WHOLE_S else f"{took:.0f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"
