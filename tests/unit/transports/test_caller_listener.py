"""Floods, half-open calls, oversized frames and false claims: bounded, and in no known meter's way."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from amity.headend.routes import CallsIn, Route, WrapperLink
from amity.kernel.errors import RemoteProtocolError, TransportError
from amity.protocols.wrapper.frame import Frame, Reader, encode
from amity.transports.call import Call, CallRules
from amity.transports.caller_listener import CallerListener
from amity.transports.failures import ConnectionClosedError, TimerT1Error

HOST = "127.0.0.1"
RULES = CallRules(asked_after_s=0.2, stranger_silence_s=0.6, frame_timeout_s=0.4, strikes_max=3)
ROUTE = Route(WrapperLink(CallsIn()))


@dataclass
class Desk:
    """Believes whoever says METER; keeps what it is told."""

    frames: list[Frame] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    asked: int = 0
    errors: list[str] = field(default_factory=list)
    lines: list[Call] = field(default_factory=list)
    ended: int = 0
    patient: bool = False
    slow_s: float = 0.05
    answer: bytes = b"\x0f"

    async def said(self, call: Call, frame: Frame) -> bytes | None:
        await asyncio.sleep(self.slow_s if self.patient else 0)
        self.frames.append(frame)
        if not self.patient:
            call.distrust()
        return self.answer if frame.payload == b"confirm" else None

    async def named(self, call: Call, name: str) -> None:
        self.names.append(name)
        if name == "METER":
            call.trust()
            self.lines.append(call)
        else:
            call.distrust()

    async def silent(self, call: Call) -> None:
        del call
        self.asked += 1

    def garbled(self, call: Call, octets: bytes, error: RemoteProtocolError) -> None:
        del call, octets
        self.errors.append(error.what)

    def gone(self, call: Call) -> None:
        del call
        self.ended += 1


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def listener(desk: Desk) -> AsyncIterator[CallerListener]:
    made = CallerListener(desk, rules=replace(RULES, strangers_max=6, strangers_per_peer_max=4))
    made.port = await made.start(HOST, 0)
    yield made
    await made.close()


async def call(listener: CallerListener, octets: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(HOST, listener.port)
    writer.write(octets)
    return reader, writer


async def is_cut(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(5):
            return await reader.read(1) == b""
    except ConnectionResetError:
        return True


async def until(condition: object) -> None:
    async with asyncio.timeout(5):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110 - the listener tells nobody
            await asyncio.sleep(0.01)


async def test_who_says_nothing_is_asked_and_then_cut_off(listener: CallerListener, desk: Desk) -> None:
    reader, writer = await call(listener)
    assert await is_cut(reader)
    assert (desk.asked, desk.ended, listener.open_calls) == (1, 1, 0)
    writer.close()


@pytest.mark.parametrize("begun", [b"\x00", b"\x00\x01\x00\x01\x00\x01\x00\x09half", b"METE", b"\x7e\xa0\x20"])
async def test_who_never_ends_what_was_begun_is_cut_off(listener: CallerListener, desk: Desk, begun: bytes) -> None:
    reader, writer = await call(listener, begun)
    assert await is_cut(reader)
    assert (desk.frames, desk.names) == ([], [])
    writer.close()


@pytest.mark.parametrize(
    "octets",
    [b"\x00\x01\x00\x01\x00\x01\xff\xff", b"\x00\x02\x00\x01\x00\x01\x00\x01x", b"\x16\x03\x01\x02\x00", b"A" * 65],
)
async def test_what_is_too_long_or_no_dlms_ends_the_call(listener: CallerListener, desk: Desk, octets: bytes) -> None:
    reader, writer = await call(listener, octets)
    assert await is_cut(reader)
    assert len(desk.errors) == 1
    writer.close()


async def test_who_is_not_believed_again_and_again_is_cut_off(listener: CallerListener, desk: Desk) -> None:
    reader, writer = await call(listener, b"WHO\r\nAM\r\nI\r\nNOW\r\n")
    assert await is_cut(reader)
    assert desk.names == ["WHO", "AM", "I"]
    writer.close()


async def test_a_flood_of_strangers_leaves_known_meters_their_lines(listener: CallerListener, desk: Desk) -> None:
    meters = [await call(listener, b"METER\r\n") for _ in range(10)]  # one address, more than strangers may have
    await until(lambda: len(desk.lines) == 10 or listener.turned_away)
    strangers = [await call(listener) for _ in range(50)]
    await until(lambda: listener.turned_away >= 46)
    assert len(desk.lines) == 10
    assert not any(line.ended for line in desk.lines)
    for _, writer in [*meters, *strangers]:
        writer.close()


async def test_a_push_is_heard_in_pieces_and_confirmed(listener: CallerListener, desk: Desk) -> None:
    reader, writer = await call(listener)
    for octet in encode(1, 16, b"confirm"):
        writer.write(bytes([octet]))
        await asyncio.sleep(0.001)
    answer = await reader.readexactly(9)
    assert Reader().feed(answer) == [Frame(16, 1, b"\x0f")]
    assert desk.frames == [Frame(1, 16, b"confirm")]
    writer.close()


async def a_line(listener: CallerListener, desk: Desk) -> tuple[Call, asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await call(listener, b"METER\r\n")
    await until(lambda: desk.lines)
    return desk.lines[0], reader, writer


async def test_a_line_is_lent_to_one_at_a_time_and_stands_afterwards(listener: CallerListener, desk: Desk) -> None:
    line, reader, writer = await a_line(listener, desk)
    for _ in range(2):
        channel = await line.open(ROUTE, 16, 1, 1.0)
        with pytest.raises(TransportError, match="Busy"):
            await line.open(ROUTE, 16, 1, 1.0)
        asking = asyncio.create_task(channel.exchange(b"question", 2.0))
        assert await reader.readexactly(16) == encode(16, 1, b"question")
        writer.write(b"METER\r\n" + encode(1, 16, b"answer"))  # a heartbeat in between is no answer
        assert await asking == b"answer"
        await channel.close()
    assert not line.ended
    writer.close()


async def test_a_line_that_is_out_of_step_is_given_up(listener: CallerListener, desk: Desk) -> None:
    line, reader, writer = await a_line(listener, desk)
    channel = await line.open(ROUTE, 16, 1, 1.0)
    with pytest.raises(TimerT1Error):
        await channel.exchange(b"question", 0.1)
    await channel.close()
    assert await reader.readexactly(16)
    assert await is_cut(reader)
    writer.close()


async def test_whoever_reads_hears_that_the_meter_hung_up(listener: CallerListener, desk: Desk) -> None:
    line, _, writer = await a_line(listener, desk)
    channel = await line.open(ROUTE, 16, 1, 1.0)
    asking = asyncio.create_task(channel.exchange(b"question", 5.0))
    await asyncio.sleep(0.05)
    writer.close()
    with pytest.raises(ConnectionClosedError):
        await asking
    await channel.close()
    await until(lambda: desk.ended == 1)


async def test_a_line_that_vanishes_is_noticed(listener: CallerListener, desk: Desk) -> None:
    line, _, writer = await a_line(listener, desk)
    held = line._transport.get_extra_info("socket")
    assert held.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    writer.close()


@pytest.mark.parametrize("waits", [True, False])
async def test_what_was_pushed_before_hanging_up_is_taken(listener: CallerListener, desk: Desk, waits: bool) -> None:
    desk.patient = True
    reader, writer = await call(listener, encode(1, 16, b"one") + encode(1, 16, b"confirm"))
    if waits:  # it closes its own direction only
        writer.write_eof()
        assert len(await reader.read()) == 9
    writer.close()
    await until(lambda: len(desk.frames) == 2)
    await until(lambda: not listener.open_calls)


async def test_who_says_much_at_once_is_not_cut_off_for_our_slowness(desk: Desk, listener: CallerListener) -> None:
    """It is we who do not read on: the frame that has begun is not late."""
    desk.patient = True
    reader, writer = await call(listener, b"METER\n")
    frames = [encode(1, 1, b"push %d" % number) for number in range(48)]
    for frame in frames:
        writer.write(frame)
    writer.write(encode(1, 1, b"confirm")[:9])
    await until(lambda: len(desk.frames) == 12)
    writer.write(encode(1, 1, b"confirm")[9:])
    assert await asyncio.wait_for(reader.read(9), 10)
    assert len(desk.frames) == len(frames) + 1
    writer.close()


async def test_a_flood_from_many_addresses_leaves_room_for_a_meter_that_calls(
    listener: CallerListener, desk: Desk
) -> None:
    strangers = [
        await asyncio.open_connection(HOST, listener.port, local_addr=(f"127.0.0.{last}", 0))
        for last in (2, 2, 2, 3, 3, 3, 4, 4, 4)
    ]
    await until(lambda: listener.open_calls == 6)
    meters = [await call(listener, b"METER\r\n") for _ in range(3)]
    await until(lambda: len(desk.lines) == 3)
    assert (listener.open_calls <= 9, listener.turned_away >= 4) == (True, True)
    for _, writer in [*meters, *strangers]:
        writer.close()


@pytest.mark.parametrize("beat", [b"\r\n", b"\x7e\x7e", b"\x7e\xa0\x07\x03\x03\x11"])
async def test_who_beats_and_says_nothing_holds_no_line(listener: CallerListener, desk: Desk, beat: bytes) -> None:
    reader, writer = await call(listener)

    async def beats() -> None:
        while True:
            writer.write(beat)
            await asyncio.sleep(0.05)

    beating = asyncio.create_task(beats())
    assert await is_cut(reader)
    assert (desk.frames, desk.names) == ([], [])
    beating.cancel()
    writer.close()


async def test_who_does_not_read_what_he_asks_for_is_cut_off(listener: CallerListener, desk: Desk) -> None:
    desk.patient = True
    desk.slow_s = 0.0
    desk.answer = b"\x0f" * 8000
    reader, writer = await call(listener, encode(1, 1, b"confirm") * 4000)
    await until(lambda: desk.ended == 1)
    assert len(desk.frames) < 4000
    del reader
    writer.close()
