"""Who may call in: networks as an administrator writes them, and the question whether an address is in one."""

import ipaddress
from collections.abc import Callable, Iterable

from amity.kernel.addresses import address_of

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def network_of(text: str) -> Network:
    """`10.20.0.0/16`, `2001:db8::/32` or one address; raise ValueError that says so for anything else."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no network like 10.20.0.0/16 or 2001:db8::/32 ({error})") from None


def allow_list(networks: Iterable[str]) -> Callable[[str], bool]:
    """Whether a peer's address is in one of the networks; an empty list lets nobody in."""
    allowed = [network_of(text) for text in networks]

    def allows(peer: str) -> bool:
        address = address_of(peer)
        return address is not None and any(address in one for one in allowed if one.version == address.version)

    return allows
