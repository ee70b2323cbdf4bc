"""Who calls, and whether he may speak for a meter without proof: by address, collector, certificate or session."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from amity.devices.profiles import DeviceProfile
from amity.devices.settings import Authentication
from amity.headend.ports import Endpoint
from amity.headend.routes import Gateway
from amity.kernel.addresses import Address, address_of

BY_DATAGRAM: Final = "udp:"
"""What stands before an address that a datagram names."""


class Caller(Protocol):
    """Somebody who pushes; as text, where he calls from."""

    async def speaks_for(self, endpoint: Endpoint) -> bool:
        """True when this is the meter itself, as far as can be told without keys."""
        ...


class CallingFrom(NamedTuple):
    """Somebody who called us from an address."""

    address: str

    async def speaks_for(self, endpoint: Endpoint) -> bool:
        """Where the meter lives is where it calls from; one near a collector lives in another network."""
        return not endpoint.route.collector and await speaks_from(endpoint.route.host, self.address)

    def __str__(self) -> str:
        """As what he pushes is parked."""
        return self.address


class Datagram(NamedTuple):
    """Somebody whose datagram names an address, as anybody's can."""

    address: str

    async def speaks_for(self, endpoint: Endpoint) -> bool:  # noqa: ARG002 - whichever it is
        """Nothing is believed of him without proof."""
        return False

    def __str__(self) -> str:
        """As what he pushes is parked."""
        return f"{BY_DATAGRAM}{self.address}"


class HeardBy(NamedTuple):
    """Somebody who called a collector, from an address in the network where that stands."""

    collector: str
    address: str

    async def speaks_for(self, endpoint: Endpoint) -> bool:
        """A collector hears the meters that are read through it, and no others."""
        route = endpoint.route
        return route.collector == self.collector and await speaks_from(route.host, self.address)

    def __str__(self) -> str:
        """As what he pushes is parked."""
        return f"{self.collector}/{self.address}"


class Certified(NamedTuple):
    """Somebody who showed the broker a certificate that names a meter."""

    meter_id: str

    async def speaks_for(self, endpoint: Endpoint) -> bool:
        """For the meter of the certificate."""
        return endpoint.meter_id == self.meter_id

    def __str__(self) -> str:
        """As what he pushes is parked."""
        return f"mqtt:{self.meter_id}"


class InSession(NamedTuple):
    """Somebody heard in the session with `endpoint`; `gateway` says behind what, None for nothing."""

    endpoint: Endpoint
    gateway: Gateway | None

    async def speaks_for(self, endpoint: Endpoint) -> bool:
        """A meter speaks for itself alone, also where others are called at the same address or on the same line."""
        route = replace(self.endpoint.route, gateway=self.gateway)
        if route == self.endpoint.route:
            return endpoint.meter_id == self.endpoint.meter_id
        return endpoint.route == route

    def __str__(self) -> str:
        """As what he pushes is parked."""
        return f"{replace(self.endpoint.route, gateway=self.gateway)} in the session with {self.endpoint.meter_id}"


def proves_itself(endpoint: Endpoint, profile_of: Callable[[str], DeviceProfile]) -> bool:
    """True for a meter with HLS: in each session it proves who it is before anything of ours is told to it."""
    word = endpoint.auth or profile_of(endpoint.profile).association.authentication
    return word in list(Authentication) and Authentication(word).hls


async def speaks_from(host: str, peer: str) -> bool:
    """True when the address `peer` is that of `host`; a name that nobody can resolve is nobody's."""
    if host == peer:
        return bool(host)
    caller = address_of(peer)
    return caller is not None and caller in await _addresses_of(host)


async def _addresses_of(host: str) -> set[Address]:
    literal = address_of(host)
    if literal is not None:
        return {literal}
    if not host:  # on a serial line nobody calls
        return set()
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return set()
    return {address for *_, (text, *_rest) in found if (address := address_of(str(text))) is not None}
