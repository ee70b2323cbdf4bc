"""IP addresses as sockets, proxies and people write them, and whose share they count as."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address

_V6_PREFIX: Final = 64
"""What one subscriber has at least (RFC 6177): addresses within it cost nothing."""


def address_of(text: str) -> Address | None:
    """The address that this text is, None for a name; IPv4 wrapped into IPv6 (RFC 4291, 2.5.5.2) is IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def share_of(text: str, *, v4_prefix: int = 32) -> str:
    """The network that counts as one caller: of IPv6 the /64, of IPv4 the address or what is told; a name is itself."""
    address = address_of(text)
    if address is None:
        return text
    return str(ip_network((address.packed, v4_prefix if address.version == 4 else _V6_PREFIX), strict=False))  # noqa: PLR2004
