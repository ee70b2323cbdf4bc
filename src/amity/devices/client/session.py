"""What a client knows of its open association, and one exchange in it."""

from amity.devices import granted
from amity.devices.client import general_blocks
from amity.devices.client.conversation import LISTEN, Conversation, Unanswered
from amity.devices.client.journal import Exchange, Journal
from amity.devices.client.refusals import InvocationCounterError, ServiceRefusedError
from amity.devices.client.rejections import service_error
from amity.devices.client.unasked import NOTIFICATIONS, UNASKED_MAX, only_pushes
from amity.devices.message_security import MessageSecurity
from amity.devices.settings import AssociationSettings
from amity.kernel.errors import AmityError, LocalProtocolError, RemoteProtocolError, SecurityError
from amity.protocols.dlms.access_service import CONFIRMED
from amity.protocols.dlms.action_service import ActionRequest
from amity.protocols.dlms.apdu import (
    AccessRequest,
    AccessResponse,
    ActionResponseNormal,
    Apdu,
    ConfirmedServiceError,
    Conformance,
    ExceptionResponse,
    ServiceError,
    SetResponseNormal,
    decode,
)
from amity.protocols.dlms.block_stream import BlockDialogue
from amity.protocols.dlms.ciphered import GENERAL_PROTECTION_TAGS
from amity.protocols.dlms.fields import CONFIRMED_SERVICE
from amity.protocols.dlms.get_service import GetRequest
from amity.protocols.dlms.set_service import SetRequest

_LIST_PARTS_MAX = 16  # what small meters still take in one request
_LIST_HEAD_OCTETS = 11  # tag, choice, invoke id, count, then of a first block: last, number (4), length, one octet

Request = GetRequest | SetRequest | ActionRequest | AccessRequest

_INVOKE_ID = 0x0F
_LONG_INVOKE_ID = 0x00FF_FFFF
_TOLD_HEAD_OCTETS = 3  # tag, choice, invoke-id-and-priority
_TOLD_ANSWERS = frozenset({SetResponseNormal.TAG, ActionResponseNormal.TAG})
_UNPROTECTED_ERRORS = frozenset({ExceptionResponse.TAG, ConfirmedServiceError.TAG})


