"""X.509 certificates of suites 1 and 2 (IEC 62056-5-3, 5.3.4.6 and annex H): whose key, for what, on whose word."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from amity.kernel.errors import SecurityError
from amity.protocols.dlms import elliptic
from amity.protocols.dlms.suites import Suite

_TITLE_DIGITS = 16
_CHAIN_MAX = 4  # meter, sub-CA, root of the DLMS public key infrastructure, and one to spare


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
        """The certificate, when it is sound.

        Raises:
            SecurityError: it does not decode, is out of date, for another purpose or curve, names no system title, or
                no trust anchor vouches for it.
        """
        leaf = _parsed(der)
        _check_validity(leaf, now)
        _check_purpose(leaf, purpose)
        public = _public(leaf, suite)
        title = _system_title(leaf)
        self._check_chain(leaf, now)
        return Certificate(title, purpose, public, der)

    def _check_chain(self, leaf: x509.Certificate, now: datetime) -> None:
        anchors = [_parsed(der) for der in self.anchors]
        others = [_parsed(der) for der in self.intermediates]
        below = leaf
        for _ in range(_CHAIN_MAX):
            if _issuer_among(anchors, below, now) is not None:
                return
            issuer = _issuer_among(others, below, now)
            if issuer is None:
                break
            below = issuer
        raise SecurityError(
            f"no trust anchor vouches for the certificate of {_name(leaf)}",
            next_step="give the certificate of its issuer, if that is to be trusted",
        )


def subject_title(der: bytes) -> bytes:
    """The system title that a certificate says its key belongs to, unchecked; raise SecurityError without one."""
    return _system_title(_parsed(der))


def certificate_octets(certificate: x509.Certificate) -> bytes:
    """DER, as certificates travel in DLMS."""
    return certificate.public_bytes(Encoding.DER)


# ------------------------------------------------------------------ the checks, one by one
def _parsed(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SecurityError(f"{len(der)} octets are no X.509 certificate: {error}") from error


def _check_validity(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise SecurityError(
            f"the certificate of {_name(certificate)} is valid from {certificate.not_valid_before_utc:%Y-%m-%d}"
            f" to {certificate.not_valid_after_utc:%Y-%m-%d}, not at {now:%Y-%m-%d}",
            next_step="check the clock, or have the certificate renewed",
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
    if not isinstance(key, ec.EllipticCurvePublicKey) or suite.curve is None or key.curve.name != suite.curve.name:
        raise SecurityError(
            f"the key in the certificate of {_name(certificate)} does not lie on the curve of suite {suite.number}",
            next_step="choose the security suite that the certificate was made for",
        )
    return elliptic.public_octets(key)


def _system_title(certificate: x509.Certificate) -> bytes:
    """The common name is the system title in sixteen hexadecimal digits."""
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    text = str(names[0].value) if len(names) == 1 else ""
    try:
        title = bytes.fromhex(text) if len(text) == _TITLE_DIGITS else b""
    except ValueError:
        title = b""
    if not title:
        raise SecurityError(
            f"the certificate of {_name(certificate)} names no system title: its common name must be 16 hex digits"
        )
    return title


def _issuer_among(
    candidates: Iterable[x509.Certificate], below: x509.Certificate, now: datetime
) -> x509.Certificate | None:
    return next((one for one in candidates if _vouches(one, below, now)), None)


def _vouches(issuer: x509.Certificate, below: x509.Certificate, now: datetime) -> bool:
    try:
        below.verify_directly_issued_by(issuer)
        _check_validity(issuer, now)
        return _key_usage(issuer).key_cert_sign and _is_authority(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, SecurityError):
        return False


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (x509.ExtensionNotFound, x509.DuplicateExtension):
        return False


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "nobody"
