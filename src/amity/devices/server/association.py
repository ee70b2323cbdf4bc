"""One client's association as the meter sees it: a state machine over APDUs (IEC 62056-5-3, 6.2).

state      AARQ                       reply_to_HLS          GET, SET, ACTION        RLRQ
IDLE       PROVING, OPEN or IDLE      exception             exception               IDLE
PROVING    as in IDLE                 OPEN, IDLE if wrong   exception               IDLE
OPEN       as in IDLE                 read-write-denied     answer                  IDLE

An AARQ that is rejected changes nothing, and in a ciphered association neither does an RLRQ without the proof of its
keys: else anybody on the line could end it.
In general blocks a request is one when its last block is there. Below the policy, replayed or undecipherable requests,
and those longer than the meter takes, are answered with an exception in every state and change none.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from amity.devices.freshness import Received, ReplayError
from amity.devices.interface_classes import (
    ACTIVITY_CALENDAR,
    CLOCK,
    CURRENT_ASSOCIATION,
    REPLY_TO_HLS,
    SPECIAL_DAYS_TABLE,
    Role,
)
from amity.devices.message_security import DowngradeError, is_broadcast
from amity.devices.objects import Answer, AttributeObject, CosemObject, attribute_of
from amity.devices.server.general_blocks import GeneralBlocks
from amity.devices.server.opening import Judge, Opened, RejectedError
from amity.devices.server.own_objects import association_object
from amity.devices.server.proving import answer_to_proof
from amity.devices.server.security_setup import Client
from amity.devices.server.services import Services
from amity.devices.server.settings import ClientAccess, MeterSettings
from amity.kernel.errors import LocalProtocolError, RemoteProtocolError, SecurityError
from amity.protocols.dlms import acse, apdu
from amity.protocols.dlms.acse import Aarq, AssociationResult, ReleaseReason, Rlre, Rlrq, SourceDiagnostic
from amity.protocols.dlms.apdu import (
    ActionOutcome,
    ActionRequestNormal,
    ActionResponseNormal,
    ActionResult,
    Apdu,
    Attribute,
    Conformance,
    DataAccessResult,
    ExceptionResponse,
    GeneralBlockTransfer,
    InitiateRequest,
    Method,
    ServiceError,
    SetRequestNormal,
    StateError,
)
from amity.protocols.dlms.block_stream import MESSAGE_OCTETS_MAX
from amity.protocols.dlms.ciphered import GENERAL_PROTECTION_TAGS
from amity.protocols.dlms.ciphering import COUNTER_MAX
from amity.protocols.dlms.data import Data, octet_string
from amity.protocols.dlms.general_protection import UNKNOWN_KEYS
from amity.protocols.dlms.selective_access import Access

_GENERAL_PROTECTION = frozenset(bytes([tag]) for tag in GENERAL_PROTECTION_TAGS)
_BY_ALL = frozenset({CLOCK.class_id, SPECIAL_DAYS_TABLE.class_id, ACTIVITY_CALENDAR.class_id})
"""Classes that what all are told at once may change: the time, and the tariffs of the time."""


class State(Enum):
    """Where an association stands; PROVING waits for the client's half of the HLS exchange."""

    IDLE = auto()
    PROVING = auto()
    OPEN = auto()


class Meter(Protocol):
    """What an association needs of the meter it belongs to."""

    @property
    def settings(self) -> MeterSettings:
        """Who the meter is and who may read what."""
        ...

    @property
    def judge(self) -> Judge:
        """Who decides whether a client comes in."""
        ...

    def take(self, association: "MeterAssociation", now: datetime) -> bool:
        """Lend the meter to an association; False while another one holds it."""
        ...

    def let_go(self, association: "MeterAssociation") -> None:
        """Take the meter back."""
        ...

    def read(self, access: ClientAccess, attribute: Attribute, selected: Access | None, now: datetime) -> Answer:
        """An attribute as a client may see it."""
        ...

    def write(
        self, access: ClientAccess, attribute: Attribute, selected: Access | None, value: Data, now: datetime
    ) -> DataAccessResult:
        """Give an attribute a value, as far as a client may."""
        ...

    def act(self, access: ClientAccess, method: Method, parameters: Data | None, now: datetime) -> ActionOutcome:
        """Call a method, as far as a client may."""
        ...

    def objects_for(self, access: ClientAccess) -> Iterable[CosemObject]:
        """The objects that a client may see."""
        ...

    def access_of(self, client: int) -> ClientAccess | None:
        """What a client may do now, with the keys that are valid now; None for one the meter does not know."""
        ...

    def received(self, client: int) -> Received:
        """The highest counters that a client has used, to be written on as its messages come."""
        ...


