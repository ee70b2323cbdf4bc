"""The meter's GET service: normal, with-list, and blocks cut to the negotiated size (IEC 62056-5-3, 6.6)."""

from collections.abc import Callable
from datetime import datetime

from amity.devices.objects import Answer
from amity.devices.server.long_transfers import LISTED_OCTETS_MAX, LongAnswer
from amity.protocols.dlms import fields
from amity.protocols.dlms.apdu import (
    Attribute,
    Conformance,
    DataAccessResult,
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithBlock,
    GetResponseWithList,
)
from amity.protocols.dlms.data import encode, encode_length
from amity.protocols.dlms.get_service import GetRequest
from amity.protocols.dlms.selective_access import Access

Read = Callable[[Attribute, Access | None, datetime], Answer]

_BLOCK_HEAD_OCTETS = 9  # tag, choice, invoke id, last block, number (4), result choice
_LIST_CHOICE = 3


class GetService:
    """Answers GET requests of one association; holds at most one long answer."""

    __slots__ = ("_blocks_granted", "_long", "_read")

    def __init__(self, read: Read, conformance: Conformance) -> None:
        self._read = read
        self._blocks_granted = bool(conformance & Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ)
        self._long: LongAnswer | None = None

    def answer(self, request: GetRequest, now: datetime, room_octets: int) -> bytes:
        """The plain response, in blocks where it is longer than `room_octets` and blocks were granted."""
        if isinstance(request, GetRequestNext):
            return self._next(request)
        self._long = None  # a new request gives up what was left of the one before
        if isinstance(request, GetRequestNormal):
            return self._normal(request, now, room_octets)
        return self._with_list(request, now, room_octets)

    def _normal(self, request: GetRequestNormal, now: datetime, room_octets: int) -> bytes:
        invoke = request.invoke_id_and_priority
        answer = self._read(request.attribute, request.access, now)
        if isinstance(answer, DataAccessResult):
            return GetResponseNormal(invoke, answer).encode()
        octets = answer if isinstance(answer, bytes) else encode(answer)
        return self._sized(GetResponseNormal(invoke, octets).encode(), octets, invoke, room_octets)

    def _with_list(self, request: GetRequestWithList, now: datetime, room_octets: int) -> bytes:
        invoke = request.invoke_id_and_priority
        listed = bytearray(encode_length(len(request.attributes)))
        for attribute, access in request.attributes:
            room_left = len(listed) < LISTED_OCTETS_MAX
            answer = self._read(attribute, access, now) if room_left else DataAccessResult.OTHER_REASON
            listed += fields.data_result(answer)
        response = fields.head(GetResponseWithList.TAG, _LIST_CHOICE, invoke) + listed
        return self._sized(response, bytes(listed), invoke, room_octets)

    def _sized(self, response: bytes, octets: bytes, invoke: int, room_octets: int) -> bytes:
        if len(response) <= room_octets or not self._blocks_granted:
            return response
        self._long = LongAnswer(octets, invoke, room_octets, _BLOCK_HEAD_OCTETS)
        return self._block(self._long, invoke)

    def _next(self, request: GetRequestNext) -> bytes:
        invoke = request.invoke_id_and_priority
        if self._long is None:
            return self._abort(request, DataAccessResult.NO_LONG_GET_IN_PROGRESS)
        if not self._long.expects(request.block_number, invoke):
            return self._abort(request, DataAccessResult.DATA_BLOCK_NUMBER_INVALID)
        return self._block(self._long, invoke)

    def _block(self, answer: LongAnswer, invoke: int) -> bytes:
        block = answer.next_block()
        if block.last_block:
            self._long = None
        return GetResponseWithBlock(invoke, block.last_block, block.block_number, block.raw).encode()

    def _abort(self, request: GetRequestNext, reason: DataAccessResult) -> bytes:
        self._long = None
        return GetResponseWithBlock(request.invoke_id_and_priority, True, request.block_number, reason).encode()
