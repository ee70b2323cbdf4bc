"""One client's association as the meter sees it: a state machine over APDUs (IEC 62056-5-3, 6.2).

state      AARQ                       reply_to_HLS          GET, SET, ACTION        RLRQ
IDLE       PROVING, OPEN or IDLE      exception             exception               IDLE
PROVING    as in IDLE                 OPEN, IDLE if wrong   exception               IDLE
OPEN       as in IDLE                 read-write-denied     answer                  IDLE

Below the policy, replayed or undecipherable requests are answered with an exception in every state and change none.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from amity.devices.interface_classes import CURRENT_ASSOCIATION, REPLY_TO_HLS
from amity.devices.message_security import DowngradeError, MessageSecurity, ReplayError
from amity.devices.objects import Answer, AttributeObject, CosemObject, attribute_of
from amity.devices.server.get_service import GetService
from amity.devices.server.opening import Judge, Opened, RejectedError
from amity.devices.server.own_objects import association_object
from amity.devices.server.settings import ClientAccess, MeterSettings
from amity.kernel.errors import RemoteProtocolError, SecurityError
from amity.protocols.dlms import acse, apdu
from amity.protocols.dlms.acse import Aarq, AssociationResult, Rlre, Rlrq, SourceDiagnostic
from amity.protocols.dlms.apdu import (
    ActionRequestNormal,
    ActionResponseNormal,
    ActionResult,
    Apdu,
    Attribute,
    DataAccessResult,
    ExceptionResponse,
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    ServiceError,
    SetRequestNormal,
    SetResponseNormal,
    StateError,
)
from amity.protocols.dlms.ciphering import (
    COUNTER_MAX,
    Protector,
    SecurityControl,
    hls_gmac_response,
    verify_hls_gmac_response,
)
from amity.protocols.dlms.data import octet_string
from amity.protocols.dlms.selective_access import Access

_SEALING_OCTETS = 30  # general-glo: tag, title (9), length (3), security header (5), authentication tag (12)


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

    def objects_for(self, access: ClientAccess) -> Iterable[CosemObject]:
        """The objects that a client may see."""
        ...

    def received_counter(self, client: int) -> int:
        """The highest invocation counter a client has used, -1 before the first."""
        ...

    def note_counter(self, client: int, counter: int) -> None:
        """Remember the highest counter of a client."""
        ...


class MeterAssociation:
    """Receives the APDUs of one connection from one client and answers them; the meter lends it its objects."""

    __slots__ = ("_gets", "_meter", "_object", "_opened", "client", "heard_at", "state")

    def __init__(self, meter: Meter, client: int) -> None:
        self.client = client
        self.state = State.IDLE
        self.heard_at: datetime | None = None
        self._meter = meter
        self._opened: Opened | None = None
        self._object: AttributeObject | None = None
        self._gets: GetService | None = None

    def receive(self, octets: bytes, now: datetime) -> bytes | None:
        """Answer one APDU; None where the meter stays silent. No octets make this raise."""
        self.heard_at = now
        tag = octets[0] if octets else None
        try:
            if tag == Aarq.TAG:
                return self._associate(octets, now)
            if tag == Rlrq.TAG:
                return self._release(octets)
            return self._serve(octets, now)
        except RemoteProtocolError:
            return _exception(StateError.SERVICE_UNKNOWN, ServiceError.OTHER_REASON)

    def close(self) -> None:
        """The connection is gone, or the client has released: the meter is free for the next."""
        self.state = State.IDLE
        self._opened = self._object = self._gets = None
        self._meter.let_go(self)

    # -------------------------------------------------------------- opening and releasing
    def _associate(self, octets: bytes, now: datetime) -> bytes:
        access = self._meter.settings.access_of(self.client)
        if access is None:
            return _unknown_client()
        self.close()
        try:
            return self._begin(self._judged(acse.decode(octets), access, now))
        except RejectedError as error:
            self.close()
            return error.aare.encode()
        except ReplayError:
            self.close()
            return self._counter_error()

    def _judged(self, aarq: acse.AcseApdu, access: ClientAccess, now: datetime) -> Opened:
        if not isinstance(aarq, Aarq):
            raise RejectedError(access, SourceDiagnostic.NO_REASON_GIVEN)
        if not self._meter.take(self, now):
            raise RejectedError(access, SourceDiagnostic.NO_REASON_GIVEN, result=AssociationResult.REJECTED_TRANSIENT)
        return self._meter.judge.open(aarq, access, self._meter.received_counter(self.client))

    def _begin(self, opened: Opened) -> bytes:
        meter = self._meter
        self._opened = opened
        self._note_counter(opened.security)
        sealing = 0 if opened.security is None else _SEALING_OCTETS
        self._gets = GetService(self._read, opened.conformance, opened.max_pdu_octets - sealing)
        self._object = association_object(meter.settings, opened, meter.objects_for(opened.access))
        self.state = State.PROVING if opened.our_challenge else State.OPEN
        return meter.judge.aare(opened)

    def _release(self, octets: bytes) -> bytes | None:
        if not self._meter.settings.answers_release:
            return None
        acse.decode(octets)
        self.close()
        return Rlre().encode()

    # -------------------------------------------------------------- services
    def _serve(self, octets: bytes, now: datetime) -> bytes:
        opened = self._opened
        if opened is None:
            return _exception(StateError.SERVICE_NOT_ALLOWED, ServiceError.OPERATION_NOT_POSSIBLE)
        security = opened.security
        if security is None:
            return self._answer(apdu.decode(octets), opened, now)
        try:
            plain = security.open(octets)
        except ReplayError:
            return self._counter_error()
        except DowngradeError:
            return _exception(StateError.SERVICE_NOT_ALLOWED, ServiceError.OTHER_REASON)
        except SecurityError:
            return _exception(StateError.SERVICE_NOT_ALLOWED, ServiceError.DECIPHERING_ERROR)
        self._note_counter(security)
        answer = self._answer_or_exception(plain, opened, now)
        return answer if answer[0] == ExceptionResponse.TAG else security.seal(answer)  # it has no glo-* tag

    def _answer_or_exception(self, plain: bytes, opened: Opened, now: datetime) -> bytes:
        try:
            return self._answer(apdu.decode(plain), opened, now)
        except RemoteProtocolError:
            return _exception(StateError.SERVICE_UNKNOWN, ServiceError.OTHER_REASON)

    def _answer(self, request: Apdu, opened: Opened, now: datetime) -> bytes:
        if self.state is State.PROVING:
            return self._prove(request, opened)
        if self._gets is not None and isinstance(request, GetRequestNormal | GetRequestNext | GetRequestWithList):
            return self._gets.answer(request, now)
        if isinstance(request, ActionRequestNormal):
            return ActionResponseNormal(request.invoke_id_and_priority, ActionResult.READ_WRITE_DENIED).encode()
        if isinstance(request, SetRequestNormal):
            return SetResponseNormal(request.invoke_id_and_priority, DataAccessResult.READ_WRITE_DENIED).encode()
        return _exception(StateError.SERVICE_NOT_ALLOWED, ServiceError.SERVICE_NOT_SUPPORTED)

    def _prove(self, request: Apdu, opened: Opened) -> bytes:
        """Passes 3 and 4 of HLS: check the client's answer to our challenge, then answer the client's."""
        if not isinstance(request, ActionRequestNormal) or request.method != REPLY_TO_HLS:
            return _exception(StateError.SERVICE_NOT_ALLOWED, ServiceError.OPERATION_NOT_POSSIBLE)
        invoke, protector = request.invoke_id_and_priority, opened.access.protector
        if protector is None or not _proves(request, protector, opened):
            self.close()
            return ActionResponseNormal(invoke, ActionResult.OTHER_REASON).encode()
        self.state = State.OPEN
        proof = hls_gmac_response(
            protector,
            SecurityControl.AUTHENTICATED,
            self._meter.settings.system_title,
            self._meter.judge.next_counter(),
            opened.their_challenge,
        )
        return ActionResponseNormal(invoke, ActionResult.SUCCESS, octet_string(proof)).encode()

    def _read(self, attribute: Attribute, access: Access | None, now: datetime) -> Answer:
        opened = self._opened
        if opened is None:
            return DataAccessResult.OTHER_REASON
        if access is not None and not opened.conformance & apdu.Conformance.SELECTIVE_ACCESS:
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        if attribute.obis == CURRENT_ASSOCIATION and self._object is not None:
            return attribute_of(self._object, attribute, access, now)
        return self._meter.read(opened.access, attribute, access, now)

    def _note_counter(self, security: MessageSecurity | None) -> None:
        if security is not None:
            self._meter.note_counter(self.client, security.last_received)

    def _counter_error(self) -> bytes:
        expected = min(self._meter.received_counter(self.client) + 1, COUNTER_MAX)
        return ExceptionResponse(
            StateError.SERVICE_NOT_ALLOWED, ServiceError.INVOCATION_COUNTER_ERROR, expected
        ).encode()


def _proves(request: ActionRequestNormal, protector: Protector, opened: Opened) -> bool:
    parameters = request.parameters
    reply = parameters.value if parameters is not None and isinstance(parameters.value, bytes) else b""
    try:
        verify_hls_gmac_response(protector, opened.client_title, opened.our_challenge, reply)
    except SecurityError:
        return False
    return True


def _exception(state: StateError, service: ServiceError) -> bytes:
    return ExceptionResponse(state, service).encode()


def _unknown_client() -> bytes:
    return acse.Aare(AssociationResult.REJECTED_PERMANENT, SourceDiagnostic.NO_REASON_GIVEN, None).encode()