class MeterAssociation:
    """Receives the APDUs of one connection from one client and answers them; the meter lends it its objects."""

    __slots__ = ("_blocks", "_meter", "_object", "_opened", "_services", "client", "heard_at", "state")

    def __init__(self, meter: Meter, client: int) -> None:
        self.client = client
        self.state = State.IDLE
        self.heard_at: datetime | None = None
        self._meter = meter
        self._opened: Opened | None = None
        self._object: AttributeObject | None = None
        self._services: Services | None = None
        self._blocks: GeneralBlocks | None = None

    @property
    def peer(self) -> Client:
        """Who has opened this association; empty where nobody has, or where no system titles take part."""
        return (
            Client(b"", UNKNOWN_KEYS)
            if self._opened is None
            else Client(self._opened.client_title, self._opened.client_keys)
        )

    @property
    def begun(self) -> bool:
        """True from an accepted AARQ on until the release: there is something to remember."""
        return self.state is not State.IDLE

    def receive(self, octets: bytes, now: datetime) -> bytes | None:
        """Answer one APDU; None where the meter stays silent. No octets make this raise.

        After it, `following` gives what goes out besides: the rest of a stream of blocks.
        """
        self.heard_at = now
        tag = octets[0] if octets else None
        try:
            if tag == Aarq.TAG:
                return self._associate(octets, now)
            if tag == Rlrq.TAG:
                return self._release(octets)
            if tag == GeneralBlockTransfer.TAG:
                return self._serve_block(octets, now)
            return self._serve_whole(octets, now)
        except RemoteProtocolError:
            return _exception(StateError.SERVICE_UNKNOWN, ServiceError.OTHER_REASON)

    def following(self) -> bytes | None:
        """The next APDU that goes out without being asked for; None when the client is to speak."""
        return None if self._blocks is None else self._blocks.next()

    def close(self) -> None:
        """The connection is gone, or the client has released: the meter is free for the next."""
        self.state = State.IDLE
        self._opened = self._object = self._services = self._blocks = None
        self._meter.let_go(self)

    # -------------------------------------------------------------- opening and releasing
    def _associate(self, octets: bytes, now: datetime) -> bytes:
        access = self._meter.access_of(self.client)
        if access is None:
            return _unknown_client()
        try:
            return self._begin(self._judged(acse.decode(octets), access, now))
        except RejectedError as error:
            refusal = error.aare.encode()
        except ReplayError as error:
            refusal = _counter_error(error)
        if self._opened is None:
            self._meter.let_go(self)
        return refusal

    def _judged(self, aarq: acse.AcseApdu, access: ClientAccess, now: datetime) -> Opened:
        if not isinstance(aarq, Aarq):
            raise RejectedError(access, SourceDiagnostic.NO_REASON_GIVEN)
        if not self._meter.take(self, now):
            raise RejectedError(access, SourceDiagnostic.NO_REASON_GIVEN, result=AssociationResult.REJECTED_TRANSIENT)
        return self._meter.judge.open(aarq, access, self._meter.received(self.client))

    def _begin(self, opened: Opened) -> bytes:
        meter = self._meter
        self._opened = opened
        self._services = Services(
            self,
            _served(opened),
            ciphered=opened.security is not None,
            answers_unconfirmed=meter.settings.answers_unconfirmed,
        )
        in_blocks = bool(opened.conformance & Conformance.GENERAL_BLOCK_TRANSFER)
        self._blocks = GeneralBlocks(opened.max_pdu_octets, meter.settings.block_window) if in_blocks else None
        self._object = association_object(meter.settings, opened, lambda: meter.objects_for(opened.access))
        self.state = State.PROVING if opened.our_challenge else State.OPEN
        return meter.judge.aare(opened)

    def _release(self, octets: bytes) -> bytes | None:
        if not self._meter.settings.answers_release:
            return None
        if not self._may_release(acse.decode(octets)):
            return Rlre(ReleaseReason.URGENT_OR_NOT_FINISHED).encode()
        self.close()
        return Rlre().encode()

    def _may_release(self, request: acse.AcseApdu) -> bool:
        """Who releases a ciphered association shows in an InitiateRequest that he has the keys: else anybody could."""
        security = None if self._opened is None else self._opened.security
        if security is None:
            return True
        try:
            plain = security.open_initiate(request.user_information or b"") if isinstance(request, Rlrq) else b""
        except (SecurityError, RemoteProtocolError):
            return False
        return plain[:1] == bytes([InitiateRequest.TAG])

    # -------------------------------------------------------------- services
    def _serve_whole(self, octets: bytes, now: datetime) -> bytes | None:
        """A request in one APDU; its answer goes in general blocks only where it could not go otherwise."""
        opened = self._opened
        if opened is None:
            return _unless_for_all(octets, ServiceError.OPERATION_NOT_POSSIBLE)
        if len(octets) > self._meter.settings.max_pdu_octets:
            return _unless_for_all(octets, ServiceError.PDU_TOO_LONG)
        answer = self._serve(octets, opened, now, opened.max_pdu_octets)
        if answer is None or len(answer) <= opened.max_pdu_octets:
            return answer
        if self._blocks is None:
            return _exception(StateError.SERVICE_NOT_ALLOWED, ServiceError.PDU_TOO_LONG)
        self._blocks.forget()
        return self._in_blocks(answer, self._blocks)

    def _serve_block(self, octets: bytes, now: datetime) -> bytes | None:
        blocks, opened = self._blocks, self._opened
        if opened is None:
            return _exception(StateError.SERVICE_NOT_ALLOWED, ServiceError.OPERATION_NOT_POSSIBLE)
        if blocks is None:
            return _unsupported()
        request = blocks.take(octets)
        answer = None if request is None else self._serve(request, opened, now, MESSAGE_OCTETS_MAX)
        if self._opened is None:  # the client has been sent away
            return answer
        return blocks.next() if answer is None else self._in_blocks(answer, blocks)

    @staticmethod
    def _in_blocks(answer: bytes, blocks: GeneralBlocks) -> bytes | None:
        try:
            blocks.give(answer)
        except LocalProtocolError:
            return _exception(StateError.SERVICE_NOT_ALLOWED, ServiceError.PDU_TOO_LONG)
        return blocks.next()

    def _serve(self, octets: bytes, opened: Opened, now: datetime, limit_octets: int) -> bytes | None:
        security = opened.security
        if security is None:
            return self._answer(apdu.decode(octets), opened, now, limit_octets)
        if octets[:1] in _GENERAL_PROTECTION and not opened.conformance & Conformance.GENERAL_PROTECTION:
            return None if is_broadcast(octets) else _unsupported()
        try:
            plain = security.open(octets)
        except SecurityError as error:
            return None if is_broadcast(octets) else _disbelieved(error)
        if security.came_to_all:
            self._obey(plain, opened, now)
            return None
        room_octets = max(limit_octets - security.overhead_octets, 1)
        answer = self._answer_or_exception(plain, opened, now, room_octets)
        if answer is not None and answer[0] != ExceptionResponse.TAG:  # that one has no glo-* tag
            answer = security.seal(answer)
        self._follow(opened)
        return answer

    def _obey(self, plain: bytes, opened: Opened, now: datetime) -> None:
        """What everybody is told at once: time and tariffs, where a management client may; answered by nobody.

        Every meter of the field holds the broadcast key, so it changes nothing else.
        """
        request = apdu.decode(plain)
        match request:
            case ActionRequestNormal(method=Method(class_id=class_id)):
                pass
            case SetRequestNormal(attribute=Attribute(class_id=class_id)):
                pass
            case _:
                return
        obeyed = self.state is State.OPEN and opened.access.role is Role.MANAGEMENT and class_id in _BY_ALL
        if obeyed and self._services is not None:
            self._services.answer(request, now, MESSAGE_OCTETS_MAX)

    def _follow(self, opened: Opened) -> None:
        """Keys and policy that this request changed hold from the next one on; its answer still went by the old."""
        access, security = self._meter.access_of(self.client), opened.security
        if access is None or access is opened.access or security is None or access.protector is None:
            return
        security.rekey(access.protector)
        access.rule(security)
        self._opened = opened._replace(access=access) if self._opened is opened else self._opened

    def _answer_or_exception(self, plain: bytes, opened: Opened, now: datetime, room_octets: int) -> bytes | None:
        try:
            return self._answer(apdu.decode(plain), opened, now, room_octets)
        except RemoteProtocolError:
            return _exception(StateError.SERVICE_UNKNOWN, ServiceError.OTHER_REASON)

    def _answer(self, request: Apdu, opened: Opened, now: datetime, room_octets: int) -> bytes | None:
        if self.state is State.PROVING or self._services is None:
            return self._prove(request, opened)
        return self._services.answer(request, now, room_octets)

    def _prove(self, request: Apdu, opened: Opened) -> bytes:
        """Passes 3 and 4 of HLS: check the client's answer to our challenge, then answer the client's."""
        if not isinstance(request, ActionRequestNormal) or request.method != REPLY_TO_HLS:
            return _exception(StateError.SERVICE_NOT_ALLOWED, ServiceError.OPERATION_NOT_POSSIBLE)
        invoke = request.invoke_id_and_priority
        proof = answer_to_proof(request.parameters, opened, self._meter.judge)
        if proof is None:
            self.close()
            return ActionResponseNormal(invoke, ActionResult.OTHER_REASON).encode()
        self.state = State.OPEN
        return ActionResponseNormal(invoke, ActionResult.SUCCESS, octet_string(proof)).encode()

    # -------------------------------------------------------------- the objects as this client may use them
    def read(self, attribute: Attribute, access: Access | None, now: datetime) -> Answer:
        """The value of an attribute, or why it is not given."""
        opened = self._opened
        if opened is None or _unselectable(access, opened):
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        if attribute.obis == CURRENT_ASSOCIATION and self._object is not None:
            return attribute_of(self._object, attribute, access, now)
        return self._meter.read(opened.access, attribute, access, now)

    def write(self, attribute: Attribute, access: Access | None, value: Data, now: datetime) -> DataAccessResult:
        """Give an attribute a value, or say why not."""
        opened = self._opened
        if opened is None or _unselectable(access, opened):
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        if attribute.obis == CURRENT_ASSOCIATION:
            return DataAccessResult.READ_WRITE_DENIED
        return self._meter.write(opened.access, attribute, access, value, now)

    def act(self, method: Method, parameters: Data | None, now: datetime) -> ActionOutcome:
        """Call a method, or say why not."""
        opened = self._opened
        if opened is None or method.obis == CURRENT_ASSOCIATION:
            return ActionOutcome(ActionResult.READ_WRITE_DENIED)
        return self._meter.act(opened.access, method, parameters, now)


