"""`amity read HOST:PORT`: one meter, by hand (seed 003's manual ping)."""

import asyncio
import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from amity.cli.association import Association, Ciphered
from amity.cli.options import address, hex_octets, instant
from amity.cli.reading import Reading, Request, read_meter
from amity.cli.reading_profile import ProfileRequest
from amity.devices.settings import Authentication, Protection
from amity.kernel.errors import AmityError, ConfigurationError
from amity.kernel.obis import Obis
from amity.kernel.time import isoformat
from amity.runtime.system import SystemClock, random_octets
from amity.transports.failures import TimerT1Error
from amity.transports.wrapper_channel import WrapperChannel


def read(  # noqa: PLR0913, PLR0917 - an option each
    meter: Annotated[str, typer.Argument(metavar="HOST:PORT")],
    obis: Annotated[
        list[str] | None, typer.Option(help="What to read; may be repeated. Also CLASS/OBIS/ATTRIBUTE.")
    ] = None,
    client: Annotated[int, typer.Option(help="Client address (wrapper port of the reader).", min=1, max=0xFFFF)] = 16,
    server: Annotated[int, typer.Option(help="Server address (logical device).", min=0, max=0xFFFF)] = 1,
    auth: Annotated[Authentication, typer.Option(help="How the association is authenticated.")] = Authentication.NONE,
    password: Annotated[str | None, typer.Option(help="LLS password; 0x… for octets.", envvar="AMITY_PASSWORD")] = None,
    key: Annotated[
        str | None, typer.Option(help="Global unicast encryption key, hexadecimal.", envvar="AMITY_KEY")
    ] = None,
    auth_key: Annotated[
        str | None, typer.Option(help="Authentication key, hexadecimal.", envvar="AMITY_AUTH_KEY")
    ] = None,
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
    profile: Annotated[
        str | None, typer.Option(help="Logical name of the profile; the model's load profile without it.")
    ] = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds to wait for each answer.", min=0.1, max=3600)
    ] = 10.0,
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
    request = Request(tuple(obis or ()), _profile_request(profile, profile_from, profile_to))
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

    try:
        reading = asyncio.run(session())
    except AmityError as error:
        raise _placed(error, f"{host}:{port}", client, server) from None
    if as_json:
        print(json.dumps(reading.to_json(), ensure_ascii=False, indent=2))
    else:
        _show(reading)
    if reading.refused:
        raise typer.Exit(4)


def _profile_request(name: str | None, first: str | None, last: str | None) -> ProfileRequest | None:
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
    return ProfileRequest(Obis.parse(name) if name else None, start, end, now)


def _placed(error: AmityError, place: str, client: int, server: int) -> AmityError:
    """The same error, saying with which meter and as whom."""
    if place not in " ".join(error.lines()):
        error.tried = f"{error.tried or 'a conversation'} with the meter at {place}"
    if isinstance(error, TimerT1Error):
        error.next_step = f"{error.next_step}; if it never answers, check --client {client} and --server {server}"
    return error


def _password(text: str | None) -> bytes:
    if text is None:
        return b""
    return hex_octets("--password", text) if text.startswith("0x") else text.encode()


def _show(reading: Reading) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"{reading.name}  clock {reading.clock}")
    for value in reading.values:
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
