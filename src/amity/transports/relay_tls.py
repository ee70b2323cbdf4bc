"""Who is at the other end of a relay link: TLS 1.3, both sides with certificates, the role in the name (SPIFFE).

A certificate carries one URI `spiffe://ami/ot/ROLE/NAME` (role collector or headend). The collector also checks the
host name that it dialled. Sessions are never resumed, so that every connection shows its certificate anew; one that
stands is looked at again (`Standing`) when revocations change and when its certificate is over.
"""

import hashlib
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from amity.kernel.errors import ConfigurationError, SecurityError
from amity.protocols.relay.messages import ALPN

COLLECTOR: Final = "collector"
HEADEND: Final = "headend"
ZONE: Final = "ot"
_CRL: Final = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----\n?", re.DOTALL)
_NAME: Final = re.compile(r"spiffe://ami/(?P<zone>[\w.-]{1,64})/(?P<role>[\w-]{1,32})/(?P<name>[\w.-]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: our certificate with what leads up to the CA, its key, the CAs we believe, and what they revoked.

    Where `revoked` is there, it has to be in date: TLS refuses everybody once it is not.
    """

    certificate: Path
    key: Path
    authorities: Path
    revoked: Path | None = None


class Identity(NamedTuple):
    """Who a certificate says that somebody is; `fingerprint` is the SHA-256 of the public key, in hexadecimal."""

    role: str
    name: str
    fingerprint: str
    certificate: x509.Certificate


class Standing:
    """Which certificates that were good once no longer are: those that are over, and those that a CA has revoked."""

    def __init__(self, files: TlsFiles) -> None:
        """Read them; raise ConfigurationError for files that cannot be used."""
        try:
            authorities = x509.load_pem_x509_certificates(files.authorities.read_bytes())
            text = b"" if files.revoked is None else files.revoked.read_bytes()
            self._revoked = frozenset(_revoked(authorities, map(x509.load_pem_x509_crl, _CRL.findall(text))))
        except (OSError, ValueError) as error:
            raise _unusable(files, error) from error

    def against(self, certificate: x509.Certificate, now: datetime) -> str:
        """Why this certificate no longer counts, empty when it does."""
        if now > certificate.not_valid_after_utc:
            return "its certificate is over"
        if (certificate.issuer, certificate.serial_number) in self._revoked:
            return "its certificate is revoked"
        return ""


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """For the head-end; raise ConfigurationError for files that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    return _with_files(context, files)


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """For a collector; raise ConfigurationError for files that cannot be used."""
    return _with_files(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files)


def identity_of(connection: ssl.SSLObject | ssl.SSLSocket | None, role: str) -> Identity:
    """Who is at the other end; raise SecurityError unless the certificate names exactly one, in this role.

    There is no connection any more when the other end hung up as soon as TLS stood.
    """
    if connection is None:
        raise SecurityError("the other end hung up before it was known who it is")
    if connection.selected_alpn_protocol() != ALPN:
        raise SecurityError("the other end does not speak the relay protocol", answer="no ALPN in common")
    octets = connection.getpeercert(binary_form=True)
    if octets is None:
        raise SecurityError("the other end shows no certificate")
    return identity_in(octets, role)


def identity_in(octets: bytes, role: str) -> Identity:
    """The same of a certificate in DER that was verified."""
    certificate = x509.load_der_x509_certificate(octets)
    named = [found for found in map(_NAME.fullmatch, _uris(certificate)) if found is not None]
    if len(named) != 1:
        raise SecurityError(
            "the certificate of the other end does not say who it is",
            answer=f"{len(named)} names like spiffe://ami/ot/{role}/NAME",
            next_step="have it issued with exactly one such subject alternative name (URI)",
        )
    zone, name = named[0]["zone"], named[0]["name"]
    if (zone, named[0]["role"]) != (ZONE, role):
        raise SecurityError(
            f"the other end is no {role} of zone {ZONE}",
            answer=f"its certificate says {named[0]['role']} {name} of zone {zone}",
        )
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Identity(role, name, hashlib.sha256(key).hexdigest(), certificate)


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return []
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)


def _with_files(context: ssl.SSLContext, files: TlsFiles) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols([ALPN])
    try:
        context.load_cert_chain(files.certificate, files.key)
        context.load_verify_locations(files.authorities)
        if files.revoked is not None:
            context.load_verify_locations(files.revoked)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except (OSError, ValueError) as error:
        raise _unusable(files, error) from error
    return context


def _unusable(files: TlsFiles, error: Exception) -> ConfigurationError:
    named = (files.certificate, files.key, files.authorities, files.revoked)
    return ConfigurationError(
        "the certificates for the link between head-end and collectors cannot be used",
        tried=", ".join(str(path) for path in named if path is not None),
        answer=str(error),
        next_step="see docs/collectors.md for the files and how to make them",
    )


def _revoked(
    authorities: list[x509.Certificate], lists: Iterator[x509.CertificateRevocationList]
) -> Iterator[tuple[x509.Name, int]]:
    """Issuer and serial number of each; a list that none of our CAs signed says nothing."""
    for one in lists:
        if any(_signed_by(authority, one) for authority in authorities):
            yield from ((one.issuer, revoked.serial_number) for revoked in one)


def _signed_by(authority: x509.Certificate, revocations: x509.CertificateRevocationList) -> bool:
    if authority.subject != revocations.issuer:
        return False
    try:
        return revocations.is_signature_valid(authority.public_key())  # type: ignore[arg-type] # other keys: TypeError
    except TypeError:
        return False
