"""The client's side of general block transfer: an APDU of any length out, its answer of any length in."""

from amity.devices.client.conversation import LISTEN, Conversation, Unanswered
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms.apdu import GeneralBlockTransfer, decode
from amity.protocols.dlms.block_stream import BlockDialogue, Burst


def carry(message: bytes, dialogue: BlockDialogue) -> Conversation[bytes]:
    """Send a message in blocks; return the answer, which a meter may also give in one APDU.

    Raises:
        RemoteProtocolError: the meter aborts, or the transfer does not come forward.
    """
    return _answer(dialogue.send(message), dialogue)


def go_on(dialogue: BlockDialogue) -> Conversation[bytes]:
    """Wait for the answer, when what came instead was none; raises as `carry` does."""
    return _answer((), dialogue)


def _answer(burst: Burst, dialogue: BlockDialogue) -> Conversation[bytes]:
    while True:
        answer = yield from _sent(burst)
        if not answer:
            burst = dialogue.again()
            continue
        if answer[0] != GeneralBlockTransfer.TAG:
            return answer
        burst = dialogue.receive(_block(answer))
        if dialogue.message is not None:
            return dialogue.message


def _sent(burst: Burst) -> Conversation[bytes]:
    for block in burst[:-1]:
        yield Unanswered(block)
    return (yield burst[-1] if burst else LISTEN)


def _block(octets: bytes) -> GeneralBlockTransfer:
    block = decode(octets)
    if not isinstance(block, GeneralBlockTransfer):
        raise RemoteProtocolError(f"a block was due and {type(block).__name__} came")
    return block
