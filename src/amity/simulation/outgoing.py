"""Frames that a simulated meter sends because it was told to push: to the place that its push set-up names."""

import asyncio
from collections.abc import Callable

from amity.devices.cosem.push import PushDestination, PushMessage, PushTransport

CONNECT_TIMEOUT_S = 5.0
_PORT_MAX = 65_535
_CHUNK_OCTETS = 1024


Hearing = Callable[[bytes], bool]
"""Whether the octets that came back are the answer that was waited for."""


async def deliver(host: str, port: int, frame: bytes, hearing: Hearing | None = None) -> bool:
    """Call, hand over one frame, wait for the answer where one is wanted, and hang up; False when nobody takes it."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(frame)
                await writer.drain()
                confirmed = hearing is None or await _hears(reader, hearing)
            finally:
                writer.close()
            await writer.wait_closed()
    except OSError:  # TimeoutError is one
        return False
    return confirmed


async def _hears(reader: asyncio.StreamReader, hearing: Hearing) -> bool:
    """Listen until the answer is there; False when the other side hangs up before."""
    heard = b""
    while octets := await reader.read(_CHUNK_OCTETS):
        heard += octets
        if hearing(heard):
            return True
        if len(heard) > _CHUNK_OCTETS:
            break
    return False


class Outgoing:
    """The calls of a fleet that are under way; `close` gives up those that are left."""

    def __init__(self) -> None:
        self._calls: set[asyncio.Task[bool]] = set()

    def send(self, destination: PushDestination, frame: bytes) -> bool:
        """Begin a call; False for a destination that is no TCP address, or a message that is no bare APDU."""
        host, _, port = destination.address.rpartition(":")
        tcp = (destination.transport, destination.message) == (PushTransport.TCP, PushMessage.APDU)
        if not tcp or not host or not port.isdecimal() or not 0 < int(port) <= _PORT_MAX:
            return False
        call = asyncio.create_task(deliver(host.strip("[]"), int(port), frame), name=f"push to {destination.address}")
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return True

    async def close(self) -> None:
        """Give up what has not been taken yet."""
        for call in tuple(self._calls):
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
