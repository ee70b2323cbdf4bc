"""Requests for certificates (PKCS #10, RFC 2986), as class 64 asks a meter for them (IEC 62056-5-3, 5.3.4.6)."""

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from amity.kernel.errors import SecurityError
from amity.protocols.dlms.certificates import MALFORMED, point_of, title_in
from amity.protocols.dlms.suites import Suite


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A request that was checked: who asks (`system_title`), for which point (x and y), in DER for the authority."""

    system_title: bytes
    public: bytes
    der: bytes = field(repr=False)


def certificate_request(key: ec.EllipticCurvePrivateKey, suite: Suite, system_title: bytes) -> bytes:
    """A request in DER for the key of this system title, signed with the key itself."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, system_title.hex().upper())])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    # RFC 6979 here too: the owner of the key may be a meter whose chance is not to be relied on.
    return builder.sign(key, suite.digest, ecdsa_deterministic=True).public_bytes(Encoding.DER)


def checked_request(der: bytes, suite: Suite) -> CertificateRequest:
    """Whose request it is; raise SecurityError unless it decodes, is of the suite and signed with its own key."""
    try:
        request = x509.load_der_x509_csr(der)
        genuine, key, subject = request.is_signature_valid, request.public_key(), request.subject
    except MALFORMED as error:
        raise SecurityError(f"{len(der)} octets are no request for a certificate: {error}") from error
    public = point_of(key, suite, "the request for a certificate")
    if not genuine:
        raise SecurityError(
            "a request for a certificate is not signed with the key that it is for",
            next_step="do not have it certified: somebody asks in another's name",
        )
    return CertificateRequest(title_in(subject, "the request for a certificate"), public, der)
