"""The meter's side of general block transfer: requests of any length in, answers of any length out."""

from collections import deque

from amity.devices.server.long_transfers import REQUEST_OCTETS_MAX
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms.apdu import GeneralBlockTransfer, decode
from amity.protocols.dlms.block_stream import BlockDialogue


class GeneralBlocks:
    """The block transfer of one association: at most one request and its answer at a time.

    Args:
        room_octets: the longest APDU that the client takes.
        window: how many blocks the meter takes before it acknowledges.
    """

    __slots__ = ("_dialogue", "_opening", "_room_octets", "_waiting", "_window")

    def __init__(self, room_octets: int, window: int) -> None:
        self._room_octets = room_octets
        self._window = window
        self._opening = b""
        self._dialogue: BlockDialogue | None = None
        self._waiting: deque[bytes] = deque()

    def take(self, octets: bytes) -> bytes | None:
        """Take a block; return the request when this one completes it; raise RemoteProtocolError for one of nothing.

        A first block that comes again octet by octet is not a new request: the client has not heard our answer.
        """
        block = decode(octets)
        if not isinstance(block, GeneralBlockTransfer):
            raise RemoteProtocolError(f"a block was due and {type(block).__name__} came")
        if block.block_number == 1 and block.data and octets != self._opening:
            self._opening = octets
            self._dialogue = BlockDialogue(self._room_octets, self._window, REQUEST_OCTETS_MAX)
        if self._dialogue is None:
            raise RemoteProtocolError("a block came that belongs to no transfer")
        return self._received(self._dialogue, block)

    def give(self, answer: bytes) -> None:
        """Begin to answer, also to a request that came in one APDU."""
        if self._dialogue is None:
            self._dialogue = BlockDialogue(self._room_octets, self._window, REQUEST_OCTETS_MAX)
        self._waiting = deque(self._dialogue.send(answer))

    def next(self) -> bytes | None:
        """The next block that is to go out now; None when the client is to speak."""
        return self._waiting.popleft() if self._waiting else None

    def forget(self) -> None:
        """Give up what was under way: the client has begun something else."""
        self._opening, self._dialogue = b"", None
        self._waiting.clear()

    def _received(self, dialogue: BlockDialogue, block: GeneralBlockTransfer) -> bytes | None:
        whole_before = dialogue.message is not None
        try:
            self._waiting = deque(dialogue.receive(block))
        except RemoteProtocolError:
            self.forget()
            raise
        return None if whole_before else dialogue.message
