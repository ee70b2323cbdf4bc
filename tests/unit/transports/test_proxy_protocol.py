"""PROXY protocol: who called is believed from proxies alone, in both versions, split anyhow; noise is cut off."""

import asyncio
import gc
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.kernel.errors import RemoteProtocolError
from amity.protocols.wrapper.frame import Frame, encode
from amity.transports.call import Call, CallRules
from amity.transports.caller_listener import CallerListener
from amity.transports.guarded_port import GuardedPort, GuardRules
from amity.transports.proxy_protocol import Called, behind_proxies, nobody, read_header

HOST = "127.0.0.1"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = SIGNATURE + struct.pack(">BBH4s4sHH", 0x21, 0x11, 12, bytes([203, 0, 113, 9]), bytes(4), 50000, 4059)
V4_WITH_TLV = SIGNATURE + struct.pack(">BBH4s4sHH", 0x21, 0x11, 15, bytes([203, 0, 113, 9]), bytes(4), 50000, 4059)
V4_WITH_TLV += b"\x04\x00\x00"
V6 = SIGNATURE + struct.pack(
    ">BBH16s16sHH", 0x21, 0x21, 36, bytes([0x20, 1, 0xD, 0xB8] + [0] * 11 + [7]), bytes(16), 1, 2
)
V4_IN_V6 = SIGNATURE + struct.pack(
    ">BBH16s16sHH", 0x21, 0x21, 36, bytes(10) + b"\xff\xff" + bytes([10, 9, 9, 9]), bytes(16), 1, 2
)
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
TEXT = b"PROXY TCP4 203.0.113.9 10.0.0.1 50000 4059\r\n"
HEADERS = {
    V4: ("203.0.113.9", 50000), V4_WITH_TLV: ("203.0.113.9", 50000),
    V6: ("2001:db8::7", 1), TEXT: ("203.0.113.9", 50000),
    V4_IN_V6: ("10.9.9.9", 1), b"PROXY TCP6 ::ffff:10.9.9.9 ::1 1 2\r\n": ("10.9.9.9", 1),
    b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n": ("2001:db8::7", 1), LOCAL: None, b"PROXY UNKNOWN\r\n": None,
}  # fmt: skip


@pytest.mark.parametrize("header", HEADERS, ids=lambda one: one.hex()[:60])
def test_a_header_is_read_however_it_comes(header: bytes) -> None:
    for end in range(len(header)):
        assert read_header(header[:end]) is None
    assert read_header(header + b"rest") == Called(HEADERS[header], len(header))


@given(st.binary(max_size=200), st.sampled_from([b"", SIGNATURE, SIGNATURE + b"\x21\x11", b"PROXY ", b"PROXY TCP4 "]))
def test_any_octets_are_a_header_or_none_or_refused(octets: bytes, start: bytes) -> None:
    with suppress(RemoteProtocolError):
        called = read_header(start + octets)
        assert called is None or called.octets <= len(start + octets)


class Desk:
    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []

    async def said(self, call: Call, frame: Frame) -> bytes | None:
        self.heard.append((call.peer, frame.payload))
        return b"kept"

    async def named(self, call: Call, name: str) -> None:
        self.heard.append((call.peer, name.encode()))

    async def silent(self, call: Call) -> None:
        """Nobody is asked here."""

    def garbled(self, call: Call, octets: bytes, error: RemoteProtocolError) -> None:
        del error
        self.heard.append((call.peer, octets))

    def gone(self, call: Call) -> None:
        """Nobody looks."""


@asynccontextmanager
async def listening(desk: Desk, is_proxy: Callable[[str], bool]) -> AsyncIterator[tuple[CallerListener, int]]:
    rules = CallRules(frame_timeout_s=0.3)
    listener = CallerListener(desk, lambda peer: peer != "203.0.113.66", rules, is_proxy)
    yield listener, await listener.start(HOST, 0)
    await listener.close()


