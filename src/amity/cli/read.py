"""`amity read HOST:PORT` or `amity read /dev/tty…`: one meter, by hand (seed 003's manual ping)."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from amity.cli.association import Association, Ciphered
from amity.cli.channels import Way, gateway_of, open_channel, place_of
from amity.cli.options import hex_octets, instant, password_octets
from amity.cli.reading import Reading, Request, read_meter
from amity.cli.reading_profile import ProfileRequest
from amity.devices.doctor import Link
from amity.devices.profiles import DeviceProfile, Framing, SignOn, fictional_keys
from amity.devices.settings import Authentication, Protection
from amity.kernel.errors import AmityError, ConfigurationError
from amity.kernel.obis import Obis
from amity.kernel.time import isoformat
from amity.protocols.hdlc.parameters import INFORMATION_OCTETS_DEFAULT, WINDOW_DEFAULT
from amity.runtime.profile_folder import catalogue_of
from amity.runtime.system import SystemClock, random_octets
from amity.transports.failures import TimerT1Error


def read(  # noqa: PLR0913, PLR0917 - an option each
    meter: Annotated[str, typer.Argument(metavar="HOST:PORT|/dev/tty…")],
    obis: Annotated[
        list[str] | None, typer.Option(help="What to read; may be repeated. Also CLASS/OBIS/ATTRIBUTE.")
    ] = None,
    client: Annotated[int, typer.Option(help="Client address (wrapper port of the reader).", min=1, max=0xFFFF)] = 16,
    server: Annotated[int, typer.Option(help="Server address (logical device).", min=0, max=0xFFFF)] = 1,
    framing: Annotated[
        Framing | None, typer.Option(help="What carries the APDUs; without it hdlc on a serial line, else wrapper.")
    ] = None,
    udp: Annotated[bool, typer.Option("--udp", help="The wrapper in UDP datagrams.")] = False,
    physical: Annotated[int | None, typer.Option(help="Lower HDLC address (physical device).")] = None,
    address_octets: Annotated[int, typer.Option(help="Width of the server's HDLC address; 0: the shortest.")] = 0,
    hdlc_octets: Annotated[
        int, typer.Option(help="Information octets of an HDLC frame to ask for.")
    ] = INFORMATION_OCTETS_DEFAULT,
    hdlc_window: Annotated[int, typer.Option(help="HDLC frames in a row to ask for, 1 to 7.")] = WINDOW_DEFAULT,
    baud: Annotated[int | None, typer.Option(help="Speed of the serial line.")] = None,
    sign_on: Annotated[SignOn, typer.Option(help="How the serial line becomes HDLC.")] = SignOn.NONE,
    device: Annotated[str, typer.Option(help="Device address for the sign-on, where meters share a line.")] = "",
    echo: Annotated[bool, typer.Option("--echo", help="The optical head gives back what is sent.")] = False,
    parity_by_hand: Annotated[
        bool, typer.Option("--parity-by-hand", help="Sign on over a line that cannot be set to seven bits.")
    ] = False,
    gateway: Annotated[str | None, typer.Option(help="NETWORK:ADDRESS (hex) of a meter behind a gateway.")] = None,
    auth: Annotated[Authentication, typer.Option(help="How the association is authenticated.")] = Authentication.NONE,
    password: Annotated[
        str | None, typer.Option(help="LLS password or HLS secret; 0x… for octets.", envvar="AMITY_PASSWORD")
    ] = None,
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
    suite: Annotated[int, typer.Option(min=0, max=2, help="Security suite: 0, 1 or 2 (AES-256).")] = 0,
    dedicated_key: Annotated[bool, typer.Option("--dedicated-key", help="A key for this association alone.")] = False,
    allow_broken_digest: Annotated[
        bool, typer.Option("--allow-broken-digest", help="Read an old meter by hls-md5 or hls-sha1.")
    ] = False,
    signing_key: Annotated[str | None, typer.Option(help="Our private signing key, for hls-ecdsa.")] = None,
    meter_signing_key: Annotated[
        str | None, typer.Option(help="The meter's public signing key (x and y), for hls-ecdsa.")
    ] = None,
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
    place = place_of(meter)
    framing = framing or (Framing.HDLC if place.serial else Framing.WRAPPER)
    link = Link(framing, client, server, physical, address_octets, baud, sign_on)
    way = Way(udp, hdlc_octets, hdlc_window, echo, parity_by_hand, device, gateway_of(gateway) if gateway else None)
    association = Association(
        auth=auth,
        password=password_octets(password),
        guek=hex_octets("--key", key),
        gak=hex_octets("--auth-key", auth_key),
        meter_title=hex_octets("--system-title", system_title, 8 if system_title else None),
        client_title=hex_octets("--client-title", client_title, 8 if client_title else None),
        ciphering=ciphering,
        protection=protection,
        counter=counter,
        suite=suite,
        dedicated_key=dedicated_key,
        broken_digests_allowed=allow_broken_digest,
        signing_key=hex_octets("--signing-key", signing_key),
        meter_signing_key=hex_octets("--meter-signing-key", meter_signing_key),
    )
    models = _models(profiles, model)
    request = Request(tuple(obis or ()), _profile_request(profile, profile_from, profile_to, models))
    err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    told = (lambda line: err.print(str(line))) if trace else None
    settings = association.settings(random_octets)
    ports = association.ports(random_octets, SystemClock(), told)

    async def session() -> Reading:
        channel = await open_channel(place, link, timeout_s, way)
        try:
            return await read_meter(channel, settings, ports, request, timeout_s=timeout_s)
        finally:
            await channel.close()

    try:
        reading = asyncio.run(session())
    except AmityError as error:
        raise _placed(error, str(place), client, server) from None
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


def _placed(error: AmityError, place: str, client: int, server: int) -> AmityError:
    """The same error, saying with which meter and as whom."""
    if place not in " ".join(error.lines()):
        error.tried = f"{error.tried or 'a conversation'} with the meter at {place}"
    if isinstance(error, TimerT1Error):
        error.next_step = f"{error.next_step}; if it never answers, check --client {client} and --server {server}"
    return error


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
