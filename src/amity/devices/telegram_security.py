"""Undoing the protection of a captured message, and saying plainly how far it could be verified."""

from collections.abc import Callable
from dataclasses import dataclass

from amity.kernel.errors import LocalProtocolError, SecurityError
from amity.protocols.dlms.apdu import Ciphered, GeneralCiphering
from amity.protocols.dlms.ciphering import TAG_OCTETS, CipherKeys, SecurityControl
from amity.protocols.dlms.protector import Protector

ProtectorFor = Callable[[bytes, int], Protector | None]


@dataclass(frozen=True, slots=True)
class SecurityReport:
    """How a message was protected; `verified` is None where nothing could be or was to be verified."""

    service: str
    system_title: bytes
    security_control: int
    invocation_counter: int
    deciphered: bool
    verified: bool | None
    note: str | None = None

    @property
    def suite(self) -> int:
        """The security suite."""
        return self.security_control & SecurityControl.SUITE

    @property
    def authenticated(self) -> bool:
        """True when the message carries an authentication tag."""
        return bool(self.security_control & SecurityControl.AUTHENTICATED)

    @property
    def encrypted(self) -> bool:
        """True when the message is encrypted."""
        return bool(self.security_control & SecurityControl.ENCRYPTED)


def no_keys(_system_title: bytes, _security_control: int) -> None:
    """A ProtectorFor without any keys."""


def protector_from_keys(encryption_key: bytes, authentication_key: bytes | None = None) -> ProtectorFor:
    """The same keys for every system title; the suite is the one that each message names."""

    def protector_for(_system_title: bytes, security_control: int) -> Protector:
        suite = security_control & SecurityControl.SUITE
        try:
            return CipherKeys(suite, encryption_key, authentication_key, gbek=encryption_key)
        except LocalProtocolError as error:
            raise SecurityError(f"the keys do not fit the message: {error.what}", next_step=error.next_step) from error

    return protector_for


def open_message(
    ciphered: Ciphered | GeneralCiphering, title: bytes, protector_for: ProtectorFor
) -> tuple[bytes | None, SecurityReport]:
    """The plaintext (None without keys) and the report; raise SecurityError when the keys do not fit."""
    control, counter = ciphered.security_control, ciphered.invocation_counter
    service = ciphered.tag.name.lower().replace("_", "-") if isinstance(ciphered, Ciphered) else "general-ciphering"
    protector = protector_for(title, control)
    plaintext, verified, note = _undo(ciphered, title, protector)
    report = SecurityReport(service, title, control, counter, plaintext is not None, verified, note)
    return plaintext, report


def _undo(
    ciphered: Ciphered | GeneralCiphering, title: bytes, protector: Protector | None
) -> tuple[bytes | None, bool | None, str | None]:
    control, payload = ciphered.security_control, ciphered.payload
    authenticated = bool(control & SecurityControl.AUTHENTICATED)
    if protector is None:
        if control & SecurityControl.ENCRYPTED:
            return None, None, f"encrypted; no key is known for system title {title.hex() or '(none)'}"
        note = "no key is known; the authentication tag was not verified" if authenticated else None
        return payload[:-TAG_OCTETS] if authenticated else payload, None, note
    if authenticated and isinstance(protector, CipherKeys) and not protector.can_authenticate:
        plaintext = protector.decipher_unverified(control, title, ciphered.invocation_counter, payload)
        return plaintext, None, "no authentication key is known; the authentication tag was not verified"
    plaintext = protector.unprotect(control, title, ciphered.invocation_counter, payload)
    return plaintext, True if authenticated else None, None if authenticated else "the message carries no tag to verify"


def wrong_key(report: SecurityReport) -> SecurityError:
    """The error for a message that deciphers into something that is no APDU."""
    return SecurityError(
        f"the message from {report.system_title.hex() or 'a meter without system title'} does not decode after"
        " deciphering: the encryption key is wrong",
        tried=f"security control {report.security_control:#04x}, invocation counter {report.invocation_counter}",
        next_step="check the global unicast encryption key of this meter",
    )
