"""Association control (ISO/IEC 8650-1 as used by IEC 62056-5-3, 7.2): AARQ, AARE, RLRQ, RLRE in BER."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, NamedTuple

from amity.kernel.errors import LocalProtocolError
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.data import DecodeError, encode_length
from amity.protocols.dlms.results import Code

AARQ_TAG, AARE_TAG, RLRQ_TAG, RLRE_TAG = 0x60, 0x61, 0x62, 0x63
_OID_CONTEXT = bytes.fromhex("608574050801")
_OID_MECHANISM = bytes.fromhex("608574050802")
_OID = 0x06
_INTEGER = 0x02
_OCTET_STRING = 0x04
_CHARSTRING = 0x80
_USER, _PROVIDER = 0xA1, 0xA2  # whose diagnostic it is: acse-service-user, acse-service-provider
_AUTHENTICATION_REQUIRED = bytes.fromhex("0780")


class ApplicationContext(Code):
    """Logical or short names, with or without ciphering."""

    LN = 1
    SN = 2
    LN_CIPHERED = 3
    SN_CIPHERED = 4

    @property
    def ciphered(self) -> bool:
        """True when APDUs of this association may be ciphered."""
        return self in {ApplicationContext.LN_CIPHERED, ApplicationContext.SN_CIPHERED}


class Mechanism(Code):
    """How the two sides prove who they are."""

    LOWEST = 0
    LLS = 1
    HLS = 2
    HLS_MD5 = 3
    HLS_SHA1 = 4
    HLS_GMAC = 5
    HLS_SHA256 = 6
    HLS_ECDSA = 7


class AssociationResult(Code):
    """Whether the server opens the association."""

    ACCEPTED = 0
    REJECTED_PERMANENT = 1
    REJECTED_TRANSIENT = 2


class SourceDiagnostic(Code):
    """Why not (acse-service-user), or that a second step of authentication follows."""

    NULL = 0
    NO_REASON_GIVEN = 1
    APPLICATION_CONTEXT_NAME_NOT_SUPPORTED = 2
    CALLING_AP_TITLE_NOT_RECOGNIZED = 3
    CALLING_AP_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 4
    CALLING_AE_QUALIFIER_NOT_RECOGNIZED = 5
    CALLING_AE_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 6
    CALLED_AP_TITLE_NOT_RECOGNIZED = 7
    CALLED_AP_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 8
    CALLED_AE_QUALIFIER_NOT_RECOGNIZED = 9
    CALLED_AE_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 10
    AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED = 11
    AUTHENTICATION_MECHANISM_NAME_REQUIRED = 12
    AUTHENTICATION_FAILURE = 13
    AUTHENTICATION_REQUIRED = 14


class ProviderDiagnostic(Code):
    """Why not (acse-service-provider)."""

    NULL = 0
    NO_REASON_GIVEN = 1
    NO_COMMON_ACSE_VERSION = 2


class ReleaseReason(IntEnum):
    """Why the association is released (request and response share the numbers)."""

    NORMAL = 0
    URGENT_OR_NOT_FINISHED = 1
    USER_DEFINED = 30


@dataclass(frozen=True, slots=True)
class Aarq:
    """A request to open an association; `user_information` is the InitiateRequest, ciphered or not.

    `other_fields` keeps what came and has no name here, or another form than ours, tag by tag: nothing is lost.
    """

    TAG: ClassVar[int] = AARQ_TAG
    user_information: bytes | None
    context: ApplicationContext = ApplicationContext.LN
    mechanism: Mechanism | None = None
    authentication_value: bytes | None = field(default=None, repr=False)
    calling_ap_title: bytes | None = None
    calling_ae_qualifier: bytes | None = None
    calling_ae_invocation_id: int | None = None
    authentication_requested: bool | None = None
    protocol_version: bytes | None = None
    other_fields: tuple[tuple[int, bytes], ...] = ()

    def encode(self) -> bytes:
        """The octets of the APDU; the sender's ACSE requirements follow the mechanism unless they are given."""
        requested = (
            self.mechanism is not None if self.authentication_requested is None else self.authentication_requested
        )
        return _apdu(AARQ_TAG, [
            (0x80, self.protocol_version),
            (0xA1, _oid(_OID_CONTEXT, self.context)),
            *self.other_fields,
            (0xA6, _wrapped(_OCTET_STRING, self.calling_ap_title)),
            (0xA7, _wrapped(_OCTET_STRING, self.calling_ae_qualifier)),
            (0xA9, _wrapped_number(self.calling_ae_invocation_id)),
            (0x8A, _AUTHENTICATION_REQUIRED if requested else None),
            (0x8B, None if self.mechanism is None else _OID_MECHANISM + bytes([self.mechanism])),
            (0xAC, _wrapped(_CHARSTRING, self.authentication_value)),
            (0xBE, _wrapped(_OCTET_STRING, self.user_information)),
        ])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Aare:
    """The answer to an AARQ; `user_information` is the InitiateResponse (some meters leave it out).

    `context` is None where the server names none, or one of another family.
    """

    TAG: ClassVar[int] = AARE_TAG
    result: AssociationResult
    diagnostic: SourceDiagnostic | ProviderDiagnostic
    user_information: bytes | None
    context: ApplicationContext | None = ApplicationContext.LN
    mechanism: Mechanism | None = None
    authentication_value: bytes | None = None
    responding_ap_title: bytes | None = None
    responding_ae_qualifier: bytes | None = None
    authentication_requested: bool | None = None
    protocol_version: bytes | None = None
    other_fields: tuple[tuple[int, bytes], ...] = ()

    @property
    def accepted(self) -> bool:
        """True when the association is open, or waits for the second step of authentication."""
        return self.result is AssociationResult.ACCEPTED

    @property
    def ciphered(self) -> bool:
        """True when the server names a context with ciphering."""
        return self.context is not None and self.context.ciphered

    def encode(self) -> bytes:
        """The octets of the APDU."""
        requested = (
            self.mechanism is not None if self.authentication_requested is None else self.authentication_requested
        )
        provider = isinstance(self.diagnostic, ProviderDiagnostic)
        diagnostic = _field(_PROVIDER if provider else _USER, _field(_INTEGER, bytes([self.diagnostic])))
        return _apdu(AARE_TAG, [
            (0x80, self.protocol_version),
            (0xA1, None if self.context is None else _oid(_OID_CONTEXT, self.context)),
            (0xA2, _field(_INTEGER, bytes([self.result]))),
            (0xA3, diagnostic),
            (0xA4, _wrapped(_OCTET_STRING, self.responding_ap_title)),
            (0xA5, _wrapped(_OCTET_STRING, self.responding_ae_qualifier)),
            *self.other_fields,
            (0x88, _AUTHENTICATION_REQUIRED if requested else None),
            (0x89, None if self.mechanism is None else _OID_MECHANISM + bytes([self.mechanism])),
            (0xAA, _wrapped(_CHARSTRING, self.authentication_value)),
            (0xBE, _wrapped(_OCTET_STRING, self.user_information)),
        ])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rlrq:
    """A request to release the association."""

    TAG: ClassVar[int] = RLRQ_TAG
    reason: int | None = ReleaseReason.NORMAL
    user_information: bytes | None = None

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return _release(self.TAG, self.reason, self.user_information)


