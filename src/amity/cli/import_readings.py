"""`amity import FILE --dir D`: interval readings from a file into the store, validated, with a report."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table

from amity.cli.errors import exit_status, report
from amity.kernel.errors import AmityError
from amity.runtime.databases import it_services
from amity.runtime.folder import Folder
from amity.storage.files.interval_rows import Label
from amity.storage.files.low_carbon_london import read_file
from amity.usecases.import_readings import Imported, ImportedMeter, import_readings

_ROWS_SHOWN = 20


def import_file(
    file: Annotated[Path, typer.Argument(help="A Low Carbon London file: CSV as published, or Parquet.")],
    directory: Annotated[Path, typer.Option("--dir", help="The folder that holds Amity's data.")] = Path("amity-demo"),
    interval_label: Annotated[Label, typer.Option(help="What a row's time names: start or end.")] = Label.END,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")] = False,
) -> None:
    """Import interval readings: all of the file or nothing; the same file again changes nothing."""
    try:
        with Console(stderr=True, quiet=as_json).status(f"reading {file.name}") as status:
            readings = read_file(file, interval_label)
            status.update(f"storing and validating {readings.rows:,} rows of {len(readings.meters)} meters")
            with it_services(Folder(directory)) as services:
                imported = import_readings(readings, services.database, services.clock)
    except AmityError as error:
        report(error, as_json=as_json)
        raise typer.Exit(exit_status(error)) from error
    if as_json:
        print(json.dumps(document(imported), ensure_ascii=False))
    else:
        _print(imported, directory)


def document(imported: Imported) -> dict[str, Any]:
    """The report as JSON holds it: totals, rejected rows, and each meter without its single findings."""
    meters = [{k: v for k, v in asdict(meter).items() if k != "findings"} for meter in imported.meters]
    return {
        "source": imported.source,
        "rows": imported.rows,
        "duplicates": imported.duplicates,
        "rejected": [row._asdict() for row in imported.rejected],
        "gaps": sum(meter.gaps for meter in imported.meters),
        "missing": sum(meter.missing for meter in imported.meters),
        "interpolated": sum(meter.interpolated for meter in imported.meters),
        "blocks_changed": sum(meter.blocks_changed for meter in imported.meters),
        "meters": meters,
    }


def _print(imported: Imported, directory: Path) -> None:
    console = Console(highlight=False)
    totals = document(imported)
    console.print(
        f"{imported.source}: {imported.rows:,} rows, {imported.duplicates} duplicates,"
        f" {len(imported.rejected)} rejected, {totals['gaps']} gaps with {totals['missing']} missing intervals,"
        f" {totals['interpolated']} of them interpolated",
        soft_wrap=True,
    )
    for rejected in imported.rejected[:_ROWS_SHOWN]:
        console.print(f"row {rejected.row} rejected: {rejected.reason}", markup=False, soft_wrap=True)
    console.print(_table([meter for meter in imported.meters if _is_remarkable(meter)]))
    if imported.meters:
        path = f"/meters/{quote(imported.meters[0].meter_id)}"
        console.print(
            f"look at them: `amity serve --dir {directory}` and open {path} in the console, or ask for /api/v1{path}",
            markup=False,
            soft_wrap=True,
        )


def _is_remarkable(meter: ImportedMeter) -> bool:
    return bool(meter.gaps or meter.spikes or meter.ends_early or meter.vacant)


def _table(meters: list[ImportedMeter]) -> Table:
    table = Table("meter", title="meters with findings")
    for heading in ("readings", "gaps", "missing", "interpolated", "spikes"):
        table.add_column(heading, justify="right")
    table.add_column("remarks")
    for meter in meters:
        remarks = [word for word, is_so in (("ends early", meter.ends_early), ("vacant", meter.vacant)) if is_so]
        counts = (meter.readings, meter.gaps, meter.missing, meter.interpolated, meter.spikes)
        table.add_row(meter.meter_id, *(f"{count:,}" for count in counts), ", ".join(remarks))
    return table
