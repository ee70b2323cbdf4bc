"""Joins the blocks of long messages: general block transfer, and GET answers in blocks (IEC 62056-5-3)."""

from collections.abc import Hashable, Iterator
from typing import NamedTuple

from amity.devices.telegram_security import SecurityReport
from amity.protocols.dlms import apdu
from amity.protocols.dlms.apdu import GeneralBlockTransfer, GetResponseNormal, GetResponseWithBlock, GetResponseWithList
from amity.protocols.dlms.data import DecodeError, decode_all

Block = GeneralBlockTransfer | GetResponseWithBlock
Way = Hashable  # from whom to whom, as the carrier tells it

_RESPONSE_WITH_LIST = 3


class HeldBlock(NamedTuple):
    """A block and how the message around it was protected."""

    block: Block
    security: tuple[SecurityReport, ...]


class BlockTransfers:
    """The blocks of transfers that are not complete; every sender and service has its own."""

    def __init__(self) -> None:
        self._open: dict[Hashable, dict[int, HeldBlock]] = {}

    def add(self, way: Way, block: Block, security: tuple[SecurityReport, ...]) -> bytes | None:
        """Take a block; return what the transfer carries when it is complete.

        A block that was sent again replaces itself, one that came late still finds its place.
        """
        name = _transfer(way, block)
        held = self._open.setdefault(name, {})
        if block.block_number == 1 and 1 in held and held[1].block != block:
            held.clear()  # another transfer begins
        held[block.block_number] = HeldBlock(block, security)
        last = max((number for number, one in held.items() if one.block.last_block), default=None)
        if last is None or any(number not in held for number in range(1, last + 1)):
            return None
        del self._open[name]
        return b"".join(_octets(held[number].block) for number in range(1, last + 1))

    def incomplete(self) -> Iterator[tuple[HeldBlock, ...]]:
        """What is there of every transfer that lacks blocks, in the order of their numbers."""
        for held in self._open.values():
            yield tuple(held[number] for number in sorted(held))


def service_name(block: Block) -> str:
    """How people call the transfer that a block is part of."""
    return "general block transfer" if isinstance(block, GeneralBlockTransfer) else "GET answer in blocks"


def joined_answer(last: GetResponseWithBlock, octets: bytes) -> GetResponseNormal | GetResponseWithList:
    """The GET answer that was sent in blocks: one value, or a list of results; raise DecodeError for other octets."""
    try:
        decode_all(octets)
    except DecodeError as no_value:
        head = bytes([GetResponseWithList.TAG, _RESPONSE_WITH_LIST, last.invoke_id_and_priority])
        try:
            answer = apdu.decode(head + octets)
        except DecodeError:
            raise no_value from None
        if isinstance(answer, GetResponseWithList):
            return answer
        raise
    return GetResponseNormal(last.invoke_id_and_priority, octets)


def _transfer(way: Way, block: Block) -> Hashable:
    invoke = None if isinstance(block, GeneralBlockTransfer) else block.invoke_id_and_priority
    return way, type(block), invoke


def _octets(block: Block) -> bytes:
    if isinstance(block, GeneralBlockTransfer):
        return block.data
    return block.result if isinstance(block.result, bytes) else b""
