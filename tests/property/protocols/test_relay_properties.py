"""The relay link: however chopped the same messages, whatever comes one typed error, and never more than is allowed."""

from collections import defaultdict
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from amity.protocols.relay.compression import UNPACKED_OCTETS_MAX, Packer, Unpacker
from amity.protocols.relay.cursor import NUMBER_MAX, varint, varint_at
from amity.protocols.relay.errors import RelayError
from amity.protocols.relay.fragments import FRAGMENT_OCTETS_MAX, Fragment, FragmentReader
from amity.protocols.relay.link import MESSAGE_OCTETS_MAX, Link, LinkRules
from amity.protocols.relay.messages import (
    Answer,
    Ask,
    CalledIn,
    Close,
    Confirmed,
    Failed,
    FailureKind,
    Hello,
    Kept,
    Message,
    Notice,
    Open,
    Opened,
    Ping,
    Pong,
    Push,
    Quality,
    Refused,
    Welcome,
    decode,
)
from amity.protocols.relay.scheduler import ALARMS, BULK, CONTROL

u16, u32, u64 = (st.integers(0, (1 << bits) - 1) for bits in (16, 32, 64))
octets, texts = st.binary(max_size=3000), st.text(max_size=200)
ids = st.binary(min_size=16, max_size=16)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Hello, u16, texts, u32),
    st.builds(Welcome),
    st.builds(Refused, texts),
    st.builds(Ping, u32),
    st.builds(Pong, u32),
    st.builds(Quality, texts),
    st.builds(Kept, st.lists(ids, max_size=9).map(tuple)),
    st.builds(Close, u32),
    st.builds(Push, st.integers(0, (1 << 128) - 1), u64, texts, st.booleans(), octets),
    st.builds(Confirmed, st.integers(0, (1 << 128) - 1), octets),
    st.builds(CalledIn, texts),
    st.builds(Opened),
    st.builds(Ask, u32, st.booleans(), octets),
    st.builds(Answer, octets),
    st.builds(Notice, octets),
    st.builds(Failed, st.sampled_from(FailureKind), texts, texts, texts, texts),
)


def opened(near: Link, far: Link) -> int:
    """A new channel, known at both ends."""
    stream = near.open_stream()
    near.send(CONTROL, Open(stream, "{}", 1, 1, 1).encode())
    (arrived,) = far.receive(everything(near))
    assert decode(arrived.message) == Open(stream, "{}", 1, 1, 1)
    return stream


def everything(link: Link, at_once: int = 4096) -> bytes:
    out = bytearray()
    while taken := link.take(at_once):
        out += taken
    return bytes(out)


@given(messages)
def test_a_message_is_itself_again(message: Message) -> None:
    assert decode(message.encode()) == message


@given(st.binary(max_size=400))
def test_any_octets_are_a_message_or_a_relay_error(some: bytes) -> None:
    try:
        message = decode(some)
    except RelayError:
        return
    assert isinstance(message, Message)


@given(st.integers(0, NUMBER_MAX))
def test_a_number_is_itself_again(number: int) -> None:
    assert varint_at(varint(number), 0) == (number, len(varint(number)))


@given(st.binary(max_size=600), st.lists(st.integers(1, 40), max_size=40))
def test_any_octets_are_fragments_or_a_relay_error_however_chopped(some: bytes, cuts: list[int]) -> None:
    assert fed(some, cuts) == fed(some, [])


def fed(some: bytes, cuts: list[int]) -> list[Fragment] | None:
    reader, found, at = FragmentReader(), [], 0
    try:
        for cut in [*cuts, len(some)]:
            found += reader.feed(some[at : at + cut])
            at += cut
    except RelayError:
        return None
    return found


def test_a_fragment_that_announces_too_much_is_refused_at_its_head() -> None:
    with pytest.raises(RelayError):
        FragmentReader().feed(varint(7) + varint(FRAGMENT_OCTETS_MAX + 1))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([CONTROL, ALARMS, BULK, 3, 4, 5]), messages), max_size=20),
    st.lists(st.integers(1, 700), min_size=1, max_size=50),
)
def test_what_is_sent_arrives_in_order_on_each_stream_however_chopped(
    said: list[tuple[int, Message]], cuts: list[int]
) -> None:
    near, far = Link(opens=True), Link(opens=False)
    for _ in range(3):
        opened(near, far)
    for stream, message in said:
        near.send(stream, message.encode())
    wire, heard, at = everything(near), defaultdict(list), 0
    for turn in range(len(wire)):
        if at >= len(wire):
            break
        cut = cuts[turn % len(cuts)]
        for arrived in far.receive(wire[at : at + cut]):
            heard[arrived.stream].append(decode(arrived.message))
        at += cut
    wanted = defaultdict(list)
    for stream, message in said:
        wanted[stream].append(message)
    assert heard == wanted
    assert near.traffic.plain_out == far.traffic.plain_in
    assert near.traffic.packed_out == far.traffic.packed_in


@given(st.binary(max_size=2000))
def test_any_octets_into_a_link_are_nothing_or_a_relay_error(some: bytes) -> None:
    for link in (Link(opens=True), Link(opens=False)):
        with suppress(RelayError):
            link.receive(some)


@given(st.binary(max_size=2000))
def test_any_octets_that_were_packed_too(some: bytes) -> None:
    for link in (Link(opens=True), Link(opens=False)):
        with suppress(RelayError):
            link.receive(Packer().pack(some))


