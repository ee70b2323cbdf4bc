"""The prefix that tells a gateway for whom an APDU is (DLMS UA 1000-2, "gateway protocol").

It stands before the APDU, inside whatever framing leads to the gateway: wrapper and HDLC carry it alike.
"""

from typing import NamedTuple

from amity.kernel.errors import LocalProtocolError, RemoteProtocolError

REQUEST, RESPONSE = 0xE6, 0xE7
_HEAD_OCTETS = 3
_OCTET_MAX = 0xFF


class GatewayError(RemoteProtocolError):
    """Octets that carry no gateway prefix where one is due, or one that is cut short."""


class Prefixed(NamedTuple):
    """An APDU on one side of a gateway: the network behind it, the physical device there, and which way it goes."""

    network: int
    device: bytes
    apdu: bytes
    is_request: bool = True


def is_prefixed(octets: bytes) -> bool:
    """True when the first octet is that of a gateway prefix; no APDU begins with it."""
    return octets[:1] in {bytes([REQUEST]), bytes([RESPONSE])}


def encode(prefixed: Prefixed) -> bytes:
    """Put the prefix before the APDU; raise LocalProtocolError when network or address do not fit an octet."""
    if not (0 <= prefixed.network <= _OCTET_MAX and len(prefixed.device) <= _OCTET_MAX):
        raise LocalProtocolError("a gateway prefix has a network of 0 to 255 and an address of 255 octets at most")
    header = REQUEST if prefixed.is_request else RESPONSE
    return bytes([header, prefixed.network, len(prefixed.device)]) + prefixed.device + prefixed.apdu


def decode(octets: bytes) -> Prefixed:
    """Strip the prefix; raise GatewayError when there is none or it is cut short."""
    if not is_prefixed(octets) or len(octets) < _HEAD_OCTETS or len(octets) < _HEAD_OCTETS + octets[2]:
        raise GatewayError(
            "the octets carry no gateway prefix",
            answer=octets[:16].hex(" "),
            next_step="check that a gateway is behind this address, and not the meter itself",
        )
    end = _HEAD_OCTETS + octets[2]
    return Prefixed(octets[1], octets[_HEAD_OCTETS:end], octets[end:], octets[0] == REQUEST)
