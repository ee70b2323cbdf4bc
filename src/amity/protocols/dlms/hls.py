"""Proofs of high level security (IEC 62056-5-3, 5.2.3 and table of mechanisms 2 to 7): how a challenge is answered."""

import hashlib
from hmac import compare_digest
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from amity.kernel.errors import LocalProtocolError, RemoteProtocolError, SecurityError
from amity.protocols.dlms import apdu, elliptic
from amity.protocols.dlms.acse import Mechanism
from amity.protocols.dlms.ciphering import SUITE_MAX, TAG_OCTETS, SecurityControl
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.protector import Protector
from amity.protocols.dlms.suites import suite_of

CHALLENGE_OCTETS = range(8, 65)
"""The lengths that the standard allows; ours have 16 at least."""

_WRAPPINGS = apdu.Ciphered | apdu.GeneralCiphering | apdu.GeneralSigning | apdu.GeneralBlockTransfer
_SHORT = apdu.ExceptionResponse | apdu.ConfirmedServiceError | apdu.DataNotificationConfirm
"""So short that chance would begin one challenge in a hundred with one: they count where nothing follows them."""
_GENERAL_HEADER_FIELDS = 5
_AES_OCTETS = 16
_GMAC_HEAD_OCTETS = 5  # security control, invocation counter


class Proof(NamedTuple):
    """Who answers which challenge to whom: `prover` and `verifier` are system titles, `counter_challenge` his own."""

    prover: bytes
    verifier: bytes
    challenge: bytes
    counter_challenge: bytes

    @property
    def message(self) -> bytes:
        """What mechanisms 6 and 7 digest and sign: both titles and both challenges."""
        return self.prover + self.verifier + self.challenge + self.counter_challenge


def prove(mechanism: Mechanism, protector: Protector, proof: Proof, invocation_counter: int) -> bytes:
    """f(challenge); only mechanism 5 uses the invocation counter.

    Raises what the protector raises, and SecurityError for a challenge that nobody should answer.
    """
    if mechanism is Mechanism.HLS_GMAC:
        if reads_as_apdu(proof.challenge):
            raise SecurityError(
                "the challenge is a message: our answer would be its authentication tag",
                next_step="somebody may be in between who would have us sign it; chance does this once in 7,000 times",
            )
        return gmac_proof(protector, proof.prover, invocation_counter, proof.challenge)
    if mechanism is Mechanism.HLS_ECDSA:
        return protector.sign(proof.message)
    return protector.digest(mechanism, _digested(mechanism, proof))


def check(mechanism: Mechanism, protector: Protector, proof: Proof, answer: bytes, signing_key: bytes = b"") -> None:
    """Raise SecurityError unless the answer proves it; `signing_key` is the prover's public key for mechanism 7."""
    if mechanism is Mechanism.HLS_GMAC:
        check_gmac_proof(protector, proof.prover, proof.challenge, answer)
    elif mechanism is Mechanism.HLS_ECDSA:
        elliptic.verify(signing_key, suite_of(protector.suite), proof.message, answer)
    elif not compare_digest(answer, protector.digest(mechanism, _digested(mechanism, proof))):
        raise SecurityError("the answer to our challenge was not made with the secret that we know")


def _digested(mechanism: Mechanism, proof: Proof) -> bytes:
    return proof.message if mechanism is Mechanism.HLS_SHA256 else proof.challenge


def secret_digest(mechanism: int, secret: bytes, message: bytes) -> bytes:
    """An HLS secret and a message made into an answer by mechanism 2, 3, 4 or 6.

    Mechanism 2 is left to manufacturers; what is found in the field is AES-128 of the challenge under the secret, both
    filled up with zeros. A holder of keys that agreed on something else answers `Protector.digest` in its own way.
    """
    if mechanism == Mechanism.HLS_SHA256:
        return hashlib.sha256(secret + message).digest()
    if mechanism == Mechanism.HLS_MD5:
        return hashlib.md5(message + secret).digest()  # noqa: S324 - what old meters have; the settings must allow it
    if mechanism == Mechanism.HLS_SHA1:
        return hashlib.sha1(message + secret).digest()  # noqa: S324 - as above
    if mechanism == Mechanism.HLS:
        return _enciphered(secret, message)
    raise LocalProtocolError(f"authentication mechanism {mechanism} makes no digest of a secret")


def _enciphered(secret: bytes, challenge: bytes) -> bytes:
    if len(secret) > _AES_OCTETS:
        raise LocalProtocolError(
            f"a secret for authentication mechanism 2 has {_AES_OCTETS} octets at most, not {len(secret)}"
        )
    padded = challenge + bytes(-len(challenge) % _AES_OCTETS)
    # A challenge is one random block or two, and the standard's table leaves the function open: ECB is what meters do.
    aes = Cipher(algorithms.AES(secret.ljust(_AES_OCTETS, b"\0")), modes.ECB()).encryptor()  # noqa: S305
    return aes.update(padded) + aes.finalize()


# ------------------------------------------------------------------ mechanism 5
def reads_as_apdu(challenge: bytes) -> bool:
    """True when these octets begin with a question, an answer or a report, at once or after a header.

    The header is that of general-ciphering, which is authenticated before the text. Wrappings need a key of their own.
    """
    return _begins_with_apdu(challenge) or _begins_with_apdu(_after_general_header(challenge))


def _begins_with_apdu(octets: bytes) -> bool:
    try:
        begun, end = apdu.decode_prefix(octets)
    except RemoteProtocolError:
        return False
    return end == len(octets) if isinstance(begun, _SHORT) else not isinstance(begun, _WRAPPINGS)


def _after_general_header(octets: bytes) -> bytes:
    cursor = Cursor(octets)
    try:
        for _ in range(_GENERAL_HEADER_FIELDS):
            cursor.octets()
    except RemoteProtocolError:
        return b""
    return octets[cursor.offset :]


def gmac_proof(protector: Protector, prover: bytes, invocation_counter: int, challenge: bytes) -> bytes:
    """SC, IC and the GMAC of the challenge: the tag of an authenticated-only message."""
    control = SecurityControl.AUTHENTICATED | protector.suite
    tag = protector.protect(control, prover, invocation_counter, challenge)[-TAG_OCTETS:]
    return bytes([control]) + invocation_counter.to_bytes(4, "big") + tag


def check_gmac_proof(protector: Protector, prover: bytes, challenge: bytes, answer: bytes) -> int:
    """The prover's invocation counter; raise SecurityError when the answer does not verify."""
    if len(answer) != _GMAC_HEAD_OCTETS + TAG_OCTETS or not _is_gmac_control(answer[0]):
        raise SecurityError(f"this is no answer to an HLS-GMAC challenge: {answer.hex()}")
    counter = int.from_bytes(answer[1:_GMAC_HEAD_OCTETS], "big")
    protector.unprotect(answer[0], prover, counter, challenge + answer[_GMAC_HEAD_OCTETS:])
    return counter


def _is_gmac_control(control: int) -> bool:
    mode, suite = control & ~SecurityControl.SUITE, control & SecurityControl.SUITE
    return mode == SecurityControl.AUTHENTICATED and suite <= SUITE_MAX