async def say(port: int, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    heard = b""
    with suppress(OSError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write_eof()
        heard = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return heard


@pytest.mark.parametrize("header", [V4, TEXT, V4_WITH_TLV])
async def test_behind_a_proxy_the_meter_has_its_own_address(header: bytes) -> None:
    desk, frame = Desk(), encode(1, 16, b"\x0fpush")
    async with listening(desk, lambda peer: peer == HOST) as (_, port):
        assert (await say(port, header[:5], header[5:] + frame[:3], frame[3:])).endswith(b"kept")
    assert desk.heard == [("203.0.113.9", b"\x0fpush")]


async def test_who_is_no_proxy_does_not_say_who_he_is() -> None:
    desk = Desk()
    for is_proxy in (nobody, lambda peer: peer == "10.0.0.1"):
        async with listening(desk, is_proxy) as (_, port):
            await say(port, TEXT + encode(1, 16, b"\x0fpush"))
            await say(port, V4 + encode(1, 16, b"\x0fpush"))
    assert desk.heard
    assert {peer for peer, _ in desk.heard} == {HOST}


async def test_allowed_and_counted_is_the_caller_and_not_the_proxy() -> None:
    desk = Desk()
    async with listening(desk, lambda peer: peer == HOST) as (listener, port):
        assert await say(port, TEXT.replace(b"113.9", b"113.66"), encode(1, 16, b"\x0fpush")) == b""
        assert (listener.turned_away, listener.turned_away_last) == (1, "203.0.113.66")
    assert desk.heard == []


@pytest.mark.parametrize("octets", [LOCAL, b"", V4[:20], encode(1, 16, b"\x0fpush"), b"PROXY TCP4 nobody\r\n"])
async def test_a_proxy_that_names_nobody_is_not_heard(octets: bytes) -> None:
    desk = Desk()
    async with listening(desk, lambda peer: peer == HOST) as (listener, port):
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(octets)
        with suppress(OSError):  # in the time that a frame has
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        assert (desk.heard, listener.turned_away) == ([], 0)


# ------------------------------------------------------------------ before a server of our own
@asynccontextmanager
async def guarded(**changes: object) -> AsyncIterator[tuple[GuardedPort, int]]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while octets := await reader.read(100):
                writer.write(b"heard " + octets)
        finally:
            writer.transport.abort()

    behind = await asyncio.start_server(echo, HOST, 0)
    where = behind.sockets[0].getsockname()[:2]
    made = GuardedPort(where, lambda peer: peer in {HOST, "203.0.113.9"}, GuardRules(header_timeout_s=0.3), **changes)
    yield made, await made.start(HOST, 0)
    await made.close()
    behind.close()
    await behind.wait_closed()


async def exchange(port: int, octets: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    heard = b""
    with suppress(OSError):
        writer.write(octets)
        heard = await asyncio.wait_for(reader.read(100), 5)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return heard


def test_a_connection_that_is_reset_before_it_is_accepted_is_nobodys_call() -> None:
    """HAProxy's look at the port, once a second: it was counted and told as a caller called `unknown`."""

    class Gone(asyncio.Transport):
        aborted = 0

        def get_extra_info(self, _name: str, default: object = None) -> object:
            return default

        def abort(self) -> None:
            self.aborted += 1

    gone, calls = Gone(), []
    behind_proxies(lambda: calls.append(1) or asyncio.Protocol(), lambda _: False, 1.0)().connection_made(gone)
    assert (gone.aborted, calls) == (1, [])


async def test_a_guarded_port_hears_who_called_through_a_proxy() -> None:
    async with guarded(is_proxy=lambda peer: peer == HOST) as (port, number):
        assert await exchange(number, TEXT + b"hello") == b"heard hello"
        assert await exchange(number, V4.replace(bytes([113, 9]), bytes([113, 66])) + b"hello") == b""
        assert (port.turned_away, port.turned_away_last) == (1, "203.0.113.66")
        assert await exchange(number, b"hello") == b""


async def test_a_guarded_port_that_is_closed_while_its_callers_leave_leaves_nothing_open() -> None:
    """Warnings are errors: a connection that nobody closes shows when its writer is collected."""
    for pause in range(16):
        async with guarded() as (_, number):
            reader, writer = await asyncio.open_connection(HOST, number)
            writer.write(b"hello")
            assert await reader.read(100) == b"heard hello"
            writer.transport.abort()
            for _ in range(pause):
                await asyncio.sleep(0)
        gc.collect()
