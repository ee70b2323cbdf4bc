"""X.509 certificates of suites 1 and 2 (IEC 62056-5-3, 5.3.4.6 and annex H): whose key, for what, on whose word."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from amity.kernel.errors import SecurityError
from amity.protocols.dlms import elliptic
from amity.protocols.dlms.suites import Suite

_TITLE = re.compile("[0-9A-Fa-f]{16}")
_CHAIN_MAX = 4  # meter, sub-CA, root of the DLMS public key infrastructure, and one to spare


_UNDERSTOOD = frozenset({x509.BasicConstraints.oid, x509.KeyUsage.oid})
"""The extensions that are heeded here; any other may stand there, but must not be critical (RFC 5280, 4.2)."""

MALFORMED = (
    ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType, UserWarning,
)  # fmt: skip
"""What `cryptography` says of octets that are no certificate; the last is a word of warning where warnings count."""


class Purpose(StrEnum):
    """What the key of a certificate may be used for."""

    SIGNING = "digital signature"
    AGREEMENT = "key agreement"


@dataclass(frozen=True, slots=True)
class Certificate:
    """An end entity's certificate that was checked: `system_title` is its owner, `public` its point (x and y)."""

    system_title: bytes
    purpose: Purpose
    public: bytes
    der: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose word counts: `anchors` are certificates (DER) trusted as they stand, `intermediates` may link to them."""

    anchors: tuple[bytes, ...]
    intermediates: tuple[bytes, ...] = ()

    def check(self, der: bytes, suite: Suite, purpose: Purpose, now: datetime) -> Certificate:
        """The certificate, when it is sound and vouched for.

        Raises:
            SecurityError: it does not decode, is out of date, for another purpose or curve, names no system title, or
                no trust anchor vouches for it.
        """
        certificate = sound(der, suite, purpose, now)
        self.check_chain(der, now)
        return certificate

    def check_chain(self, der: bytes, now: datetime) -> None:
        """Raise SecurityError unless a trust anchor vouches for it, itself or by way of the intermediates.

        An authority that is to be believed is itself one of those that may stand beneath another.
        """
        leaf = parsed(der)
        anchors = [parsed(der) for der in self.anchors]
        others = [parsed(der) for der in self.intermediates]
        below, itself = leaf, int(_is_authority(leaf))
        for authorities in range(itself, itself + _CHAIN_MAX):
            if _issuer_among(anchors, below, authorities, now) is not None:
                return
            issuer = _issuer_among(others, below, authorities, now)
            if issuer is None:
                break
            below = issuer
        raise SecurityError(
            f"no trust anchor vouches for the certificate of {_name(leaf)}",
            next_step="give the certificate of its issuer, if that is to be trusted",
        )


def sound(der: bytes, suite: Suite, purpose: Purpose, now: datetime) -> Certificate:
    """As `Trust.check`, but on nobody's word: for what its owner holds himself, or takes over in a trusted hour."""
    leaf = parsed(der)
    _check_validity(leaf, now)
    _check_end_entity(leaf)
    _check_purpose(leaf, purpose)
    return Certificate(_system_title(leaf), purpose, _public(leaf, suite), der)


def check_authority(der: bytes, suite: Suite, now: datetime) -> None:
    """Raise SecurityError unless it is the certificate of an authority, in date and of the suite's curve."""
    certificate = parsed(der)
    _check_validity(certificate, now)
    _public(certificate, suite)
    if not is_authority(der):
        raise SecurityError(f"the certificate of {_name(certificate)} is not that of a certification authority")


def is_authority(der: bytes) -> bool:
    """True when its key may sign other certificates; raise SecurityError when it is no certificate."""
    certificate = parsed(der)
    return _is_authority(certificate) and _key_usage(certificate).key_cert_sign


def purpose_of(der: bytes) -> Purpose:
    """What an end entity's key is for; raise SecurityError unless it is for signatures or else for key agreement."""
    certificate = parsed(der)
    usage = _key_usage(certificate)
    if usage.digital_signature == usage.key_agreement:
        raise SecurityError(f"the key of {_name(certificate)} is for one of signatures and key agreement, not both")
    return Purpose.SIGNING if usage.digital_signature else Purpose.AGREEMENT


def subject_title(der: bytes) -> bytes:
    """The system title that a certificate says its key belongs to, unchecked; raise SecurityError without one."""
    return _system_title(parsed(der))


