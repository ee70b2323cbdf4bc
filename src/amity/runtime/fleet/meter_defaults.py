"""How meters are spoken to of which nothing else is said: what an endpoint leaves open is as the installation is set.

A device profile says what a model has and how it behaves. How it is spoken to is configured, or said of the meter
itself: the name of a model must not lower what an administrator has set. An endpoint whose profile is empty, whose
client or server is 0, or whose authentication is empty has the configured one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from amity.headend.ports import Endpoint, Endpoints
from amity.runtime.fleet.authentication_level import Level, level_of
from amity.runtime.settings import HeadendSettings


def with_level(endpoint: Endpoint, level: Level) -> Endpoint:
    """What the level says of association and suite stands at the meter; what it leaves open is the device profile's."""
    return replace(
        endpoint,
        auth=level.authentication.value,
        ciphering=level.ciphering.value,
        protection=level.protection.value,
        suite=level.suite,
    )


class EndpointsWithDefaults:
    """Implements `headend.ports.Endpoints`: what an endpoint leaves open is filled in when it is read."""

    def __init__(self, endpoints: Endpoints, settings: HeadendSettings) -> None:
        self._endpoints = endpoints
        self._settings = settings

    def all(self) -> Sequence[Endpoint]:
        """Every endpoint, whole."""
        return [self.whole(one) for one in self._endpoints.all()]

    def put(self, endpoints: Iterable[Endpoint]) -> None:
        """Add or replace endpoints, open where they are open."""
        self._endpoints.put(endpoints)

    def whole(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint with nothing left open."""
        return as_configured(endpoint, self._settings)


def as_configured(endpoint: Endpoint, settings: HeadendSettings) -> Endpoint:
    """The endpoint with nothing left open but what its level leaves to its device profile."""
    if not endpoint.auth:
        endpoint = with_level(endpoint, level_of(settings.authentication_level))
    if endpoint.profile and endpoint.client and endpoint.server:
        return endpoint
    return replace(
        endpoint,
        profile=endpoint.profile or settings.device_profile,
        client=endpoint.client or settings.client_address,
        server=endpoint.server or settings.logical_device_id,
    )
