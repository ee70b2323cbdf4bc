"""General block transfer as a dialogue (IEC 62056-5-3, 9.4.6.13): our blocks out, the other party's in; no I/O.

Every block says its number, the last block of the other party that came without a gap (the acknowledgement) and how
many blocks its sender takes in one go (the window). A party streams a window of blocks and ends it with one that is not
streamed; then the other party acknowledges it, or answers. After a gap the block before it is acknowledged, and what
followed it comes once more.
"""

from typing import Final

from amity.kernel.errors import LocalProtocolError, RemoteProtocolError
from amity.protocols.dlms.block_transfer import GeneralBlockTransfer, piece_octets

WINDOW_MAX = 63
MESSAGE_OCTETS_MAX = 16 << 20
"""A message is cut off here: a year of quarter hours with 30 columns stays below."""

_HEAD_OCTETS = 6  # tag, control, block number (2), acknowledged number (2)
_NUMBER_MAX = 0xFFFF
_ROUNDS_WITHOUT_PROGRESS_MAX = 12

Burst = tuple[bytes, ...]
"""Encoded blocks that go out one after the other; only the last of them asks for an answer."""


class BlockDialogue:
    """One request and its answer in blocks, as one party has it; the client's and the meter's are alike.

    Args:
        room_octets: the longest APDU that the other party takes, 0 for any length.
        window: how many blocks we take before we acknowledge, 1 to 63.
        octets_max: the longest message that the other party may send.
    """

    __slots__ = (
        "_acknowledged", "_all_out", "_came", "_came_last", "_came_octets", "_first", "_next_number", "_octets_max",
        "_out", "_peer_window", "_reported", "_room_octets", "_rounds", "_streamed_in_vain", "_window", "came_until",
    )  # fmt: skip

    def __init__(self, room_octets: int, window: int, octets_max: int = MESSAGE_OCTETS_MAX) -> None:
        self._room_octets: Final = room_octets
        self._window: Final = window
        self._octets_max: Final = octets_max
        self._out: list[bytes] = []
        self._first = self._next_number = 1
        self._all_out = False
        self._acknowledged = 0
        self._peer_window = 1
        self._came: dict[int, bytes] = {}
        self._came_octets = 0
        self._came_last: int | None = None
        self._reported = -1
        self._rounds = self._streamed_in_vain = 0
        self.came_until = 0
        """The last block of the other party before the first gap."""

    @property
    def message(self) -> bytes | None:
        """What the other party sent, None until all of it is there."""
        if self._came_last is None or self.came_until < self._came_last:
            return None
        return b"".join(self._came[number] for number in range(1, self._came_last + 1))

    @property
    def acknowledged(self) -> bool:
        """True when the other party has all that we sent."""
        return self._acknowledged >= self._first + len(self._out) - 1

    def send(self, message: bytes) -> Burst:
        """Begin to send; return the first window; raise LocalProtocolError when the blocks cannot be numbered."""
        size = piece_octets(self._room_octets, _HEAD_OCTETS)
        self._out = [message[at : at + size] for at in range(0, len(message), size)] or [b""]
        self._first = self._next_number
        self._next_number += len(self._out)
        if self._next_number > _NUMBER_MAX:
            raise LocalProtocolError(f"a message of {len(message)} octets takes more blocks than can be numbered")
        self._acknowledged = self._first - 1
        self._all_out = True
        return self._burst()

    def receive(self, block: GeneralBlockTransfer) -> Burst:
        """Take a block; return what is to be sent now: nothing while the other party streams, and nothing at the end.

        Raises:
            RemoteProtocolError: the transfer is aborted, does not come forward, or grows beyond all bounds.
        """
        if block.last_block and block.block_number == 0:
            raise RemoteProtocolError("the other side aborted the block transfer")
        before = (self._acknowledged, self.came_until)
        self._take_acknowledgement(block)
        self._take_data(block)
        progress = before != (self._acknowledged, self.came_until)
        if block.streaming:
            self._count_streamed(progress=progress)
            return ()
        self._count_round(progress=progress)
        if not self.acknowledged:
            return self._burst()
        return () if self.message is not None else (self._acknowledgement(),)

    def again(self) -> Burst:
        """What to send when nothing came: the window that is not acknowledged, or the acknowledgement once more."""
        self._count_round(progress=False)
        return (self._acknowledgement(),) if self.acknowledged else self._burst()

    # -------------------------------------------------------------- out
    def _burst(self) -> Burst:
        final = self._first + len(self._out) - 1
        start = self._acknowledged + 1
        end = min(start + self._peer_window - 1, final)
        return tuple(
            self._block(number, self._out[number - self._first], last=number == final, streaming=number < end)
            for number in range(start, end + 1)
        )

    def _acknowledgement(self) -> bytes:
        if self._reported != self.came_until:  # saying the same again keeps its number
            self._reported = self.came_until
            self._next_number += 1
            if self._next_number > _NUMBER_MAX:
                raise RemoteProtocolError("a message comes in more blocks than can be acknowledged")
            self._out = []
            self._first = self._next_number
            self._acknowledged = self._first - 1
        return self._block(self._next_number - 1, b"", last=self._all_out, streaming=False)

    def _block(self, number: int, data: bytes, *, last: bool, streaming: bool) -> bytes:
        return GeneralBlockTransfer(last, streaming, self._window, number, self.came_until, data).encode()

    # -------------------------------------------------------------- in
    def _take_acknowledgement(self, block: GeneralBlockTransfer) -> None:
        self._peer_window = max(block.window, 1)
        if not self._out:
            return
        if block.block_number_ack >= self._next_number:
            raise RemoteProtocolError(
                f"block {block.block_number_ack} is acknowledged; {self._next_number - 1} blocks were sent"
            )
        self._acknowledged = max(self._acknowledged, block.block_number_ack)

    def _take_data(self, block: GeneralBlockTransfer) -> None:
        number = block.block_number
        ahead = number - self.came_until
        # An acknowledgement has no data; some number it like the next block of data, which then takes its place.
        known = bool(self._came.get(number)) or (number in self._came and not block.data)
        if self.message is not None or known or number == 0 or ahead > WINDOW_MAX:
            return
        self._came_octets += len(block.data)
        if self._came_octets > self._octets_max:
            raise RemoteProtocolError(f"a message in blocks does not come to an end: {self._came_octets} octets so far")
        self._came[number] = block.data
        if block.last_block:
            self._came_last = number
        while self.came_until + 1 in self._came:
            self.came_until += 1

    def _count_streamed(self, *, progress: bool) -> None:
        """A window may come once more for the sake of one block in it; whoever streams longer does not mean to end."""
        self._streamed_in_vain = 0 if progress else self._streamed_in_vain + 1
        if self._streamed_in_vain > WINDOW_MAX:
            raise self._stuck()

    def _count_round(self, *, progress: bool) -> None:
        self._streamed_in_vain = 0
        self._rounds = 0 if progress else self._rounds + 1
        if self._rounds > _ROUNDS_WITHOUT_PROGRESS_MAX:
            raise self._stuck()

    def _stuck(self) -> RemoteProtocolError:
        return RemoteProtocolError(
            "a block transfer does not come forward",
            tried=f"general block transfer, blocks up to {self.came_until} came",
            next_step="the line loses too much: try a smaller window or a smaller PDU",
        )


def unconfirmed_blocks(message: bytes, room_octets: int) -> Burst:
    """A message that nobody acknowledges (a push): every block streamed, window 0."""
    size = piece_octets(room_octets, _HEAD_OCTETS)
    pieces = [message[at : at + size] for at in range(0, len(message), size)] or [b""]
    return tuple(
        GeneralBlockTransfer(number == len(pieces), True, 0, number, 0, piece).encode()
        for number, piece in enumerate(pieces, 1)
    )