def parsed(der: bytes) -> x509.Certificate:
    """Raise SecurityError when these octets are no X.509 certificate in DER."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        # Parts are parsed when they are first asked for: whatever is wrong in them is to be said here.
        _ = certificate.subject, certificate.issuer, certificate.extensions
    except MALFORMED as error:
        raise SecurityError(f"{len(der)} octets are no X.509 certificate: {error}") from error
    if certificate.serial_number <= 0:
        raise SecurityError("a certificate has a serial number above zero (RFC 5280, 4.1.2.2)")
    return certificate


# ------------------------------------------------------------------ the checks, one by one
def _check_validity(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise SecurityError(
            f"the certificate of {_name(certificate)} is valid from {certificate.not_valid_before_utc:%Y-%m-%d}"
            f" to {certificate.not_valid_after_utc:%Y-%m-%d}, not at {now:%Y-%m-%d}",
            next_step="check the clock, or have the certificate renewed",
        )


def _check_end_entity(certificate: x509.Certificate) -> None:
    """A meter or a client vouches for nobody; whatever its issuer calls critical has to be understood."""
    if _is_authority(certificate):
        raise SecurityError(f"the certificate of {_name(certificate)} is that of a certification authority")
    _check_critical(certificate)


def _check_critical(certificate: x509.Certificate) -> None:
    strange = [one.oid.dotted_string for one in certificate.extensions if one.critical and one.oid not in _UNDERSTOOD]
    if strange:
        raise SecurityError(
            f"the certificate of {_name(certificate)} has a critical extension that nobody here knows: {strange[0]}"
        )


def _check_purpose(certificate: x509.Certificate, purpose: Purpose) -> None:
    usage = _key_usage(certificate)
    allowed = usage.digital_signature if purpose is Purpose.SIGNING else usage.key_agreement
    if not allowed:
        raise SecurityError(f"the certificate of {_name(certificate)} is not for {purpose}")


def _key_usage(certificate: x509.Certificate) -> x509.KeyUsage:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError) as error:
        raise SecurityError(f"the certificate of {_name(certificate)} does not say what its key is for") from error


def _public(certificate: x509.Certificate, suite: Suite) -> bytes:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SecurityError(f"the key in the certificate of {_name(certificate)} cannot be used: {error}") from error
    return point_of(key, suite, f"the certificate of {_name(certificate)}")


def point_of(key: object, suite: Suite, where: str) -> bytes:
    """The coordinates of a key found `where`; raise SecurityError when it is of another curve or kind."""
    if not isinstance(key, ec.EllipticCurvePublicKey) or suite.curve is None or key.curve.name != suite.curve.name:
        raise SecurityError(
            f"the key in {where} does not lie on the curve of suite {suite.number}",
            next_step="choose the security suite that the certificate was made for",
        )
    return elliptic.public_octets(key)


def _system_title(certificate: x509.Certificate) -> bytes:
    return title_in(certificate.subject, f"the certificate of {_name(certificate)}")


def title_in(subject: x509.Name, where: str) -> bytes:
    """The common name is the system title in sixteen hexadecimal digits; raise SecurityError otherwise."""
    names = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    text = str(names[0].value) if len(names) == 1 else ""
    if not _TITLE.fullmatch(text):
        raise SecurityError(f"{where} names no system title: its common name must be 16 hex digits")
    return bytes.fromhex(text)


def _issuer_among(
    candidates: Iterable[x509.Certificate], below: x509.Certificate, authorities: int, now: datetime
) -> x509.Certificate | None:
    return next((one for one in candidates if _vouches(one, below, authorities, now)), None)


def _vouches(issuer: x509.Certificate, below: x509.Certificate, authorities: int, now: datetime) -> bool:
    """Whether the issuer's word counts (RFC 5280, 6.1.4); so many other authorities stand between it and the leaf."""
    try:
        below.verify_directly_issued_by(issuer)
        _check_validity(issuer, now)
        _check_critical(issuer)
        return _key_usage(issuer).key_cert_sign and _authorities_beneath(issuer) >= authorities
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, SecurityError):
        return False


def _is_authority(certificate: x509.Certificate) -> bool:
    return _authorities_beneath(certificate) >= 0


def _authorities_beneath(certificate: x509.Certificate) -> int:
    """How many authorities may stand beneath this one, below 0 when it is none itself."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension):
        return -1
    if not constraints.ca:
        return -1
    return _CHAIN_MAX if constraints.path_length is None else constraints.path_length


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "nobody"
