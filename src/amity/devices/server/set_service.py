"""The meter's SET service: normal, with-list, and in blocks (IEC 62056-5-3, 6.7 and 9.4.6.7).

An attribute takes a value as a whole or not at all, and in blocks only when the last one is there; of a list, some may
be written and others not.
"""

from collections.abc import Callable
from datetime import datetime

from amity.devices.server.long_transfers import LongRequest
from amity.protocols.dlms.apdu import (
    Attribute,
    DataAccessResult,
    DataBlock,
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
    SetResponseLastDataBlockWithList,
    SetResponseNormal,
    SetResponseWithList,
)
from amity.protocols.dlms.cursor import Cursor
from amity.protocols.dlms.data import Data, DecodeError, decode_all
from amity.protocols.dlms.fields import read_data_list
from amity.protocols.dlms.selective_access import Access
from amity.protocols.dlms.set_service import Selected, SetRequest, SetResponse

Write = Callable[[Attribute, Access | None, Data, datetime], DataAccessResult]
_Targets = Selected | tuple[Selected, ...]
Results = tuple[DataAccessResult, ...]


class SetService:
    """Answers SET requests of one association; holds at most one long request."""

    __slots__ = ("_long", "_write")

    def __init__(self, write: Write) -> None:
        self._write = write
        self._long: LongRequest[_Targets] | None = None

    def answer(self, request: SetRequest, now: datetime) -> SetResponse:
        """The plain response."""
        invoke = request.invoke_id_and_priority
        if isinstance(request, SetRequestWithDataBlock):
            return self._go_on(request.block, invoke, now)
        self._long = None  # a new request gives up what was begun before
        if isinstance(request, SetRequestNormal):
            return SetResponseNormal(invoke, self._write(request.attribute, request.access, request.value, now))
        if isinstance(request, SetRequestWithList):
            return SetResponseWithList(invoke, self._written(request.attributes, request.values, now))
        if isinstance(request, SetRequestWithFirstDataBlock):
            self._long = LongRequest((request.attribute, request.access), invoke)
        else:
            self._long = LongRequest(request.attributes, invoke)
        return self._go_on(request.block, invoke, now)

    def _go_on(self, block: DataBlock, invoke: int, now: datetime) -> SetResponse:
        long = self._long
        if long is None:
            reason = DataAccessResult.NO_LONG_SET_IN_PROGRESS
            return SetResponseLastDataBlock(invoke, reason, block.block_number)
        if not long.add(block, invoke):
            self._long = None
            reason = DataAccessResult.DATA_BLOCK_NUMBER_INVALID
            return SetResponseLastDataBlock(invoke, reason, block.block_number)
        if not block.last_block:
            return SetResponseDataBlock(invoke, block.block_number)
        self._long = None
        return self._finish(long, block.block_number, invoke, now)

    def _finish(self, long: LongRequest[_Targets], number: int, invoke: int, now: datetime) -> SetResponse:
        target = long.target
        if isinstance(target[0], Attribute):
            attribute, access = target
            return SetResponseLastDataBlock(invoke, self._one(attribute, access, long.octets, now), number)
        return SetResponseLastDataBlockWithList(invoke, self._listed(target, long.octets, now), number)

    def _one(self, attribute: Attribute, access: Access | None, octets: bytes, now: datetime) -> DataAccessResult:
        try:
            value = decode_all(octets)
        except DecodeError:
            return DataAccessResult.TYPE_UNMATCHED
        return self._write(attribute, access, value, now)

    def _listed(self, targets: tuple[Selected, ...], octets: bytes, now: datetime) -> Results:
        cursor = Cursor(octets)
        try:
            values = read_data_list(cursor)
            cursor.finish()
        except DecodeError:
            return (DataAccessResult.TYPE_UNMATCHED,) * len(targets)
        return self._written(targets, values, now)

    def _written(self, targets: tuple[Selected, ...], values: tuple[Data, ...], now: datetime) -> Results:
        if len(targets) != len(values):  # nobody can say which value was meant for which attribute
            return (DataAccessResult.OTHER_REASON,) * len(targets)
        return tuple(
            self._write(attribute, access, value, now)
            for (attribute, access), value in zip(targets, values, strict=True)
        )