@dataclass(frozen=True, slots=True)
class Rlre:
    """The answer to an RLRQ."""

    TAG: ClassVar[int] = RLRE_TAG
    reason: int | None = ReleaseReason.NORMAL
    user_information: bytes | None = None

    def encode(self) -> bytes:
        """The octets of the APDU."""
        return _release(self.TAG, self.reason, self.user_information)


AcseApdu = Aarq | Aare | Rlrq | Rlre


def encode(apdu: AcseApdu) -> bytes:
    """The octets of an ACSE APDU."""
    return apdu.encode()


def decode(buffer: bytes) -> AcseApdu:
    """The ACSE APDU that fills the buffer, but for zeros that pad it; raise DecodeError for any other octets."""
    apdu, end = decode_prefix(buffer)
    if buffer[end:].strip(b"\0"):
        raise DecodeError(f"{len(buffer) - end} octets are left over after the association APDU", end)
    return apdu


def decode_prefix(buffer: bytes) -> tuple[AcseApdu, int]:
    """The ACSE APDU that the buffer starts with and where it ends; raise DecodeError when it starts with none.

    A release APDU takes all that follows, for its length is not to be trusted.
    """
    tag = buffer[0] if buffer else None
    if tag == AARQ_TAG:
        fields = _Fields(buffer)
        return _read_aarq(fields), fields.end
    if tag == AARE_TAG:
        fields = _Fields(buffer)
        return _read_aare(fields), fields.end
    if tag == RLRQ_TAG:
        return Rlrq(*_read_release(buffer)), len(buffer)
    if tag == RLRE_TAG:
        return Rlre(*_read_release(buffer)), len(buffer)
    raise DecodeError("this is neither AARQ, AARE, RLRQ nor RLRE", 0)


