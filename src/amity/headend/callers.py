"""Whether a caller calls from where a meter lives: by address, or by what its host name stands for now."""

import asyncio
from ipaddress import IPv4Address, IPv6Address, ip_address

_Address = IPv4Address | IPv6Address


async def speaks_from(host: str, peer: str) -> bool:
    """True when the address `peer` is that of `host`; a name that nobody can resolve is nobody's."""
    if host == peer:
        return True
    caller = _address(peer)
    return caller is not None and caller in await _addresses_of(host)


async def _addresses_of(host: str) -> set[_Address]:
    literal = _address(host)
    if literal is not None:
        return {literal}
    if not host:  # on a serial line nobody calls
        return set()
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return set()
    return {address for *_, (text, *_rest) in found if (address := _address(str(text))) is not None}


def _address(text: str) -> _Address | None:
    """The address that this text is; IPv4 is the same wrapped into IPv6."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
