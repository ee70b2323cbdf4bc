"""All keys of one party held in memory: what a test, the command line and the simulated meter use."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from amity.kernel.errors import LocalProtocolError, SecurityError
from amity.protocols.dlms import elliptic
from amity.protocols.dlms.certificate_requests import certificate_request
from amity.protocols.dlms.certificates import Purpose
from amity.protocols.dlms.ciphering import CipherKeys, check_key_length
from amity.protocols.dlms.hls import secret_digest
from amity.protocols.dlms.key_agreement import derived_key
from amity.protocols.dlms.protector import KeyId, KeyTransfer, WrappedKey
from amity.protocols.dlms.suites import Suite, suite_of


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The octets of every key a party may hold, None for what it lacks; no repr shows them.

    Symmetric keys have 16 octets (suite 2: 32), private keys as many as a coordinate of the suite's curve. `secret` is
    the HLS secret of mechanisms 2, 3, 4 and 6. `next_signing` and `next_agreement` wait for their certificates.
    """

    unicast: bytes | None = None
    authentication: bytes | None = None
    broadcast: bytes | None = None
    master: bytes | None = None
    secret: bytes | None = None
    signing: bytes | None = None
    agreement: bytes | None = None
    next_signing: bytes | None = None
    next_agreement: bytes | None = None

    def changed(self, keys: Mapping[KeyId, bytes]) -> "Keys":
        """The same keys but these."""
        return replace(self, **{_NAMES[key_id]: octets for key_id, octets in keys.items()})


_NAMES = {
    KeyId.GLOBAL_UNICAST: "unicast",
    KeyId.GLOBAL_BROADCAST: "broadcast",
    KeyId.AUTHENTICATION: "authentication",
    KeyId.MASTER: "master",
}
_PAIRS = {Purpose.SIGNING: ("signing", "next_signing"), Purpose.AGREEMENT: ("agreement", "next_agreement")}
"""Where a private key stands while it is in use, and before."""