def _disbelieved(error: SecurityError) -> bytes:
    if isinstance(error, ReplayError):
        return _counter_error(error)
    downgraded = isinstance(error, DowngradeError)
    reason = ServiceError.OTHER_REASON if downgraded else ServiceError.DECIPHERING_ERROR
    return _exception(StateError.SERVICE_NOT_ALLOWED, reason)


def _served(opened: Opened) -> Conformance:
    """What was granted; whoever proved himself by a broken digest may read, and nothing else."""
    changing = Conformance.SET | Conformance.ACTION | Conformance.ACCESS
    return opened.conformance & ~changing if opened.access.authentication.broken else opened.conformance


def _unselectable(access: Access | None, opened: Opened) -> bool:
    return access is not None and not opened.conformance & Conformance.SELECTIVE_ACCESS


def _counter_error(error: ReplayError) -> bytes:
    return ExceptionResponse(
        StateError.SERVICE_NOT_ALLOWED, ServiceError.INVOCATION_COUNTER_ERROR, min(error.expected, COUNTER_MAX)
    ).encode()


def _unless_for_all(octets: bytes, reason: ServiceError) -> bytes | None:
    return None if is_broadcast(octets) else _exception(StateError.SERVICE_NOT_ALLOWED, reason)


def _exception(state: StateError, service: ServiceError) -> bytes:
    return ExceptionResponse(state, service).encode()


def _unsupported() -> bytes:
    return _exception(StateError.SERVICE_NOT_ALLOWED, ServiceError.SERVICE_NOT_SUPPORTED)


def _unknown_client() -> bytes:
    return acse.Aare(AssociationResult.REJECTED_PERMANENT, SourceDiagnostic.NO_REASON_GIVEN, None).encode()
