"""Why a meter rejects an association and what to do about it: one table over the diagnostics of an AARE."""

from amity.devices.client.refusals import AssociationRejectedError
from amity.devices.settings import AssociationSettings, Authentication
from amity.protocols.dlms.acse import Aare, AssociationResult, ProviderDiagnostic, SourceDiagnostic

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
_WRONG_KEY = "check encryption key, authentication key and system title of this meter"


def rejection(aare: Aare, settings: AssociationSettings) -> AssociationRejectedError:
    """The error that an AARE with another result than accepted means."""
    cause, remedy = _cause(aare, settings)
    diagnostic = aare.diagnostic.name.lower().replace("_", "-")
    return AssociationRejectedError(
        cause,
        remedy=remedy,
        tried=f"AARQ with authentication {settings.authentication}, ciphering {settings.ciphering}",
        answer=f"AARE {aare.result.name.lower().replace('_', '-')}, {diagnostic}",
        result=aare.result,
        diagnostic=aare.diagnostic,
    )


def _cause(aare: Aare, settings: AssociationSettings) -> tuple[str, str]:
    if aare.diagnostic is SourceDiagnostic.AUTHENTICATION_FAILURE:
        return _failure(settings)
    if aare.result is AssociationResult.REJECTED_TRANSIENT:
        return _BUSY
    if aare.diagnostic is ProviderDiagnostic.NO_COMMON_ACSE_VERSION:
        return _NO_COMMON_VERSION
    return _CAUSES.get(aare.diagnostic, _CAUSES[SourceDiagnostic.NO_REASON_GIVEN])


def _failure(settings: AssociationSettings) -> tuple[str, str]:
    if settings.authentication is Authentication.LLS and not settings.ciphered:
        return "authentication failure: wrong password likely", "check the LLS password of this meter"
    if settings.authentication is Authentication.LLS:
        return "authentication failure: wrong key or wrong password likely", f"{_WRONG_KEY}, then its LLS password"
    if settings.keyed:
        return "authentication failure: wrong key likely", _WRONG_KEY
    return "authentication failure", "this client needs a password or keys: set --auth"
