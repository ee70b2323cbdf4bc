"""`amity read HOST:PORT`: one meter, by hand (seed 003's manual ping)."""

import asyncio
import json
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from amity.cli.association import Association, Ciphered
from amity.cli.options import address, hex_octets, instant
from amity.cli.reading import Reading, Request, read_meter
from amity.devices.settings import Authentication, Protection
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.kernel.time import isoformat
from amity.runtime.system import SystemClock, random_octets
from amity.transports.wrapper_channel import WrapperChannel

_LOAD_PROFILE = "1.0.99.1.0.255"


def read(  # noqa: PLR0913, PLR0917 - an option each
    meter: Annotated[str, typer.Argument(metavar="HOST:PORT")],
    obis: Annotated[
        list[str] | None, typer.Option(help="What to read; may be repeated. Also CLASS/OBIS/ATTRIBUTE.")
    ] = None,
    client: Annotated[int, typer.Option(help="Client address (wrapper port of the reader).")] = 16,
    server: Annotated[int, typer.Option(help="Server address (logical device).")] = 1,
    auth: Annotated[Authentication, typer.Option(help="How the association is authenticated.")] = Authentication.NONE,
    password: Annotated[str | None, typer.Option(help="LLS password; 0x… for octets.")] = None,
    key: Annotated[str | None, typer.Option(help="Global unicast encryption key, hexadecimal.")] = None,
    auth_key: Annotated[str | None, typer.Option(help="Authentication key, hexadecimal.")] = None,
    system_title: Annotated[str | None, typer.Option(help="System title of the meter, or nothing: it says it.")] = None,
    client_title: Annotated[
        str | None, typer.Option(help="Our own title, 8 octets in hexadecimal; random for each run without it.")
    ] = None,
    counter: Annotated[int | None, typer.Option(help="First invocation counter; needed with --client-title.")] = None,
    ciphering: Annotated[Ciphered, typer.Option(help="Wrapping of protected messages.")] = Ciphered.AUTO,
    protection: Annotated[
        Protection, typer.Option(help="What a ciphered message is given.")
    ] = Protection.AUTHENTICATED_ENCRYPTED,
    profile_from: Annotated[str | None, typer.Option(help="Also read a profile from this instant (ISO 8601).")] = None,
    profile_to: Annotated[str | None, typer.Option(help="… up to this one; now without it.")] = None,
    profile: Annotated[str, typer.Option(help="Logical name of the profile.")] = _LOAD_PROFILE,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds to wait for each answer.")] = 10.0,
    trace: Annotated[bool, typer.Option(help="Show the conversation line by line, secrets masked.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Read one meter: its name, its clock and the registers you name (total active import when you name none)."""
    host, port = address(meter)
    association = Association(
        auth=auth,
        password=_password(password),
        guek=hex_octets("--key", key),
        gak=hex_octets("--auth-key", auth_key),
        meter_title=hex_octets("--system-title", system_title, 8 if system_title else None),
        client_title=hex_octets("--client-title", client_title, 8 if client_title else None),
        ciphering=ciphering,
        protection=protection,
        counter=counter,
    )
    request = Request(tuple(obis or ()), Obis.parse(profile), *_span(profile_from, profile_to))
    err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    told = (lambda line: err.print(str(line))) if trace else None
    settings = association.settings(random_octets)
    ports = association.ports(random_octets, SystemClock(), told)

    async def session() -> Reading:
        channel = await WrapperChannel.open(host, port, client, server, timeout_s)
        try:
            return await read_meter(channel, settings, ports, request, timeout_s=timeout_s)
        finally:
            await channel.close()

    reading = asyncio.run(session())
    if as_json:
        print(json.dumps(reading.to_json(), ensure_ascii=False, indent=2))
    else:
        _show(reading)
    if reading.refused:
        raise typer.Exit(4)


def _span(first: str | None, last: str | None) -> tuple[datetime | None, datetime]:
    if last and not first:
        raise ConfigurationError("--profile-to needs --profile-from", next_step="say where the profile begins")
    start = instant("--profile-from", first) if first else None
    end = instant("--profile-to", last) if last else SystemClock().now()
    if start is not None and start >= end:
        raise ConfigurationError(f"the profile would begin ({isoformat(start)}) after it ends ({isoformat(end)})")
    return start, end


def _password(text: str | None) -> bytes:
    if text is None:
        return b""
    return hex_octets("--password", text) if text.startswith("0x") else text.encode()


def _show(reading: Reading) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{reading.name}[/]  clock {reading.clock}")
    for value in reading.values:
        console.print(f"OBIS Code {value['obis']}  {_text(value)}", markup=False)
    if reading.rows is not None:
        console.print(_rows_table(reading.columns, reading.rows))
        console.print(f"{len(reading.rows)} rows")


def _text(value: dict[str, Any]) -> str:
    if "error" in value:
        return f"{value['error']}; next: {value['next']}"
    return f"{value['value']} {value.get('unit', '')}".rstrip()


def _rows_table(columns: list[str], rows: list[list[Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    return table
