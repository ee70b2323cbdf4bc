"""`amity meter add`: a meter, or a whole fleet from a file, made known to the head-end."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer

from amity.cli.channels import Place, place_of
from amity.cli.grouped import grouped
from amity.cli.options import hex_octets, password_octets
from amity.devices.profiles import SignOn
from amity.devices.settings import SYSTEM_TITLE_OCTETS
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.provisioning import Provision
from amity.headend.routes import BAUD_DEFAULT, CallsIn, HdlcLink, Host, Route, SerialLine, WrapperLink
from amity.kernel.errors import ConfigurationError
from amity.runtime.fleet.authentication_level import level_of
from amity.runtime.fleet.meter_defaults import with_level
from amity.runtime.fleet.provisioning import check_meter, fleet_json, fleet_of, provision_fleet
from amity.runtime.installation import find_installation
from amity.runtime.settings import HeadendSettings


@dataclass(frozen=True, slots=True)
class WayOptions:
    """How the meter is reached, beside where it is."""

    calls_in: Annotated[
        bool, typer.Option("--calls-in", help="The meter opens the connection; without HOST:PORT, or with HOST alone.")
    ] = False
    hdlc: Annotated[bool, typer.Option("--hdlc", help="It speaks HDLC over TCP; on a serial line it does anyway.")] = (
        False
    )
    physical: Annotated[int | None, typer.Option(min=1, help="Lower HDLC address (physical device).")] = None
    baud: Annotated[int, typer.Option(min=0, help="Speed of the serial line; 0: as in serial_ports.")] = 0
    sign_on: Annotated[SignOn, typer.Option(help="How the serial line becomes HDLC.")] = SignOn.NONE
    cell: Annotated[str, typer.Option(help="What it shares its medium with others in; see [throttle.cell].")] = ""

    def route(self, where: str, settings: HeadendSettings) -> Route:
        """The way to a meter; raise ConfigurationError for a place that is none."""
        return replace(self._way(where, settings), cell=self.cell)

    def _way(self, where: str, settings: HeadendSettings) -> Route:
        if self.calls_in:
            caller = CallsIn(where)
            return Route(HdlcLink(caller, self.physical) if self.hdlc else WrapperLink(caller))
        place = place_of(where)
        if place.serial:
            return Route(HdlcLink(self._line(place, settings), self.physical))
        host = Host(place.host, place.port)
        return Route(HdlcLink(host, self.physical) if self.hdlc else WrapperLink(host))

    def _line(self, place: Place, settings: HeadendSettings) -> SerialLine:
        speeds = {line.device: line.baud for line in settings.serial_ports}
        if speeds and place.device not in speeds:
            raise ConfigurationError(
                f"{place.device} is not among serial_ports ({', '.join(speeds)})",
                next_step="add it to serial_ports in dlms_config.yaml, with its speed",
            )
        return SerialLine(place.device, self.baud or speeds.get(place.device, BAUD_DEFAULT), self.sign_on)


@dataclass(frozen=True, slots=True)
class AssociationOptions:
    """What of the meter's association differs from what is configured, and its secrets; they never show in a repr."""

    client: Annotated[int, typer.Option(min=0, help="Client address; 0: as configured.")] = 0
    server: Annotated[int, typer.Option(min=0, help="Logical device; 0: as configured.")] = 0
    level: Annotated[
        str | None, typer.Option(help="authentication_level; default: as configured, whatever the profile.")
    ] = None
    profile: Annotated[
        str, typer.Option(help="Device profile: what the model has; how it is spoken to stays as configured.")
    ] = ""
    system_title: Annotated[str | None, typer.Option(help="The meter's system title, hexadecimal.")] = None
    password: Annotated[
        str | None, typer.Option(envvar="AMITY_PASSWORD", help="Password, for LLS and HLS by a digest; 0x… for octets.")
    ] = field(default=None, repr=False)
    key: Annotated[
        str | None, typer.Option(envvar="AMITY_KEY", help="Global unicast encryption key (GUK), for HLS-GMAC, suites.")
    ] = field(default=None, repr=False)
    auth_key: Annotated[
        str | None, typer.Option(envvar="AMITY_AUTH_KEY", help="Authentication key, beside the encryption key.")
    ] = field(default=None, repr=False)

    def endpoint(self, meter: str, route: Route) -> Endpoint:
        """The meter as the head-end reads it; raise ConfigurationError for a level or title that is none."""
        title = hex_octets("--system-title", self.system_title, SYSTEM_TITLE_OCTETS if self.system_title else None)
        return _with_level(Endpoint(meter, route, self.client, self.server, "", self.profile, title), self.level)

    def secrets(self) -> MeterSecrets:
        """Raise ConfigurationError for what is not hexadecimal; it is not repeated."""
        return MeterSecrets(
            password_octets(self.password), hex_octets("--key", self.key), hex_octets("--auth-key", self.auth_key)
        )


@grouped
def add(
    *,
    meter: Annotated[str | None, typer.Argument(help="The meter's logical device name.")] = None,
    where: Annotated[str | None, typer.Argument(metavar="[HOST:PORT|/dev/tty…]")] = None,
    fleet: Annotated[Path | None, typer.Option(help="A fleet document, as `amity simulate --json` prints it.")] = None,
    way: WayOptions,
    association: AssociationOptions,
    configuration: Annotated[Path | None, typer.Option("--config", help="Default: /etc/ami-gateway.")] = None,
    directory: Annotated[Path | None, typer.Option("--dir", help="An installation in one folder.")] = None,
) -> None:
    """Make a meter known: where it is, and what of its association differs from dlms_config.yaml.

    Secrets are best given in the environment: other users see the arguments of a command. A running service reads a new
    meter at its next round; for other keys of a known one it must be restarted. Secrets that the level does not use are
    refused: they would lie there while the meter is read without them.
    """
    document = None if fleet is None else fleet_json(fleet)  # before root becomes who may not read it
    folder, settings = find_installation(configuration, directory)
    if fleet is not None:
        wanted = fleet_of(document, folder)
        if not wanted.endpoints:
            raise ConfigurationError(f"{fleet} names no meter", next_step="give what `amity simulate --json` prints")
    elif meter is not None and (where is not None or way.calls_in):
        endpoint = association.endpoint(meter, way.route(where or "", settings.headend))
        wanted = Provision((endpoint,), {meter: association.secrets()})
        check_meter(endpoint, wanted.secrets[meter], folder, settings.headend)
    else:
        raise ConfigurationError(
            "no meter is named", next_step="give METER and HOST:PORT, METER and --calls-in, or --fleet FILE"
        )
    folder.create()
    provision_fleet(folder, settings.headend, wanted)
    print(f"{len(wanted.endpoints)} meter(s) known; next: amity meter ping {wanted.endpoints[0].meter_id}")


def _with_level(endpoint: Endpoint, text: str | None) -> Endpoint:
    if text is None:
        return endpoint
    try:
        return with_level(endpoint, level_of(text))
    except ValueError as error:
        raise ConfigurationError(f"--level: {error}", next_step="choose one of these") from error
