"""Joins the blocks of long messages: general block transfer, and GET answers in blocks (IEC 62056-5-3)."""

from collections.abc import Hashable, Iterator
from operator import itemgetter
from typing import NamedTuple

from amity.devices.telegram_security import SecurityReport
from amity.protocols.dlms import apdu
from amity.protocols.dlms.apdu import (
    Apdu,
    GeneralBlockTransfer,
    GetResponseNormal,
    GetResponseWithBlock,
    GetResponseWithList,
)
from amity.protocols.dlms.data import DecodeError, decode_all

Block = GeneralBlockTransfer | GetResponseWithBlock
Way = Hashable  # from whom to whom, as the carrier tells it

_RESPONSE_WITH_LIST = 3


class HeldBlock(NamedTuple):
    """A block and how the message around it was protected."""

    block: Block
    security: tuple[SecurityReport, ...]


class _Transfer:
    """The blocks of one transfer; counts on as they come, for a hostile capture may hold a million of them."""

    __slots__ = ("_joined", "_last", "held")

    def __init__(self) -> None:
        self.held: dict[int, HeldBlock] = {}
        self._joined = 0  # blocks 1 to this one are there
        self._last = 0  # the number of the last block, 0 until it is known

    def add(self, one: HeldBlock) -> None:
        number = one.block.block_number
        self.held[number] = one
        if one.block.last_block:
            self._last = max(self._last, number)
        while self._joined + 1 in self.held:
            self._joined += 1

    @property
    def octets(self) -> bytes | None:
        """What the transfer carries, None while blocks are missing."""
        if not 0 < self._last <= self._joined:
            return None
        return b"".join(_octets(self.held[number].block) for number in range(1, self._last + 1))


class BlockTransfers:
    """The blocks of transfers that are not complete; every sender and service has its own."""

    def __init__(self) -> None:
        self._open: dict[Hashable, _Transfer] = {}

    def add(self, way: Way, block: Block, security: tuple[SecurityReport, ...]) -> bytes | None:
        """Take a block; return what the transfer carries when it is complete.

        A block that was sent again replaces itself, one that came late still finds its place.
        """
        name = _transfer_name(way, block)
        begun = self._open.get(name)
        if begun is None or (block.block_number == 1 and 1 in begun.held and begun.held[1].block != block):
            begun = self._open[name] = _Transfer()  # the first block differs: another transfer begins
        begun.add(HeldBlock(block, security))
        octets = begun.octets
        if octets is not None:
            del self._open[name]
        return octets

    def incomplete(self) -> Iterator[tuple[HeldBlock, ...]]:
        """What is there of every transfer that lacks blocks, in the order of their numbers."""
        for transfer in self._open.values():
            yield tuple(one for _, one in sorted(transfer.held.items(), key=itemgetter(0)))


def service_name(block: Block) -> str:
    """How people call the transfer that a block is part of."""
    return "general block transfer" if isinstance(block, GeneralBlockTransfer) else "GET answer in blocks"


def joined_answer(last: GetResponseWithBlock, octets: bytes) -> Apdu:
    """The GET answer that was sent in blocks: one value, or a list of results; raise DecodeError for other octets."""
    try:
        decode_all(octets)
    except DecodeError as no_value:
        head = bytes([GetResponseWithList.TAG, _RESPONSE_WITH_LIST, last.invoke_id_and_priority])
        try:
            return apdu.decode(head + octets)
        except DecodeError:
            raise no_value from None
    return GetResponseNormal(last.invoke_id_and_priority, octets)


def _transfer_name(way: Way, block: Block) -> Hashable:
    invoke = None if isinstance(block, GeneralBlockTransfer) else block.invoke_id_and_priority
    return way, type(block), invoke


def _octets(block: Block) -> bytes:
    if isinstance(block, GeneralBlockTransfer):
        return block.data
    return block.result if isinstance(block.result, bytes) else b""
