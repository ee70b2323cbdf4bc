"""Service-specific block transfer as the client has it: long requests out, long answers in (IEC 62056-5-3, 9.4.6)."""

from collections.abc import Callable
from typing import NamedTuple

from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Request, Session
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms.apdu import (
    ActionResponseNextPBlock,
    ActionResponseNormal,
    Apdu,
    DataBlock,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
    SetResponseNormal,
)
from amity.protocols.dlms.block_transfer import piece_octets

ANSWER_OCTETS_MAX = 16 << 20
"""A long answer is cut off here: a year of quarter hours with 30 columns stays below."""

_Acknowledgement = type[SetResponseDataBlock] | type[ActionResponseNextPBlock]
_Result = SetResponseNormal | SetResponseLastDataBlock | ActionResponseNormal


class Piece(NamedTuple):
    """One block of a long answer."""

    last: bool
    number: int
    octets: bytes


def send_in_blocks(
    session: Session,
    octets: bytes,
    first: Callable[[DataBlock], Request],
    following: Callable[[DataBlock], Request],
    acknowledgement: _Acknowledgement,
    *,
    tried: str,
) -> Conversation[Apdu]:
    """Send octets in blocks cut to what the meter takes; return its answer to the last one, or the refusal before.

    Raises:
        RemoteProtocolError: the meter acknowledges another block, or calls it a success before the end.
    """
    build, number, start = first, 1, 0
    while True:
        head_octets = len(build(DataBlock(False, number, b"")).encode()) - 1  # without the length of nothing
        end = start + piece_octets(session.room_octets, head_octets)
        last = end >= len(octets)
        answer = yield from session.ask(build(DataBlock(last, number, octets[start:end])))
        if last:
            return answer
        if not isinstance(answer, acknowledgement):
            return _refusal(answer, number, tried)
        if answer.block_number != number:
            raise RemoteProtocolError(
                f"block {number} was sent and block {answer.block_number} acknowledged", tried=tried
            )
        build, number, start = following, number + 1, end


def _refusal(answer: Apdu, number: int, tried: str) -> Apdu:
    if isinstance(answer, _Result) and answer.result:
        return answer
    raise RemoteProtocolError(
        f"after block {number}, which is not the last, {type(answer).__name__} came", tried=tried
    )  # fmt: skip


def receive_in_blocks(
    session: Session,
    answer: Apdu,
    piece_of: Callable[[Apdu], Piece],
    following: Callable[[int], Request],
    *,
    tried: str,
) -> Conversation[bytes]:
    """Ask for block after block, `answer` being the first; return what they hold together.

    Raises:
        RemoteProtocolError: another block came than was due, or they do not come to an end.
        AttributeRefusedError: by `piece_of`, the meter ends the transfer.
    """
    pieces: list[bytes] = []
    octet_count = 0
    while True:
        piece, due = piece_of(answer), len(pieces) + 1
        if piece.number != due:
            raise RemoteProtocolError(f"block {due} was due and block {piece.number} came", tried=tried)
        pieces.append(piece.octets)
        octet_count += len(piece.octets)
        if piece.last:
            return b"".join(pieces)
        if not piece.octets or octet_count > ANSWER_OCTETS_MAX:
            raise RemoteProtocolError(
                "a long answer does not come to an end", tried=tried, answer=f"{octet_count} octets so far"
            )
        answer = yield from session.ask(following(due))
