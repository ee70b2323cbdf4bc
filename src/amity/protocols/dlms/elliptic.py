"""Elliptic curves as DLMS writes them (IEC 62056-5-3, 5.3.4): points as x and y, signatures as r and s."""

from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from amity.kernel.errors import LocalProtocolError, SecurityError
from amity.protocols.dlms.suites import Suite

_EXTRA_OCTETS = 8  # FIPS 186-5, A.2.1: 64 bits more than needed keep the bias of the remainder out of sight


def private_key(suite: Suite, octets: bytes) -> ec.EllipticCurvePrivateKey:
    """The private key of these octets; raise LocalProtocolError when it is none of the suite's curve."""
    if len(octets) == suite.coordinate_octets:
        try:
            return ec.derive_private_key(int.from_bytes(octets, "big"), _curve(suite))
        except ValueError:
            pass
    raise LocalProtocolError(
        f"a private key of suite {suite.number} has {suite.coordinate_octets} octets, below the order of its curve",
        next_step=f"give it as {2 * suite.coordinate_octets} hexadecimal digits",
    )


def fresh_private_key(suite: Suite, random_octets: Callable[[int], bytes]) -> ec.EllipticCurvePrivateKey:
    """A new private key from injected chance (FIPS 186-5, A.2.1)."""
    number = int.from_bytes(random_octets(suite.coordinate_octets + _EXTRA_OCTETS), "big")
    return ec.derive_private_key(number % (_curve(suite).group_order - 1) + 1, _curve(suite))


def private_octets(key: ec.EllipticCurvePrivateKey, suite: Suite) -> bytes:
    """The number that `private_key` makes the key of again; for whoever keeps keys."""
    return key.private_numbers().private_value.to_bytes(suite.coordinate_octets, "big")


def public_key(suite: Suite, octets: bytes) -> ec.EllipticCurvePublicKey:
    """The point of these octets; raise SecurityError when it does not lie on the suite's curve.

    SP 800-56A, 5.6.2.3.4: a point off the curve would give away bits of our private key, so none is ever multiplied.
    """
    size = suite.coordinate_octets
    if len(octets) == suite.public_key_octets:
        x, y = (int.from_bytes(half, "big") for half in (octets[:size], octets[size:]))
        try:
            return ec.EllipticCurvePublicNumbers(x, y, _curve(suite)).public_key()
        except ValueError:
            pass
    raise SecurityError(
        f"{len(octets)} octets are no public key of suite {suite.number}: no point of its curve",
        next_step="somebody may be in between; check the certificate of the peer and the security suite",
    )


def public_octets(key: ec.EllipticCurvePublicKey) -> bytes:
    """The coordinates x and y, each as long as the curve's field."""
    size = (key.curve.key_size + 7) // 8
    numbers = key.public_numbers()
    return numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")


def sign(key: ec.EllipticCurvePrivateKey, suite: Suite, message: bytes) -> bytes:
    """The numbers r and s; the nonce comes from key and message (RFC 6979), so that no chance can spoil the key."""
    size = suite.coordinate_octets
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(suite.digest, deterministic_signing=True)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def verify(peer_public: bytes, suite: Suite, message: bytes, signature: bytes) -> None:
    """Raise SecurityError unless r and s are the peer's signature over the message."""
    size = suite.coordinate_octets
    if len(signature) != 2 * size:
        raise SecurityError(f"a signature of suite {suite.number} has {2 * size} octets, not {len(signature)}")
    r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
    try:
        public_key(suite, peer_public).verify(encode_dss_signature(r, s), message, ec.ECDSA(suite.digest))
    except InvalidSignature:
        raise SecurityError(
            "the signature does not verify",
            next_step="check that the peer's certificate is the one of its present signing key",
        ) from None


def shared_secret(key: ec.EllipticCurvePrivateKey, suite: Suite, peer_public: bytes) -> bytes:
    """Z: the x coordinate of the common point (SP 800-56A, 5.7.1.2); raise SecurityError for a point off the curve."""
    return key.exchange(ec.ECDH(), public_key(suite, peer_public))


def _curve(suite: Suite) -> ec.EllipticCurve:
    if suite.curve is None:
        raise LocalProtocolError(
            f"security suite {suite.number} has no curve", next_step="signatures and key agreement need suite 1 or 2"
        )
    return suite.curve