class KeyRing(CipherKeys):
    """A Protector over keys in memory that can do all a Protector may be asked for.

    Args:
        suite: 0, 1 or 2.
        keys: what it holds; asking for what needs another key is a SecurityError.
        random_octets: chance from a cryptographic source, for new keys; without it none are made.
    """

    __slots__ = ("_agreement", "_keys", "_random_octets", "_signing")

    def __init__(self, suite: int, keys: Keys, random_octets: Callable[[int], bytes] | None = None) -> None:
        """Raise LocalProtocolError when the suite is unknown or a key does not fit it."""
        super().__init__(suite, keys.unicast, keys.authentication, keys.broadcast)
        curves = suite_of(suite)
        if keys.master is not None:
            check_key_length(suite, "master", keys.master, curves.key_octets)
        self._keys = keys
        self._random_octets = random_octets
        self._signing = None if keys.signing is None else elliptic.private_key(curves, keys.signing)
        self._agreement = None if keys.agreement is None else elliptic.private_key(curves, keys.agreement)

    def dedicated(self, key: bytes) -> "KeyRing":
        """The same keys with this encryption key."""
        return self._with({KeyId.GLOBAL_UNICAST: key})

    def digest(self, mechanism: int, message: bytes) -> bytes:
        """See `secret_digest`."""
        if self._keys.secret is None:
            return super().digest(mechanism, message)
        return secret_digest(mechanism, self._keys.secret, message)

    def sign(self, message: bytes) -> bytes:
        """ECDSA with the nonce of RFC 6979."""
        if self._signing is None:
            return super().sign(message)
        return elliptic.sign(self._signing, suite_of(self.suite), message)

    def agree(self, peer_public: bytes, information: bytes, key_id: KeyId = KeyId.GLOBAL_UNICAST) -> "KeyRing":
        """ECDH with our static key."""
        if self._agreement is None:
            raise SecurityError("no static key for key agreement is held", next_step="give the key agreement key")
        return self._agreed(self._agreement, peer_public, information, key_id)

    def offer(self) -> "EphemeralKey":
        """A fresh key pair from the injected chance."""
        private = elliptic.fresh_private_key(suite_of(self.suite), self._chance())
        return EphemeralKey(elliptic.public_octets(private.public_key()), private, self)

    def generate(self, purpose: Purpose) -> "KeyRing":
        """A new private key from the injected chance."""
        suite = suite_of(self.suite)
        private = elliptic.fresh_private_key(suite, self._chance())
        return self._holding(**{_PAIRS[purpose][1]: elliptic.private_octets(private, suite)})

    def certificate_request(self, purpose: Purpose, system_title: bytes) -> bytes:
        """Signed with the deterministic nonce of RFC 6979."""
        in_use, waiting = self._pairs(purpose)
        octets = waiting or in_use
        if octets is None:
            raise SecurityError(f"no key pair for {purpose} is held", next_step="generate one first")
        suite = suite_of(self.suite)
        return certificate_request(elliptic.private_key(suite, octets), suite, system_title)

    def put_in_use(self, purpose: Purpose, public: bytes) -> "KeyRing":
        """The pair that waits takes the place of the one in use, whose private key is forgotten."""
        suite, (in_use, waiting) = suite_of(self.suite), self._pairs(purpose)
        for octets in filter(None, (waiting, in_use)):
            if elliptic.public_octets(elliptic.private_key(suite, octets).public_key()) == public:
                still_waiting = None if octets == waiting else waiting
                return self._holding(**dict(zip(_PAIRS[purpose], (octets, still_waiting), strict=True)))
        raise SecurityError(f"this public key for {purpose} belongs to no key pair that is held")

    def renew(self, key_ids: Sequence[KeyId]) -> KeyTransfer:
        """New keys from the injected chance, wrapped with the master key (RFC 3394)."""
        master, chance, octets = self._master(), self._chance(), suite_of(self.suite).key_octets
        made = {key_id: chance(octets) for key_id in key_ids}
        wrapped = (WrappedKey(key_id, aes_key_wrap(master, key)) for key_id, key in made.items())
        return KeyTransfer(tuple(wrapped), self._with(made))

    def adopt(self, wrapped: Sequence[WrappedKey]) -> "KeyRing":
        """Unwrap with the master key; raise SecurityError when one was wrapped with another."""
        try:
            return self._with({one.key_id: aes_key_unwrap(self._master(), one.octets) for one in wrapped})
        except (InvalidUnwrap, LocalProtocolError, ValueError) as error:
            raise SecurityError(
                "a new key does not unwrap with our master key, or does not fit the suite",
                next_step="check the master key (KEK) on both sides",
            ) from error

    def _agreed(
        self, private: ec.EllipticCurvePrivateKey, peer_public: bytes, information: bytes, key_id: KeyId
    ) -> "KeyRing":
        suite: Suite = suite_of(self.suite)
        common = elliptic.shared_secret(private, suite, peer_public)
        return self._with({key_id: derived_key(suite, common, information)})

    def _with(self, keys: Mapping[KeyId, bytes]) -> "KeyRing":
        return KeyRing(self.suite, self._keys.changed(keys), self._random_octets)

    def _holding(self, **keys: bytes | None) -> "KeyRing":
        return KeyRing(self.suite, replace(self._keys, **keys), self._random_octets)

    def _pairs(self, purpose: Purpose) -> tuple[bytes | None, bytes | None]:
        """The private keys in use and waiting."""
        in_use, waiting = _PAIRS[purpose]
        return getattr(self._keys, in_use), getattr(self._keys, waiting)

    def _master(self) -> bytes:
        if self._keys.master is None:
            raise SecurityError("no master key (KEK) is held", next_step="give the master key of this meter")
        return self._keys.master

    def _chance(self) -> Callable[[int], bytes]:
        if self._random_octets is None:
            raise SecurityError("these keys have no source of chance for new ones")
        return self._random_octets


@dataclass(frozen=True, slots=True, repr=False)
class EphemeralKey:
    """A KeyOffer in memory."""

    public: bytes
    _private: ec.EllipticCurvePrivateKey = field(repr=False)
    _ring: KeyRing = field(repr=False)

    def agree(self, peer_public: bytes, information: bytes, key_id: KeyId = KeyId.GLOBAL_UNICAST) -> KeyRing:
        """The keys of its ring with the agreed one among them."""
        return self._ring._agreed(self._private, peer_public, information, key_id)  # noqa: SLF001 - made by that ring
