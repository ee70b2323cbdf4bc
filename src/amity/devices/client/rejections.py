"""Why a meter rejects an association and what to do about it: one table over the diagnostics of an AARE."""

from amity.devices.client.refusals import AssociationRejectedError
from amity.devices.settings import AssociationSettings, Authentication, Protection
from amity.protocols.dlms import apdu
from amity.protocols.dlms.acse import Aare, AssociationResult, ProviderDiagnostic, SourceDiagnostic
from amity.protocols.dlms.apdu import ConfirmedServiceError
from amity.protocols.dlms.data_types import DecodeError

_CAUSES: dict[SourceDiagnostic | ProviderDiagnostic, tuple[str, str]] = {
    SourceDiagnostic.NO_REASON_GIVEN: (
        "the meter gives no reason",
        "check client and server address, then the services and PDU size of the meter's profile",
    ),
    SourceDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED: (
        "the meter does not offer this context to this client",
        "switch ciphering on (or off) for this meter, or use the client address that has it",
    ),
    SourceDiagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED: (
        "the meter does not know our system title",
        "give --client-title as the meter has it, or enter our title in the meter",
    ),
    SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED: (
        "the meter does not offer this authentication",
        "set --auth to what the meter is configured for",
    ),
    SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED: (
        "the meter demands authentication",
        "set --auth to what the meter is configured for",
    ),
    SourceDiagnostic.AUTHENTICATION_REQUIRED: (
        "the meter demands authentication",
        "set --auth to what the meter is configured for",
    ),
}
_NO_COMMON_VERSION = ("no common ACSE version", "check that the port speaks DLMS/COSEM")
_BUSY = (
    "the meter is busy with another association",
    "try again in a minute; one client at a time can be associated",
)
_INITIATE = 6
_INITIATE_ERRORS = {
    1: ("the meter speaks an older version of DLMS", "this meter needs another reader: Amity speaks version 6"),
    2: (
        "the meter grants none of the services that we propose (incompatible conformance)",
        "propose what the meter's profile names, and check the client address: another client may be granted more",
    ),
    3: (
        "the meter needs a longer PDU than we take (PDU size too short)",
        "raise max_pdu_octets in the meter's profile",
    ),
    4: ("the meter's device handler refuses", "check the logical device address (--server)"),
}
"""By the code of an initiate error (IEC 62056-5-3, ServiceError)."""
_WRONG_KEY = "check encryption key, authentication key and system title of this meter"


def rejection(aare: Aare, settings: AssociationSettings) -> AssociationRejectedError:
    """The error that an AARE with another result than accepted means."""
    cause, remedy = _cause(aare, settings)
    return AssociationRejectedError(
        cause,
        remedy=remedy,
        tried=f"AARQ with authentication {settings.authentication}, ciphering {settings.ciphering}",
        answer=f"AARE {aare.result.label}, {aare.diagnostic.label}",
        result=aare.result,
        diagnostic=aare.diagnostic,
    )


def service_error(error: ConfirmedServiceError) -> tuple[str, str]:
    """Cause and remedy of a confirmedServiceError."""
    if error.kind == _INITIATE and error.code in _INITIATE_ERRORS:
        return _INITIATE_ERRORS[error.code]
    return (
        f"the meter refuses the service: error {error.kind}.{error.code}",
        "check the proposed services and PDU size against the meter's profile",
    )


def _cause(aare: Aare, settings: AssociationSettings) -> tuple[str, str]:
    if aare.diagnostic is SourceDiagnostic.AUTHENTICATION_FAILURE:
        return _failure(settings)
    if aare.result is AssociationResult.REJECTED_TRANSIENT:
        return _BUSY
    if aare.diagnostic is ProviderDiagnostic.NO_COMMON_ACSE_VERSION:
        return _NO_COMMON_VERSION
    initiate_error = _initiate_error(aare.user_information or b"")
    if initiate_error is not None:
        return service_error(initiate_error)
    return _CAUSES.get(aare.diagnostic, _CAUSES[SourceDiagnostic.NO_REASON_GIVEN])


def _initiate_error(information: bytes) -> ConfirmedServiceError | None:
    """The error in place of an InitiateResponse; None where there is none, or where it is ciphered."""
    try:
        error = apdu.decode(information)
    except DecodeError:
        return None
    return error if isinstance(error, ConfirmedServiceError) else None


def _failure(settings: AssociationSettings) -> tuple[str, str]:
    if settings.authentication is Authentication.LLS and not settings.ciphered:
        return "authentication failure: wrong password likely", "check the LLS password of this meter"
    if settings.authentication is Authentication.LLS:
        return "authentication failure: wrong key or wrong password likely", f"{_WRONG_KEY}, then its LLS password"
    if settings.ciphered and settings.protection is not Protection.AUTHENTICATED_ENCRYPTED:
        return (
            "authentication failure: too little protection or a wrong key likely",
            f"let messages be authenticated and encrypted, as most meters demand it; if they are not, {_WRONG_KEY}",
        )
    if settings.keyed:
        return "authentication failure: wrong key likely", _WRONG_KEY
    return "authentication failure", "this client needs a password or keys: set --auth"
