"""`amity read HOST:PORT` or `amity read /dev/tty…`: one meter, by hand (seed 003's manual ping)."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from amity.cli.grouped import grouped
from amity.cli.meeting import Called, meet
from amity.cli.meter_options import LinkOptions, MeterArgument, SecretOptions, SecurityOptions, WayOptions
from amity.cli.options import instant
from amity.cli.reading.answers import TOTAL_IMPORT, Reading, Request, read_meter, reference_of
from amity.cli.reading.profile import ProfileRequest
from amity.devices.profiles import DeviceProfile, fictional_keys
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.kernel.time import isoformat
from amity.runtime.files.profiles import catalogue_of
from amity.runtime.system import SystemClock


@grouped
def read(  # noqa: PLR0913 - an option each
    meter: MeterArgument,
    obis: Annotated[
        list[str] | None, typer.Option(help="What to read; may be repeated. Also CLASS/OBIS/ATTRIBUTE.")
    ] = None,
    *,
    link: LinkOptions,
    way: WayOptions,
    security: SecurityOptions,
    secrets: SecretOptions,
    profile_from: Annotated[str | None, typer.Option(help="Also read a profile from this instant (ISO 8601).")] = None,
    profile_to: Annotated[str | None, typer.Option(help="… up to this one; now without it.")] = None,
    profile: Annotated[
        str | None, typer.Option(help="Logical name of the profile; the model's load profile without it.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Device profile that says how this model writes times and selects rows; without it the one that the"
            " meter's name tells."
        ),
    ] = None,
    profiles: Annotated[Path | None, typer.Option(help="A folder of your own device profiles (*.toml).")] = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds to wait for each answer.", min=0.1, max=3600)
    ] = 10.0,
    trace: Annotated[bool, typer.Option(help="Show the conversation line by line, secrets masked.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Read one meter: its name, its clock and the registers you name (total active import when you name none)."""
    models = _models(profiles, model)
    request = Request(
        tuple(map(reference_of, obis or (TOTAL_IMPORT,))), _profile_request(profile, profile_from, profile_to, models)
    )
    err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    told = (lambda line: err.print(str(line))) if trace else None
    called = Called(meter, link, way, security, secrets)
    reading = meet(called, lambda session: read_meter(session, request), timeout_s=timeout_s, trace=told)
    if as_json:
        print(json.dumps(reading.to_json(), ensure_ascii=False, indent=2))
    else:
        _show(reading)
    if reading.refused:
        raise typer.Exit(4)


def _models(folder: Path | None, named: str | None) -> tuple[DeviceProfile, ...]:
    """The model that was named, or all that a meter may be; raise ConfigurationError for a profile that is none."""
    catalogue = catalogue_of(folder)
    if named is not None:
        return (catalogue.profile(named),)
    return (*catalogue.profiles(), *map(catalogue.profile, fictional_keys()))


def _profile_request(
    name: str | None, first: str | None, last: str | None, models: tuple[DeviceProfile, ...]
) -> ProfileRequest | None:
    if first is None:
        if last or name:
            raise ConfigurationError(
                "a profile needs --profile-from", next_step="say where it begins, like 2026-11-20T00:00Z"
            )
        return None
    start = instant("--profile-from", first)
    now = SystemClock().now()
    end = instant("--profile-to", last) if last else now
    if start >= end:
        raise ConfigurationError(
            f"the profile would begin ({isoformat(start)}) after it ends ({isoformat(end)})",
            next_step="give an earlier --profile-from or a later --profile-to",
        )
    return ProfileRequest(Obis.parse(name) if name else None, start, end, now, models)


def _show(reading: Reading) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    clock = "no clock" if reading.clock is None else f"clock {reading.clock}"
    console.print(f"{'no name' if reading.name is None else reading.name}  {clock}")
    for value in (*reading.missing, *reading.values):
        console.print(f"OBIS Code {value['obis']}  {_text(value)}")
    if reading.rows is not None:
        table = _rows_table(reading.columns, reading.rows)
        console.print(table, width=max(console.width, console.measure(table).maximum))
        console.print(f"{len(reading.rows)} rows, times are UTC")


def _text(value: dict[str, Any]) -> str:
    if "error" in value:
        return f"{value['error']}; next: {value['next']}"
    if isinstance(value["value"], dict | list):
        return json.dumps(value["value"], ensure_ascii=False)
    return f"{value['value']} {value.get('unit', '')}".rstrip()


def _rows_table(columns: list[str], rows: list[list[Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(Text(column), no_wrap=True)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table