# ------------------------------------------------------------------ writing BER
def _field(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + encode_length(len(content)) + content


def _wrapped(tag: int, content: bytes | None) -> bytes | None:
    return None if content is None else _field(tag, content)


def _wrapped_number(value: int | None) -> bytes | None:
    if value is None:
        return None
    if not 0 <= value <= 0xFF:  # noqa: PLR2004 - a user id is one octet
        raise LocalProtocolError(f"an invocation identifier is 0 to 255, not {value}")
    return _field(_INTEGER, bytes([value]))


def _oid(prefix: bytes, number: int) -> bytes:
    return _field(_OID, prefix + bytes([number]))


def _apdu(tag: int, content: list[tuple[int, bytes | None]]) -> bytes:
    return _field(tag, b"".join(_field(key, value) for key, value in content if value is not None))


def _release(tag: int, reason: int | None, user_information: bytes | None) -> bytes:
    content = None if reason is None else bytes([reason])
    return _apdu(tag, [(0x80, content), (0xBE, _wrapped(_OCTET_STRING, user_information))])


# ------------------------------------------------------------------ reading BER
class _Element(NamedTuple):
    tag: int
    content: bytes
    offset: int


def _elements(cursor: Cursor) -> Iterator[_Element]:
    while cursor.remaining:
        offset = cursor.offset
        yield _Element(cursor.unsigned(), cursor.octets(), offset)


class _Fields:
    """The fields of one APDU by tag; taking one removes it, what is left is kept as `other_fields`."""

    __slots__ = ("_by_tag", "_offsets", "end")

    def __init__(self, buffer: bytes) -> None:
        outer = Cursor(buffer, 1)
        content = outer.octets()
        self.end = outer.offset
        cursor = Cursor(content)
        self._by_tag: dict[int, bytes] = {}
        self._offsets: dict[int, int] = {}
        for tag, value, offset in _elements(cursor):
            if tag in self._by_tag:
                raise DecodeError(f"field {tag:#04x} stands twice", offset)
            self._by_tag[tag] = value
            self._offsets[tag] = self.end - len(content) + offset

    def take(self, tag: int) -> bytes | None:
        """The content of a field, or None."""
        return self._by_tag.pop(tag, None)

    def inner(self, tag: int, inner_tag: int) -> bytes | None:
        """The content of the one element inside a field."""
        content = self.take(tag)
        if content is None:
            return None
        octets = _only(inner_tag, content)
        if octets is None:
            raise self.error(tag, "holds something unexpected")
        return octets

    def optional(self, tag: int) -> bytes | None:
        """The octet string inside a field that may have other forms too; in one of these it is left among the rest."""
        octets = _only(_OCTET_STRING, self._by_tag.get(tag, b""))
        if octets is not None:
            del self._by_tag[tag]
        return octets

    def number(self, tag: int) -> int | None:
        """The one-octet integer inside a field."""
        octets = self.inner(tag, _INTEGER)
        return None if octets is None else int.from_bytes(octets, "big")

    def code(self, tag: int, octets: bytes | None) -> int:
        """The number that an integer of this field holds; every code of ACSE fits one octet."""
        stripped = b"" if octets is None else octets.lstrip(b"\0") or b"\0"
        if len(stripped) != 1:
            raise self.error(tag, "holds no code")
        return stripped[0]

    def context(self) -> ApplicationContext | None:
        """The application context name; one of another family than COSEM's is left among the rest."""
        octets = _only(_OID, self._by_tag.get(0xA1, b""))
        if octets is None or octets[:-1] != _OID_CONTEXT:
            return None
        del self._by_tag[0xA1]
        return ApplicationContext(octets[-1])

    def mechanism(self, tag: int) -> Mechanism | None:
        """The mechanism name, an object identifier without a tag of its own; some servers write the tag again."""
        content = self.take(tag)
        if content is None:
            return None
        octets = _only(_OID, content) or content
        if octets[:-1] != _OID_MECHANISM:
            raise self.error(tag, f"holds an unknown object identifier {octets.hex()}")
        return Mechanism(octets[-1])

    def authentication_value(self, tag: int) -> bytes | None:
        """Password or challenge; sent as charstring, rarely as bitstring or external."""
        content = self.take(tag)
        if content is None:
            return None
        cursor = Cursor(content)
        cursor.unsigned()
        octets = cursor.octets()
        cursor.finish()
        return octets

    def requested(self, tag: int) -> bool | None:
        """The authentication bit of the ACSE requirements; None when the field is absent."""
        content = self.take(tag)
        return None if content is None else bool(content and content[-1] & 0x80)

    def rest(self) -> tuple[tuple[int, bytes], ...]:
        """The fields that nobody took."""
        return tuple(self._by_tag.items())

    def error(self, tag: int, what: str) -> DecodeError:
        """A DecodeError at the place of a field."""
        return DecodeError(f"field {tag:#04x} {what}", self._offsets.get(tag, 0))


def _only(tag: int, octets: bytes) -> bytes | None:
    """The content of the element that fills these octets; None when they are something else."""
    if octets[:1] != bytes([tag]):
        return None
    try:
        cursor = Cursor(octets, 1)
        content = cursor.octets()
        cursor.finish()
    except DecodeError:
        return None
    return content


def _read_aarq(fields: _Fields) -> Aarq:
    context = fields.context()
    if context is None:
        raise fields.error(0xA1, "names no application context of COSEM")
    return Aarq(
        protocol_version=fields.take(0x80),
        context=context,
        calling_ap_title=fields.optional(0xA6),
        calling_ae_qualifier=fields.optional(0xA7),
        calling_ae_invocation_id=fields.number(0xA9),
        authentication_requested=fields.requested(0x8A),
        mechanism=fields.mechanism(0x8B),
        authentication_value=fields.authentication_value(0xAC),
        user_information=fields.inner(0xBE, _OCTET_STRING),
        other_fields=fields.rest(),
    )


def _read_aare(fields: _Fields) -> Aare:
    return Aare(
        protocol_version=fields.take(0x80),
        context=fields.context(),
        result=AssociationResult(fields.code(0xA2, fields.inner(0xA2, _INTEGER))),
        diagnostic=_read_diagnostic(fields),
        responding_ap_title=fields.optional(0xA4),
        responding_ae_qualifier=fields.optional(0xA5),
        authentication_requested=fields.requested(0x88),
        mechanism=fields.mechanism(0x89),
        authentication_value=fields.authentication_value(0xAA),
        user_information=fields.inner(0xBE, _OCTET_STRING),
        other_fields=fields.rest(),
    )


def _read_diagnostic(fields: _Fields) -> SourceDiagnostic | ProviderDiagnostic:
    content = fields.take(0xA3)
    if content is None:
        return SourceDiagnostic.NULL
    cursor = Cursor(content)
    names = ProviderDiagnostic if cursor.unsigned() == _PROVIDER else SourceDiagnostic
    return names(fields.code(0xA3, _only(_INTEGER, cursor.octets())))


def _read_release(buffer: bytes) -> tuple[int | None, bytes | None]:
    """Reason and user information; the outer length is not trusted, for some servers count it wrong."""
    cursor = Cursor(buffer, 1)
    if not cursor.remaining:
        return None, None
    cursor.unsigned()
    reason, user_information = None, None
    for tag, content, offset in _elements(cursor):
        if tag == 0x80:  # noqa: PLR2004 - reason [0]
            reason = int.from_bytes(content, "big")
        elif tag == 0xBE and content[:1] == bytes([_OCTET_STRING]):  # noqa: PLR2004 - user-information [30]
            user_information = Cursor(content, 1).octets()
        else:
            raise DecodeError(f"a release APDU has no field {tag:#04x}", offset)
    return reason, user_information
