"""Certificates and key pairs of a meter as a client manages them (class 64, version 1, methods 4 to 8).

A new key of the meter takes four steps: `generate_key_pair`, `request_certificate`, an authority, `import_certificate`.
"""

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.security_setup import SECURITY_SETUP_OBIS
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.certificates import CertificateInfo, CertificateType, Identification, KeptCertificate
from amity.devices.interface_classes import INTERFACE_CLASSES
from amity.kernel.errors import RemoteProtocolError, SecurityError
from amity.kernel.obis import Obis
from amity.protocols.dlms.certificate_requests import CertificateRequest, checked_request
from amity.protocols.dlms.certificates import Purpose
from amity.protocols.dlms.data import Data, enum, octet_string
from amity.protocols.dlms.suites import suite_of

_SETUP = INTERFACE_CLASSES[64, 1]


def read_certificates(session: Session, obis: Obis = SECURITY_SETUP_OBIS) -> Conversation[tuple[CertificateInfo, ...]]:
    """What the meter keeps (attribute 6); raise AttributeRefusedError when it does not say."""
    (listed,) = yield from named.read(session, _SETUP, obis, "certificates")
    return fields.elements(listed, CertificateInfo.from_data, "list of certificates")


def generate_key_pair(session: Session, purpose: Purpose, obis: Obis = SECURITY_SETUP_OBIS) -> Conversation[None]:
    """Have the meter make a key pair; raise MethodRefusedError when it does not."""
    yield from named.call(session, _SETUP, obis, "generate_key_pair", enum(CertificateType.of(purpose)))


def request_certificate(
    session: Session, purpose: Purpose, obis: Obis = SECURITY_SETUP_OBIS
) -> Conversation[CertificateRequest]:
    """The meter's request for a certificate of its newest key pair, for the authority.

    Raises:
        MethodRefusedError: the meter has no such pair.
        SecurityError: the request is not signed with the key that it is for, or in the name of somebody else.
    """
    kind = enum(CertificateType.of(purpose))
    answer = yield from named.call(session, _SETUP, obis, "generate_certificate_request", kind)
    request = checked_request(_octets(answer), suite_of(session.settings.suite))
    meter = session.settings.server_title if session.security is None else session.security.peer_title
    if request.system_title != meter:
        raise SecurityError(
            f"the meter {meter.hex()} asks for a certificate in the name of {request.system_title.hex()}",
            next_step="do not have it certified; look at who answers at this address",
        )
    return request


def import_certificate(session: Session, der: bytes, obis: Obis = SECURITY_SETUP_OBIS) -> Conversation[None]:
    """Give the meter a certificate: its own, a client's or an authority's.

    Raises MethodRefusedError when the meter does not take it: it has no such key, knows no authority that vouches for
    it, or it is out of date.
    """
    yield from named.call(session, _SETUP, obis, "import_certificate", octet_string(der))


def export_certificate(
    session: Session, which: Identification, obis: Obis = SECURITY_SETUP_OBIS
) -> Conversation[bytes]:
    """A certificate in DER, unchecked: whose word counts is said by a `Trust`.

    Raises:
        MethodRefusedError: the meter keeps none of that name.
        SecurityError: it gives another one, or no certificate.
    """
    answer = yield from named.call(session, _SETUP, obis, "export_certificate", which.to_data())
    meter = b"" if session.security is None else session.security.peer_title
    given = KeptCertificate.of(_octets(answer), meter)
    if not given.is_named_by(which):
        raise SecurityError("the meter gave another certificate than was asked for", tried="ACTION export_certificate")
    return given.der


def remove_certificate(session: Session, which: Identification, obis: Obis = SECURITY_SETUP_OBIS) -> Conversation[None]:
    """Have the meter forget a certificate; raise MethodRefusedError when it keeps none of that name."""
    yield from named.call(session, _SETUP, obis, "remove_certificate", which.to_data())


def _octets(answer: Data | None) -> bytes:
    if answer is None:
        raise RemoteProtocolError("the meter answered with nothing where it should give a certificate")
    return fields.octets(answer, "certificate or request for one")
