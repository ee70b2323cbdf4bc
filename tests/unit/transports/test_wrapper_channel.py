"""The client's TCP shell against real sockets: what it brings, and how each way of failing is named."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from amity.devices.client import get
from amity.kernel.errors import LocalProtocolError, TransportError
from amity.protocols.dlms.apdu import Attribute
from amity.protocols.dlms.data import double_long_unsigned
from amity.protocols.wrapper.frame import WrapperError, encode
from amity.transports.failures import (
    ConnectionClosedError,
    ConnectionFailedError,
    ConnectionRefusedByPeerError,
    MisaddressedError,
    PartialFrameError,
    TimerT1Error,
)
from amity.transports.wrapper_channel import WrapperChannel
from tests.playbooks.playbook import open_session
from tests.unit.devices.conversing import IMPORT

REQUEST, ANSWER = b"\xc0\x01", b"\xc4\x01"
FRAME = encode(1, 16, ANSWER)
Streams = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(behave: Streams) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def channel_to(behave: Streams) -> AsyncIterator[WrapperChannel]:
    async with listening(behave) as port:
        channel = await WrapperChannel.open("127.0.0.1", port, 16, 1, 2.0)
        try:
            yield channel
        finally:
            await channel.close()


def saying(*pieces: bytes, then_wait: bool = False) -> Streams:
    """Read one request, write the pieces one by one, then close (or wait for the client to)."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8 + len(REQUEST))
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        if then_wait:
            await reader.read()

    return behave


def names_its_address(error: TransportError) -> bool:
    return "127.0.0.1:" in (error.tried or "") and bool(error.next_step)


@pytest.mark.parametrize(
    "pieces",
    [
        (FRAME,),
        (FRAME[:3], FRAME[3:9], FRAME[9:]),
        (encode(2, 16, b"other meter") + FRAME,),
        (encode(1, 16, bytes.fromhex("0f00000001000600000001")), FRAME),
    ],
)
async def test_the_answer_is_brought_however_it_is_cut(pieces: tuple[bytes, ...]):
    async with channel_to(saying(*pieces)) as channel:
        assert await channel.exchange(REQUEST, 2.0) == ANSWER


@pytest.mark.parametrize(
    ("source", "destination", "remedy"), [(16, 1, "wrong way round"), (17, 16, "logical device 17"), (1, 0, "--client")]
)
async def test_an_answer_between_two_others_is_named(source: int, destination: int, remedy: str):
    async with channel_to(saying(encode(source, destination, ANSWER), then_wait=True)) as channel:
        with pytest.raises(MisaddressedError, match=f"from {source} to {destination} came; one from 1 to 16") as caught:
            await channel.exchange(REQUEST, 0.2)
        assert remedy in (caught.value.next_step or "")


async def test_what_the_meter_says_unasked_is_kept():
    notification = bytes.fromhex("0f00000001000600000001")
    async with channel_to(saying(encode(1, 16, notification), FRAME)) as channel:
        await channel.exchange(REQUEST, 2.0)
        assert list(channel.unsolicited) == [notification]


async def test_what_the_meter_says_before_it_is_asked_is_kept_too():
    notification = bytes.fromhex("0f00000001000600000001")

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode(1, 16, notification))
        await reader.readexactly(8 + len(REQUEST))
        writer.write(FRAME)

    async with channel_to(behave) as channel:
        async with asyncio.timeout(5):
            while not channel._queue._frames:  # noqa: ASYNC110 - the queue has no event for it
                await asyncio.sleep(0.005)
        assert await channel.exchange(REQUEST, 2.0) == ANSWER
        assert list(channel.unsolicited) == [notification]


async def test_a_request_goes_out_in_one_wrapper_frame():
    heard = bytearray()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readexactly(8 + len(REQUEST)))
        writer.write(FRAME)

    async with channel_to(behave) as channel:
        await channel.exchange(REQUEST, 2.0)
    assert heard == bytes.fromhex("0001 0010 0001 0002") + REQUEST


