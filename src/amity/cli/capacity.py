"""`amity capacity`: how many machines a fleet needs, by costs that were measured."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from amity.kernel.errors import ConfigurationError
from amity.usecases.capacity import ROLES, Costs, Load, Plan, packaged_costs, parse_costs, plan

_FLEETS: Final = (10_000, 1_000_000, 10_000_000)
_NAMES: Final = {"headend": "head-end", "database": "PostgreSQL", "broker": "nats-server", "mdm": "MDM side"}


def capacity(
    meters: Annotated[
        list[int] | None,
        typer.Option(help="Size of the fleet, may be repeated; default: 10 thousand, 1 and 10 million."),
    ] = None,
    interval_minutes: Annotated[int, typer.Option(help="Length of an interval.")] = 15,
    channels: Annotated[int, typer.Option(help="Channels of the load profile.")] = 4,
    pushes_per_day: Annotated[float, typer.Option(help="Pushes of a meter a day, besides its being read.")] = 0,
    window_h: Annotated[float, typer.Option(help="Hours in which every meter is read once.")] = 4,
    session_s: Annotated[float, typer.Option(help="How long a session lasts: the network's doing.")] = 10,
    costs: Annotated[
        Path | None, typer.Option(help="Costs measured elsewhere, as benchmarks.capacity writes them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print cores, memory, bandwidth, brokers and disk for a fleet, from measured costs."""
    measured = packaged_costs() if costs is None else parse_costs(_text_of(costs))
    plans = [
        plan(Load(one, interval_minutes, channels, pushes_per_day, window_h, session_s), measured)
        for one in meters or _FLEETS
    ]
    if as_json:
        print(json.dumps({"costs": asdict(measured), "plans": [asdict(one) for one in plans]}))
    else:
        _print(plans, measured)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}", next_step="name a TOML file") from error


def _print(plans: list[Plan], costs: Costs) -> None:
    load = plans[0].load
    if plans[0].warning:  # the same for a fleet of any size
        print(f"warning: {plans[0].warning}\n")
    print(
        f"Every meter once within {load.window_h:g} h: {load.channels} channels of {load.interval_minutes} min,"
        f" {load.pushes_per_day:g} pushes a day; a session lasts {load.session_s:g} s."
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("meters")
    for one in plans:
        table.add_column(f"{one.load.meters:,}", justify="right")
    for name, *cells in zip(*map(_rows, plans), strict=True):
        table.add_row(name[0], name[1], *(cell[1] for cell in cells))
    Console().print(table)
    print(
        f"Cores are planned to be {load.used:.0%} busy, disks hold {load.kept_days} days in PostgreSQL and"
        f" {load.outage_h:g} h at each of {load.brokers} brokers.\n"
        f"Costs measured {costs.measured_on} on {costs.machine} ({costs.how})."
    )
    for one in plans:
        for note in one.notes:
            print(f"note: {one.load.meters:,} meters: {note}")


def _rows(one: Plan) -> list[tuple[str, str]]:
    return [
        ("sessions a second", _figure(one.load.sessions_per_s)),
        *((f"{_NAMES[role]} cores", _figure(one.cores[role])) for role in ROLES),
        ("head-end processes", f"{one.headend_processes:,}"),
        ("open associations", f"{one.open_associations:,}"),
        *((f"{_NAMES[name]} memory, GB", _figure(size)) for name, size in one.memory_gb.items()),
        ("to and from the meters, Mbit/s", _figure(one.wire_mbit_s)),
        ("into a broker, Mbit/s", _figure(one.broker_mbit_s)),
        ("broker disk, GB", _figure(one.broker_disk_gb)),
        ("PostgreSQL disk, GB", _figure(one.database_disk_gb)),
        ("PostgreSQL log, MB/s", _figure(one.wal_mb_s)),
        ("MDM side disk, GB a year", _figure(one.mdm_disk_gb_year)),
        ("MDM side busy, h a day", _figure(one.mdm_h)),
    ]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits
