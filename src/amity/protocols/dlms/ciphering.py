"""Protection of APDUs with AES-GCM (IEC 62056-5-3, 5.3.4: suites 0, 1 and 2), keys behind a port."""

from hmac import compare_digest

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from amity.kernel.errors import LocalProtocolError, SecurityError
from amity.protocols.dlms.ciphered import Ciphered, CipherTag, dedicated_tag_of, global_tag_of
from amity.protocols.dlms.protector import Protector
from amity.protocols.dlms.suites import suite_of

TAG_OCTETS = 12
TITLE_OCTETS = 8
COUNTER_MAX = 0xFFFF_FFFF
SUITE_MAX = 2
_GCM_TAG_OCTETS = 16
_MODE = 0x30
_UNUSUAL = 0xCF  # compression, broadcast, suite
_TAG = slice(-_GCM_TAG_OCTETS, TAG_OCTETS - _GCM_TAG_OCTETS)


class SecurityControl:
    """Bits of the security control octet; the low nibble is the suite."""

    AUTHENTICATED = 0x10
    ENCRYPTED = 0x20
    BOTH = 0x30
    BROADCAST = 0x40
    COMPRESSED = 0x80
    SUITE = 0x0F


class CipherKeys(Protector):
    """The keys of one meter (or one association's dedicated key) held in memory; `repr` shows none of them.

    Args:
        suite: 0 or 1 (AES-128) or 2 (AES-256).
        guek: global unicast encryption key, or the dedicated key; None where only secrets and signatures are needed.
        gak: authentication key; None leaves only encryption without authentication.
        gbek: global broadcast encryption key, for messages whose security control has the broadcast bit.
    """

    __slots__ = ("_broadcast", "_gak", "_sealed_with", "_suite", "_unicast")

    def __init__(self, suite: int, guek: bytes | None, gak: bytes | None = None, gbek: bytes | None = None) -> None:
        """Raise LocalProtocolError when the suite is unknown or a key has the wrong length for it."""
        octets = suite_of(suite).key_octets
        for name, key in (("encryption", guek), ("authentication", gak), ("broadcast", gbek)):
            if key is not None:
                check_key_length(suite, name, key, octets)
        self._suite = suite
        self._unicast = None if guek is None else AESGCM(guek)
        self._broadcast = None if gbek is None else AESGCM(gbek)
        self._gak = gak
        # What nearly every message is given, at hand: its security control and the data authenticated with it.
        self._sealed_with = (SecurityControl.BOTH | suite, bytes([SecurityControl.BOTH | suite]) + (gak or b""))

    def __repr__(self) -> str:
        """The suite only."""
        return f"{type(self).__name__}(suite={self._suite})"

    @property
    def suite(self) -> int:
        """The security suite."""
        return self._suite

    @property
    def can_authenticate(self) -> bool:
        """True when an authentication key is held."""
        return self._gak is not None

    def dedicated(self, key: bytes) -> "CipherKeys":
        """The same authentication key with this encryption key."""
        return CipherKeys(self._suite, key, self._gak)

    def protect(
        self,
        security_control: int,
        system_title: bytes,
        invocation_counter: int,
        plaintext: bytes,
        header: bytes = b"",
    ) -> bytes:
        """Protect an APDU; raise LocalProtocolError when keys, title or counter do not allow it."""
        nonce = self._nonce(system_title, invocation_counter)
        mode, cipher = security_control & _MODE, self._cipher(security_control)
        if mode == SecurityControl.BOTH:
            aad = self._authenticated_with(security_control) + header
            return cipher.encrypt(nonce, plaintext, aad)[: TAG_OCTETS - _GCM_TAG_OCTETS]
        if mode == SecurityControl.ENCRYPTED:
            return cipher.encrypt(nonce, plaintext, None)[:-_GCM_TAG_OCTETS]
        if mode == SecurityControl.AUTHENTICATED:
            aad = self._authenticated_with(security_control) + header + plaintext
            return plaintext + cipher.encrypt(nonce, b"", aad)[:TAG_OCTETS]
        return plaintext

    def unprotect(
        self, security_control: int, system_title: bytes, invocation_counter: int, payload: bytes, header: bytes = b""
    ) -> bytes:
        """Verify and decipher; raise SecurityError when the tag does not verify or is missing."""
        mode = security_control & _MODE
        if mode in {0, SecurityControl.ENCRYPTED}:
            return self.decipher_unverified(security_control, system_title, invocation_counter, payload)
        if len(payload) < TAG_OCTETS:
            raise SecurityError(f"an authenticated message of {len(payload)} octets has no room for its tag")
        cipher, nonce = self._cipher(security_control), self._nonce(system_title, invocation_counter)
        aad = self._authenticated_with(security_control) + header
        text = payload[:-TAG_OCTETS]
        # GCM ciphers by a key stream: the ciphertext ciphered once more is the plaintext, which again makes the tag.
        # Twice through AESGCM is faster than once through a Cipher object, which is made anew for every nonce.
        if mode == SecurityControl.BOTH:
            text = cipher.encrypt(nonce, text, None)[:-_GCM_TAG_OCTETS]
            expected = cipher.encrypt(nonce, text, aad)[_TAG]
        else:
            expected = cipher.encrypt(nonce, b"", aad + text)[:TAG_OCTETS]
        if not compare_digest(expected, payload[-TAG_OCTETS:]):
            raise SecurityError(
                f"the authentication tag of message {invocation_counter} from {system_title.hex()} does not verify",
                tried=f"security control {security_control:#04x}",
                next_step="check encryption key, authentication key and system title of this meter",
            )
        return text

    def decipher_unverified(
        self, security_control: int, system_title: bytes, invocation_counter: int, payload: bytes
    ) -> bytes:
        """The plaintext without any look at the tag, for captures whose authentication key is not at hand."""
        cipher = self._cipher(security_control)
        if security_control & SecurityControl.AUTHENTICATED:
            payload = payload[:-TAG_OCTETS]
        if not security_control & SecurityControl.ENCRYPTED:
            return payload
        nonce = self._nonce(system_title, invocation_counter)
        return cipher.encrypt(nonce, payload, None)[:-_GCM_TAG_OCTETS]

    def _authenticated_with(self, security_control: int) -> bytes:
        if self._gak is None:
            raise SecurityError(
                "the message is authenticated and no authentication key is known",
                next_step="give the meter's global authentication key (GAK)",
            )
        usual, data = self._sealed_with
        return data if security_control == usual else bytes([security_control]) + self._gak

    def _cipher(self, security_control: int) -> AESGCM:
        if security_control & _UNUSUAL == self._suite and self._unicast is not None:
            return self._unicast
        check_control(security_control, self._suite)
        if not security_control & SecurityControl.BROADCAST:
            raise SecurityError(
                "the message is ciphered and no encryption key is known", next_step="give the encryption key (GUEK)"
            )
        if self._broadcast is None:
            raise SecurityError("a broadcast message came and no broadcast key is known")
        return self._broadcast

    @staticmethod
    def _nonce(system_title: bytes, invocation_counter: int) -> bytes:
        if len(system_title) == TITLE_OCTETS and 0 <= invocation_counter <= COUNTER_MAX:
            return system_title + invocation_counter.to_bytes(4, "big")
        if len(system_title) != TITLE_OCTETS:
            raise SecurityError(
                f"a system title has {TITLE_OCTETS} octets, not {len(system_title)}",
                next_step="give the system title of the sender (it is missing in the message or wrong)",
            )
        raise LocalProtocolError(
            f"invocation counter {invocation_counter} does not fit 32 bits",
            next_step="change the meter's encryption key; that starts the counter again",
        )


def check_control(security_control: int, suite: int) -> None:
    """Raise SecurityError for a compressed message and for one of another security suite."""
    if security_control & SecurityControl.COMPRESSED:
        raise SecurityError(
            "the message is compressed (security control bit 7), which Amity does not undo",
            next_step="switch compression off in the meter's security setup",
        )
    used = security_control & SecurityControl.SUITE
    if used > SUITE_MAX:
        raise SecurityError(
            f"the message uses security suite {used}, which the standard does not have",
            next_step="the octets are spoiled, or the meter is ahead of the standard: ask its maker",
        )
    if used != suite:
        raise SecurityError(
            f"the message uses security suite {used}, the keys {suite}",
            next_step="set the meter's security suite in its profile (--suite)",
        )


def check_key_length(suite: int, name: str, key: bytes, octets: int) -> None:
    """Raise LocalProtocolError for a key that is not as long as its suite wants it."""
    if len(key) != octets:
        raise LocalProtocolError(
            f"the {name} key of suite {suite} has {octets} octets, not {len(key)}",
            next_step=f"give it as {2 * octets} hexadecimal digits",
        )


# ------------------------------------------------------------------ wrapping APDUs
def wrap_glo(protector: Protector, security_control: int, title: bytes, counter: int, apdu: bytes) -> bytes:
    """An APDU under the global key with its own glo-* tag; raise LocalProtocolError when the service has none."""
    return _wrap(protector, _own_tag(global_tag_of(apdu[0]), apdu), None, security_control, title, counter, apdu)


def wrap_ded(protector: Protector, security_control: int, title: bytes, counter: int, apdu: bytes) -> bytes:
    """An APDU under the dedicated key with its own ded-* tag; raise LocalProtocolError when the service has none."""
    return _wrap(protector, _own_tag(dedicated_tag_of(apdu[0]), apdu), None, security_control, title, counter, apdu)


def wrap_general_glo(protector: Protector, security_control: int, title: bytes, counter: int, apdu: bytes) -> bytes:
    """Any APDU under the global key in general-glo-ciphering, with the sender's title."""
    return _wrap(protector, CipherTag.GENERAL_GLO, title, security_control, title, counter, apdu)


def wrap_general_ded(protector: Protector, security_control: int, title: bytes, counter: int, apdu: bytes) -> bytes:
    """Any APDU under the dedicated key in general-ded-ciphering, with the sender's title."""
    return _wrap(protector, CipherTag.GENERAL_DED, title, security_control, title, counter, apdu)


def unwrap(protector: Protector, expected_control: int | None, peer_title: bytes | None, ciphered: Ciphered) -> bytes:
    """The APDU inside; raise SecurityError when it does not verify or is protected less than expected.

    The frame's own security control decides how it is undone; `expected_control` is only what may not be undercut.
    The title in a general message wins over `peer_title`, except where a meter leaves it empty.
    """
    control = ciphered.security_control
    missing = 0 if expected_control is None else expected_control & _MODE & ~control
    if missing:
        raise SecurityError(
            f"the answer is protected with {control:#04x}, less than the {expected_control:#04x} asked for",
            next_step="somebody may be in between; if the meter is known to answer so, lower its profile's protection",
        )
    title = ciphered.system_title or peer_title or b""
    return protector.unprotect(control, title, ciphered.invocation_counter, ciphered.payload)


def _own_tag(tag: CipherTag | None, apdu: bytes) -> CipherTag:
    if tag is None:
        raise LocalProtocolError(
            f"APDU {apdu[0]:#04x} has no ciphered tag of its own", next_step="send it in general-glo-ciphering"
        )
    return tag


def _wrap(
    protector: Protector,
    tag: CipherTag,
    shown_title: bytes | None,
    security_control: int,
    title: bytes,
    counter: int,
    apdu: bytes,
) -> bytes:
    payload = protector.protect(security_control, title, counter, apdu)
    return Ciphered(tag, shown_title, security_control, counter, payload).encode()
