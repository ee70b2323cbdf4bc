"""Knocking: an association request without any secret, and what the meter's answer gives away."""

from typing import NamedTuple

from amity.devices.client.conversation import Conversation
from amity.devices.settings import CLIENT_CONFORMANCE, PDU_OCTETS_MAX
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms import acse, apdu
from amity.protocols.dlms.acse import (
    Aare,
    Aarq,
    ApplicationContext,
    AssociationResult,
    Mechanism,
    ProviderDiagnostic,
    Rlre,
    Rlrq,
    SourceDiagnostic,
)
from amity.protocols.dlms.apdu import ConfirmedServiceError, ExceptionResponse, InitiateRequest

_ASKS_FOR_A_SECRET = frozenset(
    {
        SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED,
        SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED,
        SourceDiagnostic.AUTHENTICATION_FAILURE,
        SourceDiagnostic.AUTHENTICATION_REQUIRED,
        SourceDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
        SourceDiagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED,
    }
)


class Knock(NamedTuple):
    """The answer to a knock. `context` and `mechanism` are what the meter's AARE names, where it names any.

    `result` is None when an exception came instead of an AARE: somebody is at home and speaks DLMS.
    """

    result: AssociationResult | None
    diagnostic: SourceDiagnostic | ProviderDiagnostic | None
    context: ApplicationContext | None
    mechanism: Mechanism | None
    said: str

    @property
    def open(self) -> bool:
        """True when the meter lets this client in without a secret."""
        return self.result is AssociationResult.ACCEPTED and self.diagnostic is not _PROOF_DUE

    @property
    def wants_secret(self) -> bool:
        """True when the meter knows this client and asks for more than its name."""
        return self.diagnostic in _ASKS_FOR_A_SECRET

    @property
    def wants_ciphering(self) -> bool:
        """True when the meter offers this client the ciphered context only."""
        return self.context is not None and self.context.ciphered

    @property
    def busy(self) -> bool:
        """True when the meter says that it is in use at the moment."""
        return self.result is AssociationResult.REJECTED_TRANSIENT


_PROOF_DUE = SourceDiagnostic.AUTHENTICATION_REQUIRED
UNANSWERED = Knock(None, None, None, None, "silence")
"""A knock that nobody has answered."""


def knock() -> Conversation[Knock]:
    """Ask for an association with the lowest level of security.

    Raises RemoteProtocolError when what answers does not speak DLMS.
    """
    initiate = InitiateRequest(CLIENT_CONFORMANCE, PDU_OCTETS_MAX).encode()
    answer = yield Aarq(initiate).encode()
    if answer[:1] == bytes([Aare.TAG]):
        decoded = acse.decode(answer)
        if isinstance(decoded, Aare):
            return _told(decoded)
    other = apdu.decode(answer)
    if isinstance(other, ExceptionResponse | ConfirmedServiceError):
        return Knock(None, None, None, None, f"{type(other).__name__} instead of an AARE")
    raise RemoteProtocolError("something else than an AARE answers", tried="AARQ", answer=answer[:16].hex(" "))


def leave(answer: Knock) -> Conversation[bool]:
    """Release what the knock has opened: where no connection is closed (UDP), the meter would stay in use."""
    if answer.result is not AssociationResult.ACCEPTED:
        return False
    said = yield Rlrq().encode()
    return said[:1] == bytes([Rlre.TAG])


def _told(aare: Aare) -> Knock:
    words = [f"AARE {_label(aare.result.name)}"]
    if aare.diagnostic:
        words.append(_label(aare.diagnostic.name))
    if aare.context is not None and aare.context.ciphered:
        words.append("names the ciphered context")
    return Knock(aare.result, aare.diagnostic, aare.context, aare.mechanism, ", ".join(words))


def _label(name: str) -> str:
    return name.lower().replace("_", "-")
