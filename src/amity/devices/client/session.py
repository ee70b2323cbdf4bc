"""What a client knows of its open association, and one exchange in it."""

from amity.devices.client.conversation import Conversation
from amity.devices.client.journal import Exchange, Journal
from amity.devices.client.refusals import InvocationCounterError, ServiceRefusedError
from amity.devices.message_security import MessageSecurity
from amity.devices.settings import AssociationSettings
from amity.kernel.errors import LocalProtocolError, RemoteProtocolError
from amity.protocols.dlms.apdu import (
    Apdu,
    ConfirmedServiceError,
    Conformance,
    ExceptionResponse,
    ServiceError,
    decode,
)

_INVOKE_PRIORITY = 0xC0  # confirmed service, high priority
_INVOKE_ID = 0x0F
_UNPROTECTED_ERRORS = frozenset({ExceptionResponse.TAG, ConfirmedServiceError.TAG})


class Session:
    """One open association of a client: what was granted, and the journal of what passed.

    `conformance` is what both sides can; `max_pdu_octets` the longest APDU the meter takes, 0 for any length.
    """

    __slots__ = ("_invoke_id", "conformance", "journal", "max_pdu_octets", "security", "settings")

    def __init__(
        self,
        settings: AssociationSettings,
        journal: Journal,
        security: MessageSecurity | None,
        conformance: Conformance,
        max_pdu_octets: int,
    ) -> None:
        self.settings = settings
        self.journal = journal
        self.security = security
        self.conformance = conformance
        self.max_pdu_octets = max_pdu_octets
        self._invoke_id = 0

    @property
    def exchanges(self) -> list[Exchange]:
        """Every request of this session with its answer, oldest first."""
        return self.journal.exchanges

    def next_invoke(self) -> int:
        """A fresh invoke-id-and-priority: a late answer to an earlier request is then seen as one."""
        self._invoke_id = (self._invoke_id + 1) & _INVOKE_ID
        return _INVOKE_PRIORITY | self._invoke_id

    def exchange(self, request: bytes) -> Conversation[Apdu]:
        """Send one plain APDU, protected as agreed; return the answer's APDU.

        Raises:
            ServiceRefusedError: the meter answered with an exception (InvocationCounterError with its counter).
            SecurityError: the answer must not be believed.
            RemoteProtocolError: the answer does not decode.
        """
        wire = request if self.security is None else self.security.seal(request)
        if 0 < self.max_pdu_octets < len(wire):
            raise LocalProtocolError(
                f"a request of {len(wire)} octets is longer than the meter takes ({self.max_pdu_octets})"
            )
        self.journal.sent(wire, request)
        answer = yield wire
        plain = b""
        try:
            plain = self._open(answer)
        finally:
            self.journal.received(answer, plain)
        apdu = decode(plain)
        raise_service_error(apdu, request)
        return apdu

    def _open(self, answer: bytes) -> bytes:
        if not answer:
            raise RemoteProtocolError("an empty answer came")
        if self.security is None or answer[0] in _UNPROTECTED_ERRORS:
            return answer
        return self.security.open(answer)


def raise_service_error(apdu: Apdu, request: bytes) -> None:
    """Raise what an ExceptionResponse or ConfirmedServiceError means; return for every other APDU."""
    tried = f"APDU {request[0]:#04x}"
    if isinstance(apdu, ExceptionResponse):
        if apdu.service_error is ServiceError.INVOCATION_COUNTER_ERROR:
            raise InvocationCounterError(apdu.invocation_counter, tried=tried)
        answer = f"{_label(apdu.state_error.name)}, {_label(apdu.service_error.name)}"
        raise ServiceRefusedError(
            f"the meter refuses the request: {answer}",
            tried=tried,
            answer=f"ExceptionResponse {answer}",
            next_step=_EXCEPTION_REMEDIES.get(apdu.service_error, "check what this client may do in this meter"),
        )
    if isinstance(apdu, ConfirmedServiceError):
        raise ServiceRefusedError(
            f"the meter refuses the service: error {apdu.kind}.{apdu.code}",
            tried=tried,
            answer=f"ConfirmedServiceError service {apdu.service}, kind {apdu.kind}, code {apdu.code}",
            next_step="check the proposed services and PDU size against the meter's profile",
        )


def _label(name: str) -> str:
    return name.lower().replace("_", "-")


_EXCEPTION_REMEDIES = {
    ServiceError.DECIPHERING_ERROR: "wrong key likely: check encryption and authentication key of this meter",
    ServiceError.PDU_TOO_LONG: "set a smaller max_pdu_octets in the meter's profile",
    ServiceError.OPERATION_NOT_POSSIBLE: "open an association first, with the protection the meter demands",
}
