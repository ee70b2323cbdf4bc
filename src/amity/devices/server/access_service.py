"""The meter's ACCESS service: the parts of a request done in their order (IEC 62056-5-3, 6.9 and 9.3.10)."""

from collections.abc import Iterator
from datetime import datetime
from itertools import repeat

from amity.devices.objects import Answer
from amity.devices.server.action_service import Act
from amity.devices.server.get_service import Read
from amity.devices.server.long_transfers import LISTED_OCTETS_MAX
from amity.devices.server.set_service import Write
from amity.protocols.dlms.access_service import BREAK_ON_ERROR, CONFIRMED, SELF_DESCRIPTIVE
from amity.protocols.dlms.apdu import (
    AccessKind,
    AccessOutcome,
    AccessRequest,
    AccessResponse,
    AccessSpecification,
    ActionOutcome,
    ActionResult,
    DataAccessResult,
    Method,
)
from amity.protocols.dlms.data import Data, Tag, decode_all, encode
from amity.protocols.dlms.data_types import NULL_DATA

_Done = tuple[AccessOutcome, Data]


class AccessService:
    """Answers ACCESS requests of one association."""

    __slots__ = ("_act", "_read", "_write")

    def __init__(self, read: Read, write: Write, act: Act) -> None:
        self._read = read
        self._write = write
        self._act = act

    def answer(self, request: AccessRequest, now: datetime) -> AccessResponse | None:
        """The plain response; None where the client wants none."""
        invoke = request.long_invoke_id_and_priority
        done = tuple(self._done(request, now))
        if not invoke & CONFIRMED:
            return None
        return AccessResponse(
            invoke,
            b"",
            request.specifications if invoke & SELF_DESCRIPTIVE else None,
            tuple(data for _, data in done),
            tuple(outcome for outcome, _ in done),
        )

    def _done(self, request: AccessRequest, now: datetime) -> Iterator[_Done]:
        """Each part with its result; once a part has failed, the others are not done if the client wants it so.

        Neither are they once the answer is as long as an answer to a list may be.
        """
        stops = bool(request.long_invoke_id_and_priority & BREAK_ON_ERROR)
        paired = len(request.specifications) == len(request.data)  # else nobody can say which value is for what
        failed, listed_octets = not paired, 0
        for one, data in zip(request.specifications, request.data if paired else repeat(NULL_DATA), strict=False):
            outcome, returned = _not_done(one) if failed else self._one(one, data, now)
            listed_octets += len(encode(returned))
            failed = failed or (stops and outcome.result != 0) or listed_octets >= LISTED_OCTETS_MAX
            yield outcome, returned

    def _one(self, one: AccessSpecification, data: Data, now: datetime) -> _Done:
        if isinstance(one.target, Method):
            return _called(self._act(one.target, None if data.tag is Tag.NULL else data, now))
        if one.kind in {AccessKind.SET, AccessKind.SET_WITH_SELECTION}:
            return AccessOutcome(AccessKind.SET, self._write(one.target, one.access, data, now)), NULL_DATA
        return _read(self._read(one.target, one.access, now))


def _read(answer: Answer) -> _Done:
    if isinstance(answer, DataAccessResult):
        return AccessOutcome(AccessKind.GET, answer), NULL_DATA
    value = decode_all(answer) if isinstance(answer, bytes) else answer
    return AccessOutcome(AccessKind.GET, DataAccessResult.SUCCESS), value


def _called(outcome: ActionOutcome) -> _Done:
    returned = outcome.return_value if isinstance(outcome.return_value, Data) else NULL_DATA
    return AccessOutcome(AccessKind.ACTION, outcome.result), returned


def _not_done(one: AccessSpecification) -> _Done:
    if isinstance(one.target, Method):
        return AccessOutcome(AccessKind.ACTION, ActionResult.OTHER_REASON), NULL_DATA
    kind = AccessKind.SET if one.kind in {AccessKind.SET, AccessKind.SET_WITH_SELECTION} else AccessKind.GET
    return AccessOutcome(kind, DataAccessResult.OTHER_REASON), NULL_DATA
