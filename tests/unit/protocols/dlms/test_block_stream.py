"""General block transfer between two parties, over lines that lose blocks."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.kernel.errors import LocalProtocolError, RemoteProtocolError
from amity.protocols.dlms.apdu import GeneralBlockTransfer, decode
from amity.protocols.dlms.block_stream import MESSAGE_OCTETS_MAX, WINDOW_MAX, BlockDialogue, unconfirmed_blocks
from amity.protocols.dlms.block_transfer import piece_octets

ROUNDS_MAX = 20_000


def block_of(octets: bytes) -> GeneralBlockTransfer:
    block = decode(octets)
    assert isinstance(block, GeneralBlockTransfer)
    return block


class Meter:
    """The other party: answers a request once it is whole."""

    def __init__(self, answer: bytes, window: int, room_octets: int) -> None:
        self.dialogue = BlockDialogue(room_octets, window)
        self.answer = answer
        self.requests: list[bytes] = []

    def receive(self, octets: bytes) -> tuple[bytes, ...]:
        burst = self.dialogue.receive(block_of(octets))
        if self.dialogue.message is None or self.requests:
            return burst
        self.requests.append(self.dialogue.message)
        return self.dialogue.send(self.answer)


def transfer(
    request: bytes, answer: bytes, windows: tuple[int, int], room_octets: int, loss: float, seed: int
) -> tuple[bytes, bytes]:
    """What the client got and what the meter got."""
    chance = random.Random(seed)
    client, meter = BlockDialogue(room_octets, windows[0]), Meter(answer, windows[1], room_octets)
    burst = client.send(request)
    for _ in range(ROUNDS_MAX):
        answers = [reply for one in burst if chance.random() >= loss for reply in meter.receive(one)]
        burst = ()
        for reply in answers:
            assert len(reply) <= room_octets
            if chance.random() >= loss:
                burst = client.receive(block_of(reply))
            if client.message is not None:
                return client.message, meter.requests[0]
        burst = burst or client.again()
    raise AssertionError("it does not come to an end")


messages = st.binary(max_size=700)


@given(messages, messages, st.tuples(st.integers(1, 63), st.integers(1, 63)), st.integers(12, 200))
def test_request_and_answer_arrive(request: bytes, answer: bytes, windows: tuple[int, int], room_octets: int):
    assert transfer(request, answer, windows, room_octets, 0, 0) == (answer, request)


@given(messages, messages, st.tuples(st.integers(1, 9), st.integers(1, 9)), st.integers(30, 200), st.integers())
def test_they_arrive_over_a_line_that_loses_one_block_in_twenty(
    request: bytes, answer: bytes, windows: tuple[int, int], room_octets: int, seed: int
):
    assert transfer(request, answer, windows, room_octets, 0.05, seed) == (answer, request)


@given(messages, st.integers(12, 200))
def test_a_message_that_nobody_acknowledges(message: bytes, room_octets: int):
    party = BlockDialogue(0, 1)
    blocks = unconfirmed_blocks(message, room_octets)
    assert [party.receive(block_of(one)) for one in blocks] == [()] * len(blocks)
    assert party.message == message
    assert all(len(one) <= room_octets for one in blocks)
    assert {(block_of(one).streaming, block_of(one).window) for one in blocks} == {(True, 0)}


@given(st.integers(0, 70_000), st.integers(6, 12))
def test_a_piece_fills_an_apdu_and_never_more(room_octets: int, head_octets: int):
    size = piece_octets(room_octets, head_octets)
    length_octets = 1 if size < 128 else 2 if size < 256 else 3
    assert size == 1 or head_octets + length_octets + size <= (room_octets or 0xFFFF)


@given(st.lists(st.builds(
    GeneralBlockTransfer, st.booleans(), st.booleans(), st.integers(0, 63), st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF), st.binary(max_size=20),
), max_size=30))  # fmt: skip
def test_any_blocks_give_a_message_or_a_typed_error(blocks: list[GeneralBlockTransfer]):
    party = BlockDialogue(50, 5)
    party.send(bytes(100))
    try:
        for block in blocks:
            party.receive(block)
    except RemoteProtocolError:
        return
    assert party.message is None or isinstance(party.message, bytes)


def test_a_message_without_end_is_cut_off():
    party = BlockDialogue(0, 63)
    for number in range(1, 300):
        party.receive(GeneralBlockTransfer(False, True, 1, number, 0, bytes(MESSAGE_OCTETS_MAX // 300)))
    with pytest.raises(RemoteProtocolError, match="does not come to an end"):
        party.receive(GeneralBlockTransfer(False, True, 1, 300, 0, bytes(MESSAGE_OCTETS_MAX // 100)))


@pytest.mark.parametrize("number", [1, 5_000])
def test_a_stream_that_does_not_come_forward_is_cut_off_after_one_window(number: int):
    party = BlockDialogue(0, 8)
    party.send(b"request")
    party.receive(GeneralBlockTransfer(False, True, 8, 1, 1, b"x"))
    in_vain = GeneralBlockTransfer(False, True, 8, number, 1, b"x")
    for _ in range(WINDOW_MAX):
        assert party.receive(in_vain) == ()
    with pytest.raises(RemoteProtocolError, match="does not come forward"):
        party.receive(in_vain)


def take_blocks_without_data(count: int, *, streaming: bool) -> None:
    party = BlockDialogue(0, 8)
    party.send(b"request")
    for number in range(1, count + 1):
        party.receive(GeneralBlockTransfer(False, streaming, 8, number & 0xFFFF, 1, b""))


def test_blocks_without_data_come_to_an_end_too():
    with pytest.raises(RemoteProtocolError, match="does not come forward"):
        take_blocks_without_data(0x1_0100, streaming=True)


def test_more_blocks_than_we_can_acknowledge_are_the_fault_of_their_sender():
    with pytest.raises(RemoteProtocolError, match="than can be acknowledged"):
        take_blocks_without_data(0xFFFF, streaming=False)


def test_blocks_far_ahead_are_not_kept():
    party = BlockDialogue(0, 3)
    party.receive(GeneralBlockTransfer(True, True, 1, 1000, 0, b"x"))
    assert party.came_until == 0
    assert party.message is None


def test_a_window_of_no_width_is_one_block():
    party = BlockDialogue(20, 3)
    party.send(bytes(40))
    assert len(party.receive(GeneralBlockTransfer(False, False, 0, 1, 1, b""))) == 1


def test_an_acknowledgement_numbered_like_the_block_after_it():
    """Some parties do not count blocks without data."""
    party = BlockDialogue(0, 3)
    party.send(b"request")
    party.receive(GeneralBlockTransfer(False, True, 3, 1, 1, b""))
    party.receive(GeneralBlockTransfer(True, False, 3, 1, 1, b"answer"))
    assert party.message == b"answer"


def test_too_many_blocks_are_refused_before_any_is_sent():
    with pytest.raises(LocalProtocolError, match="more blocks than can be numbered"):
        BlockDialogue(8, 3).send(bytes(70_000))
