"""The meter's GET service: normal, with-list, and blocks cut to the negotiated size (IEC 62056-5-3, 6.6)."""

from collections.abc import Callable
from datetime import datetime

from amity.devices.objects import Answer
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
from amity.protocols.dlms.selective_access import Access

Read = Callable[[Attribute, Access | None, datetime], Answer]
GetRequest = GetRequestNormal | GetRequestNext | GetRequestWithList

_NORMAL_HEAD_OCTETS = 4  # tag, choice, invoke id, result choice
_BLOCK_HEAD_OCTETS = 12  # tag, choice, invoke id, last block, number (4), result choice, length (3)
_LIST_CHOICE = 3


class GetService:
    """Answers GET requests of one association; holds at most one long answer.

    `room_octets` is the longest plain response that fits what the client takes.
    """

    __slots__ = ("_blocks_granted", "_invoke", "_long", "_next_block", "_position", "_read", "_room_octets")

    def __init__(self, read: Read, conformance: Conformance, room_octets: int) -> None:
        self._read = read
        self._blocks_granted = bool(conformance & Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ)
        self._room_octets = room_octets
        self._long: bytes | None = None
        self._position = 0
        self._next_block = 0
        self._invoke = 0

    def answer(self, request: GetRequest, now: datetime) -> bytes:
        """The plain response APDU."""
        if isinstance(request, GetRequestNext):
            return self._next(request)
        self._long = None  # a new request gives up what was left of the one before
        if isinstance(request, GetRequestNormal):
            return self._normal(request, now)
        return self._with_list(request, now)

    def _normal(self, request: GetRequestNormal, now: datetime) -> bytes:
        invoke = request.invoke_id_and_priority
        answer = self._read(request.attribute, request.access, now)
        if isinstance(answer, DataAccessResult):
            return GetResponseNormal(invoke, answer).encode()
        octets = answer if isinstance(answer, bytes) else encode(answer)
        if _NORMAL_HEAD_OCTETS + len(octets) <= self._room_octets:
            return GetResponseNormal(invoke, octets).encode()
        if not self._blocks_granted:
            return GetResponseNormal(invoke, DataAccessResult.OTHER_REASON).encode()
        return self._begin(invoke, octets)

    def _with_list(self, request: GetRequestWithList, now: datetime) -> bytes:
        invoke = request.invoke_id_and_priority
        results = [fields.data_result(self._read(attribute, access, now)) for attribute, access in request.attributes]
        listed = encode_length(len(results)) + b"".join(results)
        response = fields.head(GetResponseWithList.TAG, _LIST_CHOICE, invoke) + listed
        if len(response) <= self._room_octets or not self._blocks_granted:
            return response
        return self._begin(invoke, listed)

    def _begin(self, invoke: int, octets: bytes) -> bytes:
        self._long, self._position, self._next_block, self._invoke = octets, 0, 1, invoke
        return self._block(invoke)

    def _next(self, request: GetRequestNext) -> bytes:
        invoke = request.invoke_id_and_priority
        if self._long is None:
            return self._abort(request, DataAccessResult.NO_LONG_GET_IN_PROGRESS)
        if request.block_number != self._next_block - 1 or invoke != self._invoke:
            return self._abort(request, DataAccessResult.DATA_BLOCK_NUMBER_INVALID)
        return self._block(invoke)

    def _block(self, invoke: int) -> bytes:
        octets = self._long or b""
        end = self._position + self._room_octets - _BLOCK_HEAD_OCTETS
        last = end >= len(octets)
        block = GetResponseWithBlock(invoke, last, self._next_block, octets[self._position : end])
        self._position, self._next_block = end, self._next_block + 1
        if last:
            self._long = None
        return block.encode()

    def _abort(self, request: GetRequestNext, reason: DataAccessResult) -> bytes:
        self._long = None
        return GetResponseWithBlock(request.invoke_id_and_priority, True, request.block_number, reason).encode()
