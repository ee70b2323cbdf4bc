"""The three security suites (IEC 62056-5-3, 5.3.7): key lengths, curve, digest and algorithm identifiers."""

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from amity.kernel.errors import LocalProtocolError

_ALGORITHM: Final = bytes.fromhex("608574050803")  # joint-iso-ccitt country(16) 756 5 8 3: cryptographic algorithms


@dataclass(frozen=True, slots=True)
class Suite:
    """What a suite number stands for; suite 0 has no curve, for it knows no asymmetric keys.

    `gcm` and `wrap` are the AlgorithmIDs that go into the derivation of a key for AES-GCM and for key wrap.
    """

    number: int
    key_octets: int
    digest: hashes.SHA256 | hashes.SHA384
    curve: ec.EllipticCurve | None
    gcm: bytes
    wrap: bytes

    @property
    def coordinate_octets(self) -> int:
        """Octets of one coordinate, of a private key, and of each half of a signature; 0 without a curve."""
        return 0 if self.curve is None else (self.curve.key_size + 7) // 8

    @property
    def public_key_octets(self) -> int:
        """Octets of a public key as DLMS writes it: x and y, no prefix."""
        return 2 * self.coordinate_octets


_SUITES: Final = {
    0: Suite(0, 16, hashes.SHA256(), None, _ALGORITHM + b"\x00", _ALGORITHM + b"\x02"),
    1: Suite(1, 16, hashes.SHA256(), ec.SECP256R1(), _ALGORITHM + b"\x00", _ALGORITHM + b"\x02"),
    2: Suite(2, 32, hashes.SHA384(), ec.SECP384R1(), _ALGORITHM + b"\x01", _ALGORITHM + b"\x03"),
}


def suite_of(number: int) -> Suite:
    """The suite of a number; raise LocalProtocolError for one that the standard does not have."""
    suite = _SUITES.get(number)
    if suite is None:
        raise LocalProtocolError(f"security suite {number} is not known; 0, 1 and 2 are", next_step="choose among them")
    return suite