async def test_a_conversation_is_led_to_its_end():
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8 + 13)
        writer.write(encode(1, 16, bytes.fromhex("c401c1000600001267")))

    async with channel_to(behave) as channel:
        value = await channel.run(get(open_session(), Attribute(3, IMPORT, 2)), 2.0)
    assert value == double_long_unsigned(4711)


async def test_connection_refused():
    async with listening(saying()) as port:
        pass
    with pytest.raises(ConnectionRefusedByPeerError) as caught:
        await WrapperChannel.open("127.0.0.1", port, 16, 1, 2.0)
    assert caught.value.what == "Connection Refused (Error 111)"
    assert names_its_address(caught.value)


async def test_an_address_that_leads_nowhere():
    with pytest.raises(ConnectionFailedError) as caught:
        await WrapperChannel.open("127.0.0.256", 4059, 16, 1, 2.0)
    assert "127.0.0.256:4059" in caught.value.tried


async def test_no_connection_in_time(monkeypatch: pytest.MonkeyPatch):
    async def never(*_args: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
    with pytest.raises(ConnectionFailedError, match="Connection Failed") as caught:
        await WrapperChannel.open("127.0.0.1", 4059, 16, 1, 0.01)
    assert "0.01 s" in caught.value.answer


@pytest.mark.parametrize("cut", [1, 7, 8, 9])
async def test_closed_inside_a_frame_is_a_partial_frame(cut: int):
    async with channel_to(saying(FRAME[:cut])) as channel:
        with pytest.raises(PartialFrameError) as caught:
            await channel.exchange(REQUEST, 2.0)
    assert caught.value.what == "Partial Frame Received"
    assert f"{cut} octets" in caught.value.answer
    assert names_its_address(caught.value)


async def test_silence_inside_a_frame_is_a_partial_frame():
    async with channel_to(saying(FRAME[:9], then_wait=True)) as channel:
        with pytest.raises(PartialFrameError, match="Partial Frame Received"):
            await channel.exchange(REQUEST, 0.05)


async def test_silence_is_a_timer_t1_timeout():
    async with channel_to(saying(then_wait=True)) as channel:
        with pytest.raises(TimerT1Error) as caught:
            await channel.exchange(REQUEST, 0.05)
    assert caught.value.what == "Timer T1 Timeout"
    assert names_its_address(caught.value)


async def test_closed_without_an_answer_is_neither():
    async with channel_to(saying()) as channel:
        with pytest.raises(ConnectionClosedError) as caught:
            await channel.exchange(REQUEST, 2.0)
    assert names_its_address(caught.value)


async def test_garbage_is_the_meters_fault_and_ends_the_connection():
    async with channel_to(saying(b"\x7e\xa0\x07\x03\x21\x93\x0f\x01\x7e", then_wait=True)) as channel:
        with pytest.raises(WrapperError, match="not DLMS over the wrapper"):
            await channel.exchange(REQUEST, 2.0)


async def test_a_flood_of_frames_ends_the_connection():
    async with channel_to(saying(encode(2, 16, b"x") * 100, then_wait=True)) as channel:
        with pytest.raises((WrapperError, PartialFrameError)):
            await channel.exchange(REQUEST, 2.0)


async def test_an_old_answer_is_not_taken_for_a_new_one():
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode(1, 16, b"late"))
        await writer.drain()
        await reader.readexactly(8 + len(REQUEST))
        writer.write(FRAME)

    async with channel_to(behave) as channel:
        await asyncio.sleep(0.02)
        assert await channel.exchange(REQUEST, 2.0) == ANSWER


async def test_one_request_at_a_time():
    async with channel_to(saying(then_wait=True)) as channel:
        first = asyncio.create_task(channel.exchange(REQUEST, 0.1))
        await asyncio.sleep(0)
        with pytest.raises(LocalProtocolError):
            await channel.exchange(REQUEST, 0.1)
        with pytest.raises(TimerT1Error):
            await first


async def test_closing_twice_is_fine():
    async with channel_to(saying()) as channel:
        await channel.close()
        await channel.close()
