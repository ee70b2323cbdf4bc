"""The meter's ACTION service: normal, with-list, in blocks both ways (IEC 62056-5-3, 6.8 and 9.4.6.8)."""

from collections.abc import Callable
from datetime import datetime

from amity.devices.server.long_transfers import LongAnswer, LongRequest
from amity.protocols.dlms.action_service import ActionRequest, outcome_octets, outcomes_octets
from amity.protocols.dlms.apdu import (
    ActionOutcome,
    ActionRequestNextPBlock,
    ActionRequestNormal,
    ActionRequestWithFirstPBlock,
    ActionRequestWithList,
    ActionRequestWithPBlock,
    ActionResponseNextPBlock,
    ActionResponseNormal,
    ActionResponseWithList,
    ActionResponseWithPBlock,
    ActionResult,
    Conformance,
    DataBlock,
    Method,
)
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.data import Data, DecodeError, Tag, decode_all
from amity.protocols.dlms.fields import read_data_list

Act = Callable[[Method, Data | None, datetime], ActionOutcome]
_Targets = Method | tuple[Method, ...]
_BLOCK_HEAD_OCTETS = 8  # tag, choice, invoke id, last block, number (4)


class ActionService:
    """Answers ACTION requests of one association; holds at most one long request and one long answer."""

    __slots__ = ("_act", "_blocks_granted", "_long_answer", "_long_request")

    def __init__(self, act: Act, conformance: Conformance) -> None:
        self._act = act
        self._blocks_granted = bool(conformance & Conformance.BLOCK_TRANSFER_WITH_ACTION)
        self._long_request: LongRequest[_Targets] | None = None
        self._long_answer: LongAnswer | None = None

    def answer(self, request: ActionRequest, now: datetime, room_octets: int) -> bytes:
        """The plain response, in blocks where it is longer than `room_octets` and blocks were granted."""
        invoke = request.invoke_id_and_priority
        if isinstance(request, ActionRequestNextPBlock):
            return self._next(request)
        self._long_answer = None
        if isinstance(request, ActionRequestWithPBlock):
            return self._go_on(request.block, invoke, now, room_octets)
        self._long_request = None  # a new request gives up what was begun before
        if isinstance(request, ActionRequestNormal):
            return self._one(request.method, request.parameters, invoke, now, room_octets)
        if isinstance(request, ActionRequestWithList):
            return self._listed(request.methods, request.parameters, invoke, now, room_octets)
        if isinstance(request, ActionRequestWithFirstPBlock):
            self._long_request = LongRequest(request.method, invoke)
        else:
            self._long_request = LongRequest(request.methods, invoke)
        return self._go_on(request.block, invoke, now, room_octets)

    # -------------------------------------------------------------- calls
    def _one(self, method: Method, parameters: Data | None, invoke: int, now: datetime, room_octets: int) -> bytes:
        outcome = self._act(method, parameters, now)
        response = ActionResponseNormal(invoke, outcome.result, outcome.return_value).encode()
        return self._sized(response, outcome_octets(outcome), invoke, room_octets)

    def _listed(
        self, methods: tuple[Method, ...], parameters: tuple[Data, ...], invoke: int, now: datetime, room_octets: int
    ) -> bytes:
        if len(methods) != len(parameters):  # nobody can say which parameter was meant for which method
            outcomes: tuple[ActionOutcome, ...] = (ActionOutcome(ActionResult.OTHER_REASON),) * len(methods)
        else:
            outcomes = tuple(
                self._act(method, None if given.tag is Tag.NULL else given, now)
                for method, given in zip(methods, parameters, strict=True)
            )
        response = ActionResponseWithList(invoke, outcomes).encode()
        return self._sized(response, outcomes_octets(outcomes), invoke, room_octets)

    # -------------------------------------------------------------- parameters in blocks
    def _go_on(self, block: DataBlock, invoke: int, now: datetime, room_octets: int) -> bytes:
        long = self._long_request
        if long is None:
            return ActionResponseNormal(invoke, ActionResult.NO_LONG_ACTION_IN_PROGRESS).encode()
        if not long.add(block, invoke):
            self._long_request = None
            return ActionResponseNormal(invoke, ActionResult.LONG_ACTION_ABORTED).encode()
        if not block.last_block:
            return ActionResponseNextPBlock(invoke, block.block_number).encode()
        self._long_request = None
        try:
            if isinstance(long.target, Method):
                return self._one(long.target, decode_all(long.octets), invoke, now, room_octets)
            return self._listed(long.target, _data_list(long.octets), invoke, now, room_octets)
        except DecodeError:
            return ActionResponseNormal(invoke, ActionResult.TYPE_UNMATCHED).encode()

    # -------------------------------------------------------------- answers in blocks
    def _sized(self, response: bytes, octets: bytes, invoke: int, room_octets: int) -> bytes:
        if len(response) <= room_octets or not self._blocks_granted:
            return response
        self._long_answer = LongAnswer(octets, invoke, room_octets, _BLOCK_HEAD_OCTETS)
        return self._block(self._long_answer, invoke)

    def _next(self, request: ActionRequestNextPBlock) -> bytes:
        invoke, long = request.invoke_id_and_priority, self._long_answer
        if long is None:
            return ActionResponseNormal(invoke, ActionResult.NO_LONG_ACTION_IN_PROGRESS).encode()
        if not long.expects(request.block_number, invoke):
            self._long_answer = None
            return ActionResponseNormal(invoke, ActionResult.LONG_ACTION_ABORTED).encode()
        return self._block(long, invoke)

    def _block(self, answer: LongAnswer, invoke: int) -> bytes:
        block = answer.next_block()
        if block.last_block:
            self._long_answer = None
        return ActionResponseWithPBlock(invoke, block).encode()


def _data_list(octets: bytes) -> tuple[Data, ...]:
    cursor = Cursor(octets)
    values = read_data_list(cursor)
    cursor.finish()
    return values
