"""Who may call in: networks as an administrator writes them, and the question whether an address is in one."""

import ipaddress
from collections.abc import Callable, Iterable

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
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])  # a link-local address names its interface
        except ValueError:
            return False
        plain = getattr(address, "ipv4_mapped", None) or address  # how a dual-stack socket shows an IPv4 caller
        return any(plain in network for network in allowed if network.version == plain.version)

    return allows
