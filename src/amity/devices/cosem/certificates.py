"""Certificates as a Security setup object tells and names them (class 64, version 1; IEC 62056-6-2, 4.4.7)."""

from enum import IntEnum
from typing import NamedTuple, Self

from cryptography import x509

from amity.devices.cosem import fields
from amity.protocols.dlms.certificates import Purpose, is_authority, parsed, purpose_of, subject_title
from amity.protocols.dlms.data import Data, Tag, enum, octet_string, structure

_DER_INTEGER = 0x02
_INFO_PARTS, _BY_ENTITY_PARTS, _BY_SERIAL_PARTS = 6, 3, 2


class CertificateEntity(IntEnum):
    """Whose certificate it is."""

    SERVER = 0
    CLIENT = 1
    AUTHORITY = 2
    OTHER = 3


class CertificateType(IntEnum):
    """What its key is for; the first three name key pairs of the meter too."""

    SIGNING = 0
    AGREEMENT = 1
    TLS = 2
    OTHER = 3

    @classmethod
    def of(cls, purpose: Purpose) -> Self:
        """The number of a purpose."""
        return cls(_TYPES[purpose])

    @property
    def purpose(self) -> Purpose | None:
        """The purpose, None for those that application layer security does not know."""
        return next((purpose for purpose, number in _TYPES.items() if number == self), None)


_TYPES = {Purpose.SIGNING: 0, Purpose.AGREEMENT: 1}


class CertificateInfo(NamedTuple):
    """One element of the attribute `certificates`: `serial_number` as in the certificate, names in DER."""

    entity: CertificateEntity
    type: CertificateType
    serial_number: int
    issuer: bytes
    subject: bytes
    subject_alt_name: bytes

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one; raise RemoteProtocolError when it is none."""
        entity, kind, serial, issuer, subject, alternative = fields.parts(data, _INFO_PARTS, "certificate")
        return cls(
            fields.member(CertificateEntity, entity, "certificate entity"),
            fields.member(CertificateType, kind, "certificate type"),
            _serial_number(serial),
            fields.octets(issuer, "issuer of a certificate"),
            fields.octets(subject, "subject of a certificate"),
            fields.octets(alternative, "subject alternative name"),
        )

    def to_data(self) -> Data:
        """The structure as it travels."""
        names = (self.issuer, self.subject, self.subject_alt_name)
        serial = octet_string(_serial_octets(self.serial_number))
        return structure(enum(self.entity), enum(self.type), serial, *map(octet_string, names))


class ByEntity(NamedTuple):
    """A certificate by its owner; certification authorities are told apart by their serial numbers instead."""

    entity: CertificateEntity
    type: CertificateType
    system_title: bytes

    def to_data(self) -> Data:
        """The structure as it travels."""
        options = structure(enum(self.entity), enum(self.type), octet_string(self.system_title))
        return structure(enum(0), options)


class BySerial(NamedTuple):
    """A certificate by the number that its issuer gave it; `issuer` is the name in DER."""

    serial_number: int
    issuer: bytes

    def to_data(self) -> Data:
        """The structure as it travels."""
        return structure(
            enum(1), structure(octet_string(_serial_octets(self.serial_number)), octet_string(self.issuer))
        )


Identification = ByEntity | BySerial


def identifications(data: Data) -> tuple[Identification, ...]:
    """What the parameter of export_certificate and remove_certificate names, the likelier reading first.

    Raise RemoteProtocolError when it is neither of the two kinds.
    """
    choice, options = fields.parts(data, 2, "identification of a certificate")
    match fields.number(choice, "kind of identification", Tag.ENUM):
        case 0:
            entity, kind, title = fields.parts(options, _BY_ENTITY_PARTS, "identification by entity")
            by_entity = ByEntity(
                fields.member(CertificateEntity, entity, "certificate entity"),
                fields.member(CertificateType, kind, "certificate type"),
                fields.octets(title, "system title"),
            )
            return (by_entity,)
        case 1:
            serial, name = fields.parts(options, _BY_SERIAL_PARTS, "identification by serial number")
            octets = fields.octets(serial, "serial number of a certificate")
            issuer = fields.octets(name, "issuer of a certificate")
            return tuple(BySerial(number, issuer) for number in _serial_numbers(octets, sign_may_lack=True))
    raise fields.wrong("kind of identification", choice)


class KeptCertificate(NamedTuple):
    """A certificate with its owner: `system_title` is empty for a certification authority."""

    info: CertificateInfo
    system_title: bytes
    der: bytes

    @classmethod
    def of(cls, der: bytes, server_title: bytes) -> Self:
        """Sort it in as the meter of this title does; raise SecurityError when it does not say whose it is."""
        if is_authority(der):
            return cls(_info(der, CertificateEntity.AUTHORITY, CertificateType.OTHER), b"", der)
        title = subject_title(der)
        entity = CertificateEntity.SERVER if title == server_title else CertificateEntity.CLIENT
        return cls(_info(der, entity, CertificateType.of(purpose_of(der))), title, der)

    def is_named_by(self, wanted: Identification) -> bool:
        """True when the identification is about this one."""
        if isinstance(wanted, ByEntity):
            return wanted == (self.info.entity, self.info.type, self.system_title)
        return wanted == (self.info.serial_number, self.info.issuer)


def _info(der: bytes, entity: CertificateEntity, kind: CertificateType) -> CertificateInfo:
    certificate = parsed(der)
    return CertificateInfo(
        entity,
        kind,
        certificate.serial_number,
        certificate.issuer.public_bytes(),
        certificate.subject.public_bytes(),
        _alternative_name(certificate),
    )


def _alternative_name(certificate: x509.Certificate) -> bytes:
    """The extension's value in DER; empty where there is none."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.public_bytes()
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return b""


def _serial_number(data: Data) -> int:
    """The number where nothing tells which reading of it is meant: what is wholly DER's INTEGER is taken for that."""
    return _serial_numbers(fields.octets(data, "serial number of a certificate"))[-1]


def _serial_numbers(octets: bytes, *, sign_may_lack: bool = False) -> tuple[int, ...]:
    """The number as it stands; then, where that can be, as gurux-dlms 1.0.203 sends it: an INTEGER of DER as a whole.

    The peer leaves out the octet that makes a number positive; that is taken where the first reading is tried first.
    """
    whole = int.from_bytes(octets, "big")
    content = octets[2:]
    if octets[:2] != bytes([_DER_INTEGER, len(content) & 0xFF]) or not content:
        return (whole,)
    inside = int.from_bytes(content, "big")
    as_it_should = _serial_octets(inside)
    known = {as_it_should, as_it_should.removeprefix(b"\0")} if sign_may_lack else {as_it_should}
    return (whole, inside) if content in known else (whole,)


def _serial_octets(number: int) -> bytes:
    """As DER has it: as few octets as hold the number with its sign."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")