# ------------------------------------------------------------------ bounds
def test_a_bomb_is_refused_before_it_is_big() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=17)
    bomb = zstandard.ZstdCompressor(compression_params=parameters).compress(bytes(64 * UNPACKED_OCTETS_MAX))
    assert len(bomb) < 64 * 1024
    with pytest.raises(RelayError, match="unpacks to more"):
        Unpacker().unpack(bomb)


def test_a_window_larger_than_ours_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=24, write_content_size=0)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(RelayError):
        Unpacker().unpack(packed.compress(bytes(1 << 20)) + packed.flush())


def test_no_stream_goes_beyond_its_credit_and_the_longest_messages_pass_for_ever() -> None:
    near, far = Link(opens=True), Link(opens=False)
    stream = opened(near, far)
    longest = bytes(MESSAGE_OCTETS_MAX)
    passed, held = 0, []
    for _ in range(20):
        near.send(stream, longest)
        held += far.receive(everything(near))
        for arrived in held:
            far.consumed(arrived)
            passed += 1
        held.clear()
        near.receive(everything(far))
    held += far.receive(everything(near))
    assert passed + len(held) == 20


def test_what_nobody_consumes_stops_after_a_window() -> None:
    near, far = Link(opens=True), Link(opens=False)
    stream = opened(near, far)
    for _ in range(3):
        near.send(stream, bytes(MESSAGE_OCTETS_MAX))
    assert len(far.receive(everything(near))) == 1
    assert near.waiting_octets(stream) == 3 * MESSAGE_OCTETS_MAX - LinkRules().window_octets


def test_whoever_sends_beyond_its_credit_is_cut_off() -> None:
    greedy, far = Link(LinkRules(window_octets=1 << 22, queued_octets_max=1 << 23), opens=True), Link(opens=False)
    stream = opened(greedy, far)
    for _ in range(4):
        greedy.send(stream, bytes(50_000))
    with pytest.raises(RelayError, match="more octets than it was allowed"):
        far.receive(everything(greedy))


@pytest.mark.parametrize("stream", [CONTROL, ALARMS])
@pytest.mark.parametrize("last", [False, True])
def test_a_fragment_of_nothing_is_refused(stream: int, last: bool) -> None:
    """Nobody sends one, and it would cost its sender no credit."""
    with pytest.raises(RelayError, match="without an octet"):
        Link(opens=True).receive(Packer().pack(Fragment(stream, last, b"").encode()))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=40))
def test_a_link_gives_no_more_at_once_than_is_wanted(portions: list[int]) -> None:
    near, far, heard = Link(opens=True), Link(opens=False), []
    for number in range(50):
        near.send(CONTROL, Ping(number).encode())
    wire = everything(near)
    for portion in portions:
        some, wire = far.receive(wire, portion), b""
        assert len(some) <= portion
        heard += some
    heard += far.receive(b"")
    assert [decode(one.message) for one in heard] == [Ping(number) for number in range(50)]
    assert far.fragments_in == 50


def test_a_message_without_end_is_cut_off() -> None:
    far = Link(opens=False)
    endless = b"".join(Fragment(CONTROL, False, bytes(4096)).encode() for _ in range(40))
    with pytest.raises(RelayError, match="more than"):
        far.receive(Packer().pack(endless))


def test_streams_without_end_are_cut_off() -> None:
    far = Link(opens=False)
    openings = (Open(stream, "{}", 1, 1, 1).encode() for stream in range(3, 3 + LinkRules().streams_max))
    many = b"".join(Fragment(CONTROL, True, opening).encode() for opening in openings)
    with pytest.raises(RelayError, match="streams are open"):
        far.receive(Packer().pack(many))


def test_a_collector_cannot_open_a_channel() -> None:
    with pytest.raises(RelayError, match="never opened"):
        Link(opens=True).receive(Packer().pack(Fragment(3, True, Opened().encode()).encode()))
    with pytest.raises(RelayError, match="wrong end"):
        Link(opens=True).receive(Packer().pack(Fragment(CONTROL, True, Open(3, "{}", 1, 1, 1).encode()).encode()))


def test_channels_may_speak_in_another_order_than_they_were_opened_in() -> None:
    near, far = Link(opens=True), Link(opens=False)
    first, second = opened(near, far), opened(near, far)
    near.send(second, Ask(1, True, b"2").encode())
    assert far.receive(everything(near))[0].stream == second
    near.send(first, Ask(1, True, b"1").encode())
    assert far.receive(everything(near))[0].stream == first


def test_what_comes_late_for_a_channel_that_is_over_is_dropped() -> None:
    near, far = Link(opens=True), Link(opens=False)
    stream = opened(near, far)
    near.forget(stream)
    far.send(stream, Opened().encode())
    assert near.receive(everything(far)) == []


# ------------------------------------------------------------------ order of urgency
def test_alarms_overtake_what_waits_and_channels_take_turns() -> None:
    near, far = Link(opens=True), Link(opens=False)
    streams = [opened(near, far), opened(near, far)]
    for stream in (BULK, *streams):
        near.send(stream, Answer(bytes(10_000)).encode())
    wire = near.take(1)
    near.send(ALARMS, Push(1, 0, "", False, b"power down").encode())
    near.send(CONTROL, Ping(1).encode())
    seen = far.receive(wire)
    while taken := near.take(1):
        seen += far.receive(taken)
    assert [arrived.stream for arrived in seen] == [CONTROL, ALARMS, BULK, *streams]


def test_a_short_answer_does_not_wait_for_a_long_one() -> None:
    near, far = Link(opens=True), Link(opens=False)
    long, short = opened(near, far), opened(near, far)
    near.send(long, Answer(bytes(50_000)).encode())
    near.send(short, Answer(b"short").encode())
    assert far.receive(near.take(1) + near.take(1))[0].stream == short
