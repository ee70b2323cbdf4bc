"""Keys of simulated meters, derived from the seed. They look random and are not: whoever knows the seed knows them.

They exist so that a simulated fleet is the same in every process that builds it from the same seed. Never load them
into a real meter.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_SALT = b"amity simulation: not for real meters"
_KEY_OCTETS = 16
_PASSWORD_OCTETS = 8
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True, repr=False)
class SimulatedKeys:
    """The secrets of one simulated meter: LLS password (ASCII), global unicast encryption key, authentication key."""

    password: bytes
    guek: bytes
    gak: bytes


def keys_of(seed: int, serial: str) -> SimulatedKeys:
    """Derive them with HKDF-SHA-256 (RFC 5869) from seed and serial number."""
    letters = derive(seed, serial, "password", _PASSWORD_OCTETS)
    return SimulatedKeys(
        password="".join(_LETTERS[octet % len(_LETTERS)] for octet in letters).encode("ascii"),
        guek=derive(seed, serial, "guek", _KEY_OCTETS),
        gak=derive(seed, serial, "gak", _KEY_OCTETS),
    )


def derive(seed: int, serial: str, purpose: str, octets: int) -> bytes:
    """Octets for one purpose of one meter."""
    info = f"{serial}/{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=octets, salt=_SALT, info=info).derive(str(seed).encode())
