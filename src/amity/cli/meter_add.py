"""`amity meter add`: a meter, or a whole fleet from a file, made known to the head-end."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from amity.cli.options import address, hex_octets, password_octets
from amity.devices.settings import SYSTEM_TITLE_OCTETS
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.provisioning import Provision
from amity.headend.routes import CallsIn, HdlcLink, Route, WrapperLink, over_tcp
from amity.kernel.errors import ConfigurationError
from amity.runtime.authentication_level import level_of
from amity.runtime.folder import Folder
from amity.runtime.installation import find_installation
from amity.runtime.provisioning import provision_fleet, read_fleet_file
from amity.runtime.settings import HeadendSettings


def add(  # noqa: PLR0913, PLR0917 - an option each
    meter: Annotated[str | None, typer.Argument(help="The meter's logical device name.")] = None,
    where: Annotated[str | None, typer.Argument(metavar="[HOST:PORT]")] = None,
    fleet: Annotated[Path | None, typer.Option(help="A fleet document, as `amity simulate --json` prints it.")] = None,
    client: Annotated[int, typer.Option(min=0, help="Client address; 0: as configured.")] = 0,
    server: Annotated[int, typer.Option(min=0, help="Logical device; 0: as configured.")] = 0,
    level: Annotated[str | None, typer.Option(help="authentication_level; default: as configured.")] = None,
    profile: Annotated[str, typer.Option(help="Device profile; default: as configured.")] = "",
    system_title: Annotated[str | None, typer.Option(help="The meter's system title, hexadecimal.")] = None,
    password: Annotated[str | None, typer.Option(envvar="AMITY_PASSWORD", help="Password; 0x… for octets.")] = None,
    key: Annotated[str | None, typer.Option(envvar="AMITY_KEY", help="Global unicast encryption key (GUK).")] = None,
    auth_key: Annotated[str | None, typer.Option(envvar="AMITY_AUTH_KEY", help="Authentication key.")] = None,
    calls_in: Annotated[
        bool, typer.Option("--calls-in", help="The meter opens the connection; without HOST:PORT, or with HOST alone.")
    ] = False,
    hdlc: Annotated[bool, typer.Option("--hdlc", help="With --calls-in: it speaks HDLC.")] = False,
    configuration: Annotated[Path | None, typer.Option("--config", help="Default: /etc/ami-gateway.")] = None,
    directory: Annotated[Path | None, typer.Option("--dir", help="An installation in one folder.")] = None,
) -> None:
    """Make a meter known: where it is, and what of its association differs from dlms_config.yaml.

    Secrets are best given in the environment: other users see the arguments of a command. A running service reads a new
    meter at its next round; for other keys of a known one it must be restarted.
    """
    folder, settings = find_installation(configuration, directory)
    if fleet is not None:
        wanted = _fleet(fleet, folder, settings.headend)
    elif meter is not None and (where is not None or calls_in):
        secrets = MeterSecrets(password_octets(password), hex_octets("--key", key), hex_octets("--auth-key", auth_key))
        title = hex_octets("--system-title", system_title, SYSTEM_TITLE_OCTETS if system_title else None)
        endpoint = Endpoint(meter, _route(where, calls_in=calls_in, hdlc=hdlc), client, server, "", profile, title)
        wanted = Provision((_with_level(endpoint, level),), {meter: secrets})
    else:
        raise ConfigurationError(
            "no meter is named", next_step="give METER and HOST:PORT, METER and --calls-in, or --fleet FILE"
        )
    folder.create()
    provision_fleet(folder, settings.headend, wanted)
    print(f"{len(wanted.endpoints)} meter(s) known; next: amity meter ping {wanted.endpoints[0].meter_id}")


def _route(where: str | None, *, calls_in: bool, hdlc: bool) -> Route:
    if not calls_in and where is not None:
        return over_tcp(*address(where))
    at = CallsIn(where or "")
    return Route(HdlcLink(at) if hdlc else WrapperLink(at))


def _with_level(endpoint: Endpoint, text: str | None) -> Endpoint:
    """The level's suite is a matter of the device profile; what it says of the association stands at the meter."""
    if text is None:
        return endpoint
    try:
        level = level_of(text)
    except ValueError as error:
        raise ConfigurationError(f"--level: {error}", next_step="choose one of these") from error
    return replace(
        endpoint, auth=level.authentication.value, ciphering=level.ciphering.value, protection=level.protection.value
    )


def _fleet(path: Path, folder: Folder, settings: HeadendSettings) -> Provision:
    wanted = read_fleet_file(path, folder, settings)
    if not wanted.endpoints:
        raise ConfigurationError(f"{path} names no meter", next_step="give what `amity simulate --json` prints")
    return wanted
