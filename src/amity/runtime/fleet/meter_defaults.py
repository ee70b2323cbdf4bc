"""How meters are spoken to of which nothing else is said: the installation's settings as a device profile like others.

A profile inherits, so the settings become a few lines over the profile they name. An endpoint whose profile is empty
has this one; an endpoint whose client or server is 0 has those of its profile.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from amity.headend.ports import Endpoint, Endpoints
from amity.runtime.files.profiles import ProfileOf
from amity.runtime.fleet.authentication_level import level_of
from amity.runtime.settings import HeadendSettings

DEFAULT_PROFILE: Final = "fleet_default"


def default_profile(settings: HeadendSettings) -> Mapping[str, str]:
    """The profile of meters that say nothing else, as name and text of a file."""
    level = level_of(settings.authentication_level)
    association = {
        "client": settings.client_address,
        "server": settings.logical_device_id,
        "authentication": f'"{level.authentication}"',
        "ciphering": f'"{level.ciphering}"',
        "protection": f'"{level.protection}"',
        **({} if level.suite is None else {"suite": level.suite}),
    }
    lines = [f'inherit = "{settings.device_profile}"', "[association]"]
    return {DEFAULT_PROFILE: "\n".join([*lines, *(f"{key} = {value}" for key, value in association.items())])}


class EndpointsWithDefaults:
    """Implements `headend.ports.Endpoints`: what an endpoint leaves open is filled in when it is read."""

    def __init__(self, endpoints: Endpoints, profile_of: ProfileOf) -> None:
        self._endpoints = endpoints
        self._profile_of = profile_of

    def all(self) -> Sequence[Endpoint]:
        """Every endpoint, whole."""
        return [self.whole(one) for one in self._endpoints.all()]

    def put(self, endpoints: Iterable[Endpoint]) -> None:
        """Add or replace endpoints, open where they are open."""
        self._endpoints.put(endpoints)

    def whole(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint with nothing left open."""
        if endpoint.profile and endpoint.client and endpoint.server:
            return endpoint
        name = endpoint.profile or DEFAULT_PROFILE
        association = self._profile_of(name).association
        return replace(
            endpoint,
            profile=name,
            client=endpoint.client or association.client,
            server=endpoint.server or association.server,
        )
