"""The fleet document (`amity simulate --json`, or what a utility exports) as endpoints and secrets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from amity.devices.profiles import DeviceProfile
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.headend.fields import Fields
from amity.headend.ports import Endpoint, MeterSecrets
from amity.headend.route_document import ROUTE_MEMBERS, check_server, read_route
from amity.headend.session import association_settings
from amity.kernel.errors import ConfigurationError

_ADDRESS_MAX: Final = 0xFFFF
_SUITE_MAX: Final = 2
_TITLE_OCTETS: Final = 8
_ANY_TITLE: Final = bytes(_TITLE_OCTETS)
"""In place of the head-end's own, which it has when it starts."""
_OF_ASSOCIATION: Final = (
    "logical_device_name", "profile", "client", "server", "auth", "system_title", "ciphering", "protection", "suite",
    "signed", "general_blocks", "legacy_allowed", "password", "guek", "gak", "client_signing_key", "meter_signing_key",
)  # fmt: skip
_OF_THE_SIMULATOR: Final = (
    "simulated", "serial", "usage_point", "transformer", "faults", "associations", "kek", "awkward", "story", "meter",
)  # fmt: skip
_MEMBERS: Final = ROUTE_MEMBERS.union(_OF_ASSOCIATION, _OF_THE_SIMULATOR)

ProfileOf = Callable[[str], DeviceProfile]
"""The device profile of a name; raises ConfigurationError where there is none."""


@dataclass(frozen=True, slots=True)
class Provision:
    """What the head-end needs to read a fleet: where each meter is, and its secrets by meter id."""

    endpoints: tuple[Endpoint, ...]
    secrets: Mapping[str, MeterSecrets]


def read_fleet_document(document: Any, profile_of: ProfileOf | None = None) -> Provision:
    """Read a list of meters; raise ConfigurationError that names the meter and the member that cannot be used.

    A member that nobody knows is refused too; what only the simulator says of its meters is passed over. With
    `profile_of` every meter's profile must be one that there is, and its keys must do for its association.
    """
    if not isinstance(document, list):
        raise ConfigurationError("a fleet document is a list of meters", next_step="give what `amity simulate` prints")
    entries = [Fields(f"meter {number + 1} of the fleet document", written) for number, written in enumerate(document)]
    endpoints = tuple(_endpoint(entry, profile_of) for entry in entries)
    secrets = {endpoint.meter_id: _secrets(entry) for entry, endpoint in zip(entries, endpoints, strict=True)}
    if len(secrets) != len(endpoints):
        raise ConfigurationError("a fleet document names a meter twice", next_step="keep one entry for each meter")
    if profile_of is not None:
        for endpoint in endpoints:  # what no association can be opened with is refused here, not by night
            association_settings(endpoint, profile_of(endpoint.profile), secrets[endpoint.meter_id], _ANY_TITLE)
    return Provision(endpoints, secrets)


def _endpoint(entry: Fields, profile_of: ProfileOf | None) -> Endpoint:
    """Where the meter is and how it is talked to."""
    meter_id = entry.text("logical_device_name")
    entry.name = f"meter {meter_id}"
    entry.only(_MEMBERS)
    route, server = read_route(entry), entry.number("server", 1, _ADDRESS_MAX)
    check_server(entry, route.link, server)
    return Endpoint(
        meter_id=meter_id,
        route=route,
        client=entry.number("client", 1, _ADDRESS_MAX),
        server=server,
        auth=entry.choice("auth", Authentication).value,
        profile=_profile(entry, profile_of),
        system_title=entry.octets("system_title", (0, _TITLE_OCTETS)),
        ciphering=entry.choice("ciphering", Ciphering).value if entry.has("ciphering") else "",
        protection=entry.choice("protection", Protection).value if entry.has("protection") else "",
        suite=entry.number("suite", 0, _SUITE_MAX) if entry.has("suite") else None,
        signed=entry.flag("signed"),
        general_blocks=entry.flag("general_blocks"),
        legacy_allowed=entry.flag("legacy_allowed"),
    )


def _profile(entry: Fields, profile_of: ProfileOf | None) -> str:
    name = entry.text("profile")
    if profile_of is not None:
        try:
            profile_of(name)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{entry.name}: profile cannot be used: {error.what}", answer=error.answer, next_step=error.next_step
            ) from error
    return name


def _secrets(entry: Fields) -> MeterSecrets:
    """Its password and keys; empty where it has none."""
    return MeterSecrets(
        entry.text("password", otherwise="").encode(),
        entry.octets("guek", (0, 16, 32)),
        entry.octets("gak", (0, 16, 32)),
        entry.octets("client_signing_key", (0, 32, 48)),
        entry.octets("meter_signing_key", (0, 64, 96)),
    )
