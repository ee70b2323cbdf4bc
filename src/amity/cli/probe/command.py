"""`amity meter probe`: the connection doctor at the command line."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from amity.cli.channels import Place, Way, open_channel, place_of
from amity.cli.grouped import grouped
from amity.cli.meter_options import MeterArgument, SecretOptions, WayOptions
from amity.cli.options import hex_octets, password_octets
from amity.cli.probe.probing import Open, carry_out
from amity.cli.probe.report import Asked, lines, to_json
from amity.devices.doctor import Doctor, Known, Manners, Secrets
from amity.devices.profiles import Framing
from amity.kernel.errors import ConfigurationError
from amity.protocols.dlms.general_protection import PublicKeys
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.runtime.files.profiles import catalogue_of
from amity.runtime.gateway.config import load_gateway
from amity.runtime.system import SystemClock, random_octets

_COUNTER_ORIGIN = datetime(2020, 1, 1, tzinfo=UTC)
_BUSY_PAUSES = 10
_TIMEOUT_S = 3.0
_OCTETS_OF_SUITE = {0: (16, 0), 1: (16, 32), 2: (32, 48)}
"""Encryption key and private signing key; in suite 0 nothing is signed."""


@grouped
def probe(  # noqa: PLR0913 - an option each
    meter: MeterArgument,
    *,
    secrets: SecretOptions,
    suite: Annotated[
        int | None, typer.Option(min=0, max=2, help="Security suite, if you know it; else by the lengths of the keys.")
    ] = None,
    client: Annotated[int | None, typer.Option(help="Client address, if you know it.")] = None,
    server: Annotated[int | None, typer.Option(help="Server address (logical device), if you know it.")] = None,
    physical: Annotated[int | None, typer.Option(help="Lower HDLC address, if you know it.")] = None,
    framing: Annotated[Framing | None, typer.Option(help="Framing, if you know it.")] = None,
    baud: Annotated[int | None, typer.Option(help="Speed of the serial line, if you know it.")] = None,
    way: WayOptions,
    profiles: Annotated[Path | None, typer.Option(help="A folder of your own device profiles (*.toml).")] = None,
    timeout_s: Annotated[
        float | None, typer.Option("--timeout", help="Seconds to wait for each answer; 3, or as configured.")
    ] = None,
    pause_s: Annotated[float, typer.Option("--pause", help="Seconds to leave the meter alone between attempts.")] = 1.0,
    clear_password: Annotated[
        bool | None,
        typer.Option(
            help="Whether the password may go out in the clear (lls). Without a word: to one client, if it asks for lls"
            " or if the password is all that you give.",
            show_default=False,
        ),
    ] = None,
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
    known = Known(place.serial, Framing.WRAPPER if way.udp else framing, client, server, physical, baud)
    held = replace(secrets_held(secrets, suite), clear_password=clear_password)
    told: list[tuple[str, str]] = []
    doctor = Doctor(
        known,
        held,
        catalogue_of(profiles),
        random_octets,
        first_counter=int((SystemClock().now() - _COUNTER_ORIGIN).total_seconds()),
        tell=_teller(told, aloud=not as_json),
        manners=Manners(pause_s=pause_s, busy_pause_s=_BUSY_PAUSES * pause_s),
    )
    finding = asyncio.run(carry_out(doctor.examine(), _opener(place, way.way(), timeout_s), timeout_s=timeout_s))
    asked = Asked(meter, secrets, way, profiles, show_secrets)
    if as_json:
        print(json.dumps(to_json(finding, asked, told), ensure_ascii=False, indent=2))
    else:
        print("\n".join(("", *lines(finding, asked))))
    if finding.opened is None or (held.held and not finding.lets_in):
        raise typer.Exit(4)


def secrets_held(typed: SecretOptions, suite: int | None) -> Secrets:
    """What was typed as octets; raise ConfigurationError for what does not go together."""
    secret = password_octets(typed.password)
    guek, gak = hex_octets("--key", typed.key), hex_octets("--auth-key", typed.auth_key)
    signing = hex_octets("--signing-key", typed.signing_key)
    if gak and not guek:
        raise ConfigurationError("--auth-key needs --key", next_step="give both keys")
    if typed.client_title and typed.counter is None:
        raise ConfigurationError("--client-title needs --counter", next_step="give one above all used before")
    return Secrets(
        password=secret,
        protector=lambda of_suite: KeyRing(
            of_suite,
            Keys(guek or None, gak or None, secret=secret or None, signing=signing or None if of_suite else None),
        ),
        keyed=bool(guek),
        suites=_suites(len(guek), len(signing)) if suite is None else (suite,),
        authenticates=bool(gak),
        client_title=typed.client_title_octets,
        server_title=typed.server_title_octets,
        counter=typed.counter,
        signs=bool(signing),
        server_keys=PublicKeys(signing=hex_octets("--meter-signing-key", typed.meter_signing_key)),
        broken_digests_allowed=typed.allow_broken_digest,
        bare_acceptance=typed.bare_acceptance,
    )


def _suites(key_octets: int, signing_octets: int) -> tuple[int, ...]:
    """The security suites that have keys of these lengths (0 where there is none)."""
    suites = tuple(
        suite
        for suite, (key, signing) in _OCTETS_OF_SUITE.items()
        if key_octets in {0, key} and signing_octets in {0, signing or signing_octets}
    )
    if not suites:
        raise ConfigurationError(
            f"no security suite has keys of {key_octets} and signing keys of {signing_octets} octets",
            next_step="--key has 16 octets in suites 0 and 1, 32 in suite 2;"
            " --signing-key has 32 in suite 1, 48 in suite 2",
        )
    return suites


def _opener(place: Place, way: Way, timeout_s: float) -> Open:
    return lambda link: open_channel(place, link, timeout_s, way)


def _teller(told: list[tuple[str, str]], *, aloud: bool) -> Callable[[str, str], None]:
    console = Console(highlight=False, soft_wrap=True, markup=False)

    def tell(what: str, answer: str) -> None:
        told.append((what, answer))
        if aloud:
            console.print(f"tried  {what}\nmeter  {answer}")

    return tell
