"""The hand-made meter on a socket: wrapper or HDLC over TCP, in whatever pieces."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from tests.interop.handmade.link import Link
from tests.interop.handmade.meter import Meter


@dataclass(frozen=True)
class WrapperHabits:
    """`pieces` is how many octets go out at once, 0 for all; `head_alone` sends the eight octets of header first."""

    pieces: int = 0
    head_alone: bool = False


class _Wrapper:
    """Wrapper frames in, wrapper frames out (IEC 62056-47, 7.3)."""

    def __init__(self, habits: WrapperHabits, meter: Meter) -> None:
        self.habits = habits
        self.meter = meter
        self._held = b""

    def receive(self, octets: bytes) -> list[bytes]:
        self._held += octets
        out: list[bytes] = []
        while len(self._held) >= 8 and len(self._held) >= 8 + int.from_bytes(self._held[6:8], "big"):
            head, end = self._held[:8], 8 + int.from_bytes(self._held[6:8], "big")
            assert head[:2] == b"\x00\x01", "wrapper version 1"
            apdu, self._held = self._held[8:end], self._held[end:]
            answer = self.meter.answer(apdu)
            if answer:
                turned = b"\x00\x01" + head[4:6] + head[2:4] + len(answer).to_bytes(2, "big")
                out += [turned, answer] if self.habits.head_alone else [turned + answer]
        return out


@contextlib.asynccontextmanager
async def listening(receive: Callable[[bytes], list[bytes]], *, pieces: int = 0) -> AsyncIterator[int]:
    """A free loopback port behind which `receive` answers; fails when the meter met something against the standard."""
    complaints: list[BaseException] = []
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        try:
            while octets := await reader.read(4096):
                for whole in receive(octets):
                    step = pieces or max(len(whole), 1)
                    for at in range(0, len(whole), step):
                        writer.write(whole[at : at + step])
                        await writer.drain()
                        if pieces or len(whole) == 8:
                            await asyncio.sleep(0)
        except ConnectionError:
            pass  # the client has what it wanted, and left before the last octet
        except Exception as complaint:  # noqa: BLE001 - whatever it is, the test is told
            complaints.append(complaint)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*(task for task in serving if task is not None))
        if complaints:
            raise complaints[0]


@contextlib.asynccontextmanager
async def on_wrapper(meter: Meter, habits: WrapperHabits) -> AsyncIterator[int]:
    """The meter behind the TCP wrapper."""
    async with listening(_Wrapper(habits, meter).receive, pieces=habits.pieces) as port:
        yield port


@contextlib.asynccontextmanager
async def on_hdlc(link: Link, *, pieces: int = 0) -> AsyncIterator[int]:
    """The meter behind HDLC over TCP."""
    async with listening(lambda octets: [link.receive(octets)], pieces=pieces) as port:
        yield port
