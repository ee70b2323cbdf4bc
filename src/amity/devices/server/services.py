"""The services of one open association: what was not granted is refused, everything else is answered."""

from datetime import datetime
from typing import Protocol

from amity.devices import granted
from amity.devices.objects import Answer
from amity.devices.server.access_service import AccessService
from amity.devices.server.action_service import ActionService
from amity.devices.server.get_service import GetService
from amity.devices.server.set_service import SetService
from amity.protocols.dlms.action_service import ActionRequest
from amity.protocols.dlms.apdu import (
    AccessRequest,
    ActionOutcome,
    ActionRequestNormal,
    ActionRequestWithList,
    Apdu,
    Attribute,
    Conformance,
    DataAccessResult,
    ExceptionResponse,
    Method,
    ServiceError,
    SetRequestNormal,
    SetRequestWithList,
    StateError,
)
from amity.protocols.dlms.data import Data
from amity.protocols.dlms.fields import CONFIRMED_SERVICE
from amity.protocols.dlms.get_service import GetRequest
from amity.protocols.dlms.selective_access import Access
from amity.protocols.dlms.set_service import SetRequest


class Objects(Protocol):
    """The meter's objects as the client of this association may use them; no call raises."""

    def read(self, attribute: Attribute, access: Access | None, now: datetime) -> Answer:
        """The value of an attribute, or why it is not given."""
        ...

    def write(self, attribute: Attribute, access: Access | None, value: Data, now: datetime) -> DataAccessResult:
        """Give an attribute a value, or say why not."""
        ...

    def act(self, method: Method, parameters: Data | None, now: datetime) -> ActionOutcome:
        """Call a method, or say why not."""
        ...


class Services:
    """Answers the service requests of one association with plain responses."""

    __slots__ = ("_access", "_actions", "_answers_unconfirmed", "_ciphered", "_conformance", "_gets", "_sets")

    def __init__(
        self, objects: Objects, conformance: Conformance, *, ciphered: bool = False, answers_unconfirmed: bool = True
    ) -> None:
        self._conformance = conformance
        self._ciphered = ciphered
        self._answers_unconfirmed = answers_unconfirmed
        self._gets = GetService(objects.read, conformance)
        self._sets = SetService(objects.write)
        self._actions = ActionService(objects.act, conformance)
        self._access = AccessService(objects.read, objects.write, objects.act)

    def answer(self, request: Apdu, now: datetime, room_octets: int) -> bytes | None:
        """The plain response; it may be longer than `room_octets` where no service-specific blocks were granted.

        None where the client wants no answer. A SET or ACTION in one APDU without the bit for "confirmed" is done in
        silence, unless this meter answers all the same; a GET, and what goes in blocks, always has an answer.
        """
        needed = granted.needs(request, ciphered=self._ciphered)
        if not needed or needed & ~self._conformance:
            return ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.SERVICE_NOT_SUPPORTED).encode()
        if isinstance(request, GetRequest):
            return self._gets.answer(request, now, room_octets)
        if isinstance(request, SetRequest):
            return self._wanted(request, self._sets.answer(request, now).encode())
        if isinstance(request, ActionRequest):
            return self._wanted(request, self._actions.answer(request, now, room_octets))
        response = self._access.answer(request, now) if isinstance(request, AccessRequest) else None
        return None if response is None else response.encode()

    def _wanted(self, request: SetRequest | ActionRequest, answer: bytes) -> bytes | None:
        unconfirmed = isinstance(request, _IN_ONE_APDU) and not request.invoke_id_and_priority & CONFIRMED_SERVICE
        return None if unconfirmed and not self._answers_unconfirmed else answer


_IN_ONE_APDU = SetRequestNormal | SetRequestWithList | ActionRequestNormal | ActionRequestWithList
