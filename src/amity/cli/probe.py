"""`amity meter probe`: the connection doctor at the command line."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from amity.cli.channels import Place, open_channel, place_of
from amity.cli.options import hex_octets, password_octets
from amity.cli.probe_report import Asked, lines, to_json
from amity.cli.probing import Open, carry_out
from amity.devices.doctor import Doctor, Known, Manners, Secrets
from amity.devices.profiles import Framing
from amity.kernel.errors import ConfigurationError
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.runtime.gateway_config import load_gateway
from amity.runtime.profile_folder import catalogue_of
from amity.runtime.system import SystemClock, random_octets

_COUNTER_ORIGIN = datetime(2020, 1, 1, tzinfo=UTC)
_BUSY_PAUSES = 10
_TIMEOUT_S = 3.0
_SUITE_OF_KEY = {16: 0, 32: 2}


def probe(  # noqa: PLR0913, PLR0917 - an option each
    meter: Annotated[str, typer.Argument(metavar="HOST:PORT|/dev/tty…")],
    password: Annotated[
        str | None, typer.Option(help="Password; 0x… for octets. Shown to the meter once.", envvar="AMITY_PASSWORD")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Global unicast encryption key, hexadecimal.", envvar="AMITY_KEY")
    ] = None,
    auth_key: Annotated[
        str | None, typer.Option(help="Authentication key, hexadecimal.", envvar="AMITY_AUTH_KEY")
    ] = None,
    client_title: Annotated[str | None, typer.Option(help="Our system title, where the meter knows one.")] = None,
    counter: Annotated[int | None, typer.Option(help="First invocation counter; needed with --client-title.")] = None,
    system_title: Annotated[str | None, typer.Option(help="The meter's system title, if it must be this one.")] = None,
    client: Annotated[int | None, typer.Option(help="Client address, if you know it.")] = None,
    server: Annotated[int | None, typer.Option(help="Server address (logical device), if you know it.")] = None,
    physical: Annotated[int | None, typer.Option(help="Lower HDLC address, if you know it.")] = None,
    framing: Annotated[Framing | None, typer.Option(help="Framing, if you know it.")] = None,
    baud: Annotated[int | None, typer.Option(help="Speed of the serial line, if you know it.")] = None,
    profiles: Annotated[Path | None, typer.Option(help="A folder of your own device profiles (*.toml).")] = None,
    timeout_s: Annotated[
        float | None, typer.Option("--timeout", help="Seconds to wait for each answer; 3, or as configured.")
    ] = None,
    pause_s: Annotated[float, typer.Option("--pause", help="Seconds to leave the meter alone between attempts.")] = 1.0,
    show_secrets: Annotated[bool, typer.Option(help="Print the command with the secrets in it.")] = False,
    configuration: Annotated[
        Path | None, typer.Option("--config", help="Take addresses and patience from its dlms_config.yaml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Find out how to reach a meter: framing, addresses, authentication, security, model; then print how to read it.

    It asks politely: few attempts with pauses, and a password or key is shown once and never again once the meter may
    have judged it. Exit status 3 means that nothing answers, 4 that the meter lets nobody in with what was given.
    """
    place = place_of(meter)
    configured = load_gateway(configuration).file if configuration is not None else None
    if configured is not None:
        client, server = client or configured.client_address, server or configured.logical_device_id
    timeout_s = timeout_s or (configured.request_timeout if configured is not None else _TIMEOUT_S)
    known = Known(place.serial, framing, client, server, physical, baud)
    secrets = _secrets(password, key, auth_key, client_title, system_title, counter)
    told: list[tuple[str, str]] = []
    doctor = Doctor(
        known,
        secrets,
        catalogue_of(profiles),
        random_octets,
        first_counter=int((SystemClock().now() - _COUNTER_ORIGIN).total_seconds()),
        tell=_teller(told, aloud=not as_json),
        manners=Manners(pause_s=pause_s, busy_pause_s=_BUSY_PAUSES * pause_s),
    )
    finding = asyncio.run(carry_out(doctor.examine(), _opener(place, timeout_s), timeout_s=timeout_s))
    asked = Asked(meter, password, key, auth_key, client_title, profiles, show_secrets)
    if as_json:
        print(json.dumps(to_json(finding, asked, told), ensure_ascii=False, indent=2))
    else:
        print("\n".join(("", *lines(finding, asked))))
    if finding.opened is None or (finding.advice and secrets.held):
        raise typer.Exit(4)


def _secrets(
    password: str | None,
    key: str | None,
    auth_key: str | None,
    client_title: str | None,
    system_title: str | None,
    counter: int | None,
) -> Secrets:
    secret = password_octets(password)
    guek, gak = hex_octets("--key", key), hex_octets("--auth-key", auth_key)
    if gak and not guek:
        raise ConfigurationError("--auth-key needs --key", next_step="give both keys")
    if client_title and counter is None:
        raise ConfigurationError("--client-title needs --counter", next_step="give one above all used before")
    if guek and len(guek) not in _SUITE_OF_KEY:
        raise ConfigurationError(f"--key has {len(guek)} octets", next_step="an AES key has 16 octets, 32 in suite 2")
    return Secrets(
        password=secret,
        protector=lambda suite: KeyRing(suite, Keys(guek or None, gak or None, secret=secret or None)),
        keyed=bool(guek),
        suite=_SUITE_OF_KEY.get(len(guek), 0),
        authenticates=bool(gak),
        client_title=hex_octets("--client-title", client_title, 8 if client_title else None),
        server_title=hex_octets("--system-title", system_title, 8 if system_title else None),
        counter=counter,
    )


def _opener(place: Place, timeout_s: float) -> Open:
    return lambda link: open_channel(place, link, timeout_s)


def _teller(told: list[tuple[str, str]], *, aloud: bool) -> Callable[[str, str], None]:
    console = Console(highlight=False, soft_wrap=True, markup=False)

    def tell(what: str, answer: str) -> None:
        told.append((what, answer))
        if aloud:
            console.print(f"tried  {what}\nmeter  {answer}")

    return tell
