"""What a meter keeps of a transfer in service-specific blocks: an answer on its way out, a request on its way in."""

from typing import Final, Generic, TypeVar

from amity.protocols.dlms.apdu import DataBlock
from amity.protocols.dlms.block_transfer import piece_octets

Target = TypeVar("Target")

REQUEST_OCTETS_MAX: Final = 1 << 18
"""A request in blocks is cut off here: no object takes a value that long, and it is held as it comes and decoded."""

LISTED_OCTETS_MAX: Final = 1 << 20
"""Once the answers to a list are as long as this, the rest is refused: a short list can ask for the whole store twice
over and again. A single answer may be longer."""


class LongAnswer:
    """The octets of a long answer, handed out block by block as the client asks for them.

    Args:
        octets: what the blocks hold together.
        invoke: the invoke-id-and-priority of the request; every further one must bear it too.
        room_octets: the longest response that fits what the client takes.
        head_octets: how much of a response is not block, without the block's length.
    """

    __slots__ = ("_invoke", "_octets", "_position", "_size", "number")

    def __init__(self, octets: bytes, invoke: int, room_octets: int, head_octets: int) -> None:
        self._octets: Final = octets
        self._invoke: Final = invoke
        self._size: Final = piece_octets(room_octets, head_octets)
        self._position = 0
        self.number = 0
        """The number of the block that was given last."""

    @property
    def given(self) -> bool:
        """True when the last block has been given."""
        return self._position >= len(self._octets)

    def expects(self, number: int, invoke: int) -> bool:
        """True when a request for the block after `number` is the one that is due."""
        return (number, invoke) == (self.number, self._invoke)

    def next_block(self) -> DataBlock:
        """The next block."""
        start, self._position = self._position, self._position + self._size
        self.number += 1
        return DataBlock(self.given, self.number, self._octets[start : self._position])


class LongRequest(Generic[Target]):
    """The blocks of a long SET or ACTION as they come; `target` is what they are for."""

    __slots__ = ("_invoke", "_octet_count", "_pieces", "target")

    def __init__(self, target: Target, invoke: int) -> None:
        self.target: Final = target
        self._invoke: Final = invoke
        self._pieces: list[bytes] = []
        self._octet_count = 0

    def add(self, block: DataBlock, invoke: int) -> bool:
        """Take a block; False when it is not the one that is due, or when there is no end to them."""
        if (block.block_number, invoke) != (len(self._pieces) + 1, self._invoke):
            return False
        self._pieces.append(block.raw)
        self._octet_count += len(block.raw)
        return self._octet_count <= REQUEST_OCTETS_MAX

    @property
    def octets(self) -> bytes:
        """What came so far."""
        return b"".join(self._pieces)
