"""The fleet document (`amity simulate --json`, or what a utility exports) as endpoints and secrets.

Beside the association in which a meter is read the document may have one for management, in which its clock is moved.
One for control, which can cut a house off, is passed over unread: the head-end never sees a key of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from amity.devices.interface_classes import Role
from amity.devices.profiles import DeviceProfile
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.headend.fields import Fields
from amity.headend.ports import Endpoint, Management, MeterSecrets
from amity.headend.route_document import ROUTE_MEMBERS, check_server, read_route
from amity.headend.routes import Route
from amity.headend.session import association_settings
from amity.kernel.errors import ConfigurationError

_ADDRESS_MAX: Final = 0xFFFF
_SUITE_MAX: Final = 2
_TITLE_OCTETS: Final = 8
_ANY_TITLE: Final = bytes(_TITLE_OCTETS)
"""In place of the head-end's own, which it has when it starts."""
_OF_ASSOCIATION: Final = (
    "client", "auth", "ciphering", "protection", "suite", "signed",
    "password", "guek", "gak", "client_signing_key", "meter_signing_key",
)  # fmt: skip
_OF_METER: Final = (
    "logical_device_name", "profile", "server", "system_title", "general_blocks", "legacy_allowed", "associations",
)  # fmt: skip
_MASTER_KEY: Final = "kek"
_OF_THE_SIMULATOR: Final = (
    "simulated", "serial", "usage_point", "transformer", "faults", _MASTER_KEY, "awkward", "story", "meter",
)  # fmt: skip
_MEMBERS: Final = ROUTE_MEMBERS.union(_OF_ASSOCIATION, _OF_METER, _OF_THE_SIMULATOR)
_MANAGEMENT_MEMBERS: Final = {"role", *_OF_ASSOCIATION, _MASTER_KEY}
_OTHER_ROLES: Final = (Role.MANAGEMENT.value, Role.CONTROL.value)

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
            check_associations(endpoint, profile_of(endpoint.profile), secrets[endpoint.meter_id])
    return Provision(endpoints, secrets)


def check_associations(endpoint: Endpoint, profile: DeviceProfile, secrets: MeterSecrets) -> None:
    """Raise ConfigurationError when the secrets do not do for the meter's association, or for that of management."""
    association_settings(endpoint, profile, secrets, _ANY_TITLE)
    managed = endpoint.as_managed
    if managed is None:
        return
    try:
        association_settings(managed, profile, secrets.management or MeterSecrets(), _ANY_TITLE)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"the management association: {error.what}", answer=error.answer, next_step=error.next_step
        ) from error


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
        server=server,
        profile=_profile(entry, profile_of),
        system_title=entry.octets("system_title", (0, _TITLE_OCTETS)),
        general_blocks=entry.flag("general_blocks"),
        legacy_allowed=entry.flag("legacy_allowed"),
        management=_management(entry, route),
        **_association(entry),
    )


def _association(entry: Fields) -> dict[str, Any]:
    """What is said of a client, of the one that reads and of the one that manages alike."""
    return {
        "client": entry.number("client", 1, _ADDRESS_MAX),
        "auth": entry.choice("auth", Authentication).value,
        "ciphering": entry.choice("ciphering", Ciphering).value if entry.has("ciphering") else "",
        "protection": entry.choice("protection", Protection).value if entry.has("protection") else "",
        "suite": entry.number("suite", 0, _SUITE_MAX) if entry.has("suite") else None,
        "signed": entry.flag("signed"),
    }


def _management(entry: Fields, route: Route) -> Management | None:
    """How the meter is managed; over a line that the meter opens only where it proves itself first."""
    written = _of_management(entry)
    if written is None:
        return None
    written.only(_MANAGEMENT_MEMBERS)
    found = Management(**_association(written))
    if route.calls_in and not Authentication(found.auth).hls:
        raise written.refusal("auth", "must be one of HLS: whoever calls in under a meter's name is told no password")
    return found


def _of_management(entry: Fields) -> Fields | None:
    """The entry of the management client, None without one; of one for control nothing but its role is read."""
    found = [one for one in entry.each("associations") if one.word("role", _OTHER_ROLES) == Role.MANAGEMENT.value]
    if len(found) > 1:
        raise entry.refusal("associations", "must have one for management at most")
    return found[0] if found else None


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
    """Passwords and keys of reading and management."""
    management = _of_management(entry)
    return replace(_own_secrets(entry), management=None if management is None else _own_secrets(management))


def _own_secrets(entry: Fields) -> MeterSecrets:
    """Those of one association; empty where it has none."""
    return MeterSecrets(
        entry.text("password", otherwise="").encode(),
        entry.octets("guek", (0, 16, 32)),
        entry.octets("gak", (0, 16, 32)),
        entry.octets("client_signing_key", (0, 32, 48)),
        entry.octets("meter_signing_key", (0, 64, 96)),
    )
