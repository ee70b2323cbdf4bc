"""The fleet document (`amity simulate --json`, or what a utility exports) as endpoints and secrets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from amity.headend.fields import Fields
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.route_document import check_server, read_route
from amity.kernel.errors import ConfigurationError

_ADDRESS_MAX: Final = 0xFFFF
_SUITE_MAX: Final = 2
_TITLE_OCTETS: Final = 8


@dataclass(frozen=True, slots=True)
class Provision:
    """What the head-end needs to read a fleet: where each meter is, and its secrets by meter id."""

    endpoints: tuple[Endpoint, ...]
    secrets: Mapping[str, MeterSecrets]


def read_fleet_document(document: Any) -> Provision:
    """Read a list of meters; raise ConfigurationError that names the meter and the field that cannot be used."""
    if not isinstance(document, list):
        raise ConfigurationError("a fleet document is a list of meters", next_step="give what `amity simulate` prints")
    entries = [Fields(f"meter {number + 1} of the fleet document", written) for number, written in enumerate(document)]
    endpoints = tuple(map(_endpoint, entries))
    secrets = {endpoint.meter_id: _secrets(entry) for entry, endpoint in zip(entries, endpoints, strict=True)}
    if len(secrets) != len(endpoints):
        raise ConfigurationError("a fleet document names a meter twice", next_step="keep one entry for each meter")
    return Provision(endpoints, secrets)


def _endpoint(entry: Fields) -> Endpoint:
    """Where the meter is and how it is talked to."""
    meter_id = entry.text("logical_device_name")
    entry.name = f"meter {meter_id}"
    route, server = read_route(entry), entry.number("server", 1, _ADDRESS_MAX)
    check_server(entry, route.link, server)
    return Endpoint(
        meter_id=meter_id,
        route=route,
        client=entry.number("client", 1, _ADDRESS_MAX),
        server=server,
        auth=entry.text("auth"),
        profile=entry.text("profile"),
        system_title=entry.octets("system_title", (0, _TITLE_OCTETS)),
        ciphering=entry.text("ciphering", otherwise=""),
        protection=entry.text("protection", otherwise=""),
        suite=entry.number("suite", 0, _SUITE_MAX) if entry.has("suite") else None,
        signed=entry.flag("signed"),
        general_blocks=entry.flag("general_blocks"),
        legacy_allowed=entry.flag("legacy_allowed"),
    )


def _secrets(entry: Fields) -> MeterSecrets:
    """Its password and keys; empty where it has none."""
    return MeterSecrets(
        entry.text("password", otherwise="").encode(),
        entry.octets("guek", (0, 16, 32)),
        entry.octets("gak", (0, 16, 32)),
        entry.octets("client_signing_key", (0, 32, 48)),
        entry.octets("meter_signing_key", (0, 64, 96)),
    )
