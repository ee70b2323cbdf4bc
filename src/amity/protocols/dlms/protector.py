"""The port through which keys reach the stack (IEC 62056-5-3, 5.3): whoever implements it decides where they live."""

from collections.abc import Callable, Sequence
from enum import IntEnum
from hmac import compare_digest
from typing import NamedTuple, NoReturn, Protocol

from amity.kernel.errors import SecurityError
from amity.protocols.dlms.certificates import Purpose
from amity.protocols.dlms.suites import suite_of

_ENCRYPTED = 0x20  # the security control without the suite
_NOBODY = bytes(8)  # a system title that no manufacturer gives
_PROBE = bytes(16)


class KeyId(IntEnum):
    """The keys that a client gives to a meter, by their `key_id` in Security setup (class 64)."""

    GLOBAL_UNICAST = 0
    GLOBAL_BROADCAST = 1
    AUTHENTICATION = 2
    MASTER = 3


class WrappedKey(NamedTuple):
    """A new key as it travels: wrapped by the master key as RFC 3394 has it."""

    key_id: KeyId
    octets: bytes


class Protector(Protocol):
    """Everything the stack asks of keys; no method gives one away.

    A holder that lacks the key for something, or does not offer it, raises SecurityError: those methods that have a
    body here do so unless they are implemented.
    """

    __slots__ = ()

    @property
    def suite(self) -> int:
        """The security suite of these keys: 0, 1 or 2."""
        ...

    # -------------------------------------------------------------- symmetric
    def protect(
        self,
        security_control: int,
        system_title: bytes,
        invocation_counter: int,
        plaintext: bytes,
        header: bytes = b"",
    ) -> bytes:
        """Return what follows the security header: text (ciphered or not) and the tag when authenticated.

        `header` are the fields of general-ciphering that are authenticated along with it.
        """
        ...

    def unprotect(
        self, security_control: int, system_title: bytes, invocation_counter: int, payload: bytes, header: bytes = b""
    ) -> bytes:
        """Return the plaintext; raise SecurityError when the tag does not verify."""
        ...

    def dedicated(self, key: bytes) -> "Protector":
        """The same authentication key with another encryption key, which belongs to one association only."""
        del key
        _lacks("no dedicated keys")

    def dedicate(
        self,
        security_control: int,
        system_title: bytes,
        invocation_counter: int,
        around: tuple[bytes, bytes],
        random_octets: Callable[[int], bytes],
    ) -> tuple[bytes, "Protector"]:
        """A new dedicated key between these octets, protected, and who protects under that key from then on.

        A holder of keys elsewhere draws the key from his own chance, so that nobody here ever sees it; whoever holds
        keys in memory may use the chance given.
        """
        before, after = around
        key = random_octets(suite_of(self.suite).key_octets)
        payload = self.protect(security_control, system_title, invocation_counter, before + key + after)
        return payload, self.dedicated(key)

    def digest(self, mechanism: int, message: bytes) -> bytes:
        """The HLS secret and a message made into an answer as authentication mechanism 2, 3, 4 or 6 has it."""
        del mechanism, message
        _lacks("no HLS secret")

    # -------------------------------------------------------------- asymmetric
    def sign(self, message: bytes) -> bytes:
        """ECDSA over the message by our signing key: r and s, each as long as a coordinate of the suite's curve."""
        del message
        _lacks("no signing key")

    def agree(self, peer_public: bytes, information: bytes, key_id: KeyId = KeyId.GLOBAL_UNICAST) -> "Protector":
        """Our static key and the peer's point make a key in place of `key_id`; the others stay.

        `information` is AlgorithmID, PartyUInfo and PartyVInfo. Raises SecurityError for a point off the curve.
        """
        del peer_public, information, key_id
        _lacks("no key for key agreement")

    def offer(self) -> "KeyOffer":
        """A fresh ephemeral key pair."""
        _lacks("no ephemeral keys")

    # -------------------------------------------------------------- key pairs of one's own
    def generate(self, purpose: Purpose) -> "Protector":
        """A new key pair waits beside the one in use until `put_in_use` names it; an older one that waits is gone."""
        del purpose
        _lacks("no key pairs of their own making")

    def certificate_request(self, purpose: Purpose, system_title: bytes) -> bytes:
        """PKCS #10 in DER for the pair that waits, else for the one in use; the private key stays where it is."""
        del purpose, system_title
        _lacks("no key pairs to be certified")

    def put_in_use(self, purpose: Purpose, public: bytes) -> "Protector":
        """From now on the pair with this point (x and y); raise SecurityError when none has it, in use or waiting."""
        del purpose, public
        _lacks("no key pairs of their own")

    # -------------------------------------------------------------- change of keys
    def renew(self, key_ids: Sequence[KeyId]) -> "KeyTransfer":
        """New keys in place of these, wrapped for the one who shares the master key."""
        del key_ids
        _lacks("no master key")

    def adopt(self, wrapped: Sequence[WrappedKey]) -> "Protector":
        """Take over new keys; raise SecurityError when one was not wrapped with our master key."""
        del wrapped
        _lacks("no master key")


class KeyOffer(Protocol):
    """An ephemeral key pair: its public half may be shown, with the other half one key can be agreed."""

    @property
    def public(self) -> bytes:
        """The coordinates x and y."""
        ...

    def agree(self, peer_public: bytes, information: bytes, key_id: KeyId = KeyId.GLOBAL_UNICAST) -> Protector:
        """As `Protector.agree`, with the ephemeral key."""
        ...


class KeyTransfer(NamedTuple):
    """What the peer is sent, and who protects once it has taken it over."""

    wrapped: tuple[WrappedKey, ...]
    renewed: Protector


def same_unicast_key(one: Protector, other: Protector) -> bool:
    """True when both hold the same global unicast key, as far as their work shows.

    Both encipher the same octets under a nonce that no party uses, and what comes of it leaves nobody's hands.
    """
    control = _ENCRYPTED | one.suite
    return one.suite == other.suite and compare_digest(
        one.protect(control, _NOBODY, 0, _PROBE), other.protect(control, _NOBODY, 0, _PROBE)
    )


def _lacks(what: str) -> NoReturn:
    raise SecurityError(f"the keys at hand hold {what}", next_step="give what is missing, or choose another mechanism")
