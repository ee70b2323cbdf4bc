"""Keys of simulated meters, derived from the seed. They look random and are not: whoever knows the seed knows them.

They exist so that a simulated fleet is the same in every process that builds it from the same seed. Never load them
into a real meter.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from amity.protocols.dlms import elliptic
from amity.protocols.dlms.general_protection import PublicKeys
from amity.protocols.dlms.key_ring import KeyRing, Keys
from amity.protocols.dlms.suites import Suite, suite_of

_SALT = b"amity simulation: not for real meters"
_PASSWORD_OCTETS = 8
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True, repr=False)
class SimulatedKeys:
    """The secrets of one simulated meter, in the lengths of its security suite.

    `password` (ASCII) is for LLS and the HLS secret; then the global unicast encryption key, the authentication key and
    the master key. The private signing keys of the meter and of the client that reads it are empty in suite 0.
    """

    suite: int
    password: bytes
    guek: bytes
    gak: bytes
    kek: bytes
    meter_signing: bytes
    client_signing: bytes

    def held_by_meter(self, guek: bytes, random_octets: Callable[[int], bytes] | None) -> KeyRing:
        """All the meter holds, with the encryption key that it really has."""
        keys = Keys(guek, self.gak, master=self.kek, secret=self.password, signing=self.meter_signing or None)
        return KeyRing(self.suite, keys, random_octets)

    @property
    def client_public(self) -> PublicKeys:
        """What the meter knows of its client."""
        return _public(self.suite, self.client_signing)

    @property
    def meter_public(self) -> PublicKeys:
        """What the client knows of its meter."""
        return _public(self.suite, self.meter_signing)


def keys_of(seed: int, serial: str, suite: int = 0) -> SimulatedKeys:
    """Derive them with HKDF-SHA-256 (RFC 5869) from seed and serial number."""
    letters, kind = derive(seed, serial, "password", _PASSWORD_OCTETS), suite_of(suite)
    return SimulatedKeys(
        suite=suite,
        password="".join(_LETTERS[octet % len(_LETTERS)] for octet in letters).encode("ascii"),
        guek=derive(seed, serial, "guek", kind.key_octets),
        gak=derive(seed, serial, "gak", kind.key_octets),
        kek=derive(seed, serial, "kek", kind.key_octets),
        meter_signing=_private(kind, seed, serial, "meter signing"),
        client_signing=_private(kind, seed, serial, "client signing"),
    )


def _private(suite: Suite, seed: int, serial: str, purpose: str) -> bytes:
    if suite.curve is None:
        return b""
    key = elliptic.fresh_private_key(suite, lambda octets: derive(seed, serial, purpose, octets))
    return key.private_numbers().private_value.to_bytes(suite.coordinate_octets, "big")


def _public(suite: int, private: bytes) -> PublicKeys:
    if not private:
        return PublicKeys()
    return PublicKeys(elliptic.public_octets(elliptic.private_key(suite_of(suite), private).public_key()))


def derive(seed: int, serial: str, purpose: str, octets: int) -> bytes:
    """Octets for one purpose of one meter."""
    info = f"{serial}/{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=octets, salt=_SALT, info=info).derive(str(seed).encode())