class Session:
    """One open association of a client: what was granted, and the journal of what passed.

    `conformance` is what both sides can; `max_pdu_octets` the longest APDU the meter takes, 0 for any length. Where
    general block transfer was granted, every request and answer travels by it.
    """

    __slots__ = (
        "_invoke_id", "_long_invoke_id", "_told", "conformance", "journal", "max_pdu_octets", "security", "settings",
    )  # fmt: skip

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
        self._long_invoke_id = 0
        self._told: set[int] = set()

    @property
    def exchanges(self) -> list[Exchange]:
        """Every request of this session with its answer, oldest first."""
        return self.journal.exchanges

    def next_invoke(self) -> int:
        """A fresh invoke-id-and-priority: a late answer to an earlier request is then seen as one."""
        self._invoke_id = (self._invoke_id + 1) & _INVOKE_ID
        self._told.discard(self._invoke_id)
        return CONFIRMED_SERVICE | self._invoke_id

    def next_unconfirmed_invoke(self) -> int:
        """The same for a request that is not answered."""
        return self.next_invoke() & ~CONFIRMED_SERVICE

    def next_long_invoke(self) -> int:
        """The same for the ACCESS service: confirmed, going on after an error."""
        self._long_invoke_id = (self._long_invoke_id + 1) & _LONG_INVOKE_ID
        return CONFIRMED | self._long_invoke_id

    @property
    def general_blocks(self) -> bool:
        """True when APDUs of any length can be exchanged, in general blocks."""
        return Conformance.GENERAL_BLOCK_TRANSFER in self.conformance

    @property
    def room_octets(self) -> int:
        """The longest plain request that still fits when it is sealed, 0 for any length."""
        return self._room_in(self.max_pdu_octets)

    def _room_in(self, pdu_octets: int) -> int:
        if not pdu_octets or self.security is None:
            return pdu_octets
        return max(pdu_octets - self.security.overhead_octets, 1)

    def takes(self, request: Request) -> bool:
        """True when this request needs no service-specific blocks."""
        return self.general_blocks or not self.room_octets or len(request.encode()) <= self.room_octets

    def list_parts(self, part_octets: int, *, result_octets: int = 0) -> int:
        """How many parts of that size a request with-list may have, so that what follows them can go in blocks.

        `result_octets` is what each adds to an answer that no service puts into blocks, and that we must take whole.
        """
        if Conformance.MULTIPLE_REFERENCES not in self.conformance:
            return 1
        if self.general_blocks:
            return _LIST_PARTS_MAX
        most = _LIST_PARTS_MAX
        if self.room_octets:
            most = min(most, (self.room_octets - _LIST_HEAD_OCTETS) // part_octets)
        if result_octets and self.settings.max_pdu_octets:
            most = min(most, (self._room_in(self.settings.max_pdu_octets) - _LIST_HEAD_OCTETS) // result_octets)
        return max(1, most)

    def demand(self, service: Conformance) -> None:
        """Raise LocalProtocolError when the meter did not grant all of this."""
        if service not in self.conformance:
            raise LocalProtocolError(
                f"the meter did not grant {granted.names(service & ~self.conformance)} to this association",
                next_step="use a client that may, or take it out of the meter's profile",
            )

    def ask(self, request: Request) -> Conversation[Apdu]:
        """Send a request, if what it needs was granted; return the answer that belongs to it.

        Raises as `exchange` does, and LocalProtocolError when the association was not granted what this needs.
        """
        self.demand(granted.needs(request, ciphered=self.security is not None))
        answer = yield from self.exchange(request.encode())
        ours, theirs = _invoke_id(request), _invoke_id(answer)
        if theirs is not None and theirs != ours:
            raise RemoteProtocolError(
                f"the answer belongs to request {theirs}, not to request {ours}",
                tried=f"APDU {request.TAG:#04x}",
                next_step="an answer came late: open a new association, with a longer timeout",
            )
        return answer

    def tell(self, request: SetRequest | ActionRequest) -> Conversation[None]:
        """Send a request that the meter carries out in silence: nobody learns whether it did.

        Many a meter answers all the same; that is passed over when it comes.
        Over HDLC it travels with the next request, for it does not give the meter the turn.

        Raises LocalProtocolError when the association was not granted what this needs, or when it is too long.
        """
        self.demand(granted.needs(request))
        plain = request.encode()
        wire = plain if self.security is None else self.security.seal(plain)
        if 0 < self.max_pdu_octets < len(wire):
            raise LocalProtocolError(f"an unconfirmed request goes in one APDU; {len(wire)} octets are too many for it")
        self.journal.sent(wire, plain)
        self._told.add(request.invoke_id_and_priority & _INVOKE_ID)
        yield Unanswered(wire)

    def exchange(self, request: bytes) -> Conversation[Apdu]:
        """Send one plain APDU, protected as agreed; return the answer's APDU.

        Raises:
            ServiceRefusedError: the meter answered with an exception (InvocationCounterError with its counter).
            SecurityError: the answer must not be believed.
            RemoteProtocolError: the answer does not decode.
        """
        wire = request if self.security is None else self.security.seal(request)
        self.journal.sent(wire, request)
        dialogue = self._dialogue()
        answer = yield from self._carry(wire, dialogue)
        apdu = decode((yield from self._plain(answer, wire, dialogue)))
        raise_service_error(apdu, request)
        return apdu

    def _plain(self, answer: bytes, request: bytes, dialogue: BlockDialogue | None) -> Conversation[bytes]:
        """The plain answer; what the meter pushes before it, or answers to what it was told, is only noted."""
        for _ in range(UNASKED_MAX):
            opened = self._opened(answer, request)
            plain = opened if isinstance(opened, bytes) else b""
            if self._answers_what_was_told(plain):
                self.journal.passed_over(answer, plain)
            elif plain and plain[0] not in NOTIFICATIONS:
                self.journal.received(answer, plain)
                return plain
            else:
                self.journal.overheard(answer, plain)
            answer = yield from self._listen(dialogue)
            if not answer and isinstance(opened, SecurityError):
                raise opened  # nothing else came: it was to be the answer
        raise only_pushes()

    def _answers_what_was_told(self, plain: bytes) -> bool:
        if not self._told or len(plain) < _TOLD_HEAD_OCTETS or plain[0] not in _TOLD_ANSWERS:
            return False
        return plain[2] & _INVOKE_ID in self._told

    def _carry(self, wire: bytes, dialogue: BlockDialogue | None) -> Conversation[bytes]:
        if dialogue is not None:
            return (yield from general_blocks.carry(wire, dialogue))
        if 0 < self.max_pdu_octets < len(wire):
            raise LocalProtocolError(
                f"a request of {len(wire)} octets is longer than the meter takes ({self.max_pdu_octets})"
            )
        return (yield wire)

    @staticmethod
    def _listen(dialogue: BlockDialogue | None) -> Conversation[bytes]:
        if dialogue is not None:
            return (yield from general_blocks.go_on(dialogue))
        return (yield LISTEN)

    def _dialogue(self) -> BlockDialogue | None:
        return BlockDialogue(self.max_pdu_octets, self.settings.block_window) if self.general_blocks else None

    def _opened(self, answer: bytes, request: bytes) -> bytes | SecurityError:
        """The plain APDU, or why one that need not be the answer to this request could not be opened."""
        try:
            return self._open(answer)
        except AmityError as error:
            if isinstance(error, SecurityError) and answer[0] in GENERAL_PROTECTION_TAGS - {request[0]}:
                return error
            self.journal.received(answer, b"")
            raise

    def _open(self, answer: bytes) -> bytes:
        if not answer:
            raise RemoteProtocolError("an empty answer came")
        if self.security is None and answer[0] in GENERAL_PROTECTION_TAGS:
            raise SecurityError("a protected message came in an association without keys")
        if self.security is None or answer[0] in _UNPROTECTED_ERRORS:
            return answer
        return self.security.open(answer)


def _invoke_id(apdu: Apdu) -> int | None:
    """The number by which request and answer find each other, None for APDUs without one."""
    if isinstance(apdu, AccessRequest | AccessResponse):
        return apdu.long_invoke_id_and_priority & _LONG_INVOKE_ID
    invoke: int | None = getattr(apdu, "invoke_id_and_priority", None)
    return None if invoke is None else invoke & _INVOKE_ID


def raise_service_error(apdu: Apdu, request: bytes) -> None:
    """Raise what an ExceptionResponse or ConfirmedServiceError means; return for every other APDU."""
    tried = f"APDU {request[0]:#04x}"
    if isinstance(apdu, ExceptionResponse):
        if apdu.service_error is ServiceError.INVOCATION_COUNTER_ERROR:
            raise InvocationCounterError(apdu.invocation_counter, tried=tried)
        answer = f"{apdu.state_error.label}, {apdu.service_error.label}"
        raise ServiceRefusedError(
            f"the meter refuses the request: {answer}",
            tried=tried,
            answer=f"ExceptionResponse {answer}",
            next_step=_EXCEPTION_REMEDIES.get(apdu.service_error, "check what this client may do in this meter"),
        )
    if isinstance(apdu, ConfirmedServiceError):
        cause, remedy = service_error(apdu)
        answer = f"ConfirmedServiceError service {apdu.service}, kind {apdu.kind}, code {apdu.code}"
        raise ServiceRefusedError(cause, tried=tried, answer=answer, next_step=remedy)


_EXCEPTION_REMEDIES = {
    ServiceError.DECIPHERING_ERROR: "wrong key likely: check encryption and authentication key of this meter",
    ServiceError.PDU_TOO_LONG: "set a smaller max_pdu_octets in the meter's profile",
    ServiceError.OPERATION_NOT_POSSIBLE: "open an association first, with the protection the meter demands",
}
