"""Where meters around the collector push: wrapper frames over TCP and UDP, taken once they are on the disk."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast

from amity.collector.push_intake import PushIntake
from amity.devices.notification_intake import NotificationIntake
from amity.kernel.errors import AmityError, RemoteProtocolError, StorageError, TransportError
from amity.protocols.wrapper.frame import Frame, Reader, WrapperError, decode_datagram, encode

_CHUNK_OCTETS: Final = 4096


@dataclass(frozen=True, slots=True)
class PushPortRules:
    """Bounds against those who call: connections at a time, silence, size of an APDU, datagrams not yet stored."""

    connections_max: int = 256
    idle_timeout_s: float = 60.0
    apdu_octets_max: int = 16 * 1024
    datagrams_max: int = 256


class PushPort:
    """Listens from `start` until `close`; a connection whose push cannot be kept is cut, so that its meter tries again.

    A port for alarms makes everything that comes in on it an alarm.
    """

    def __init__(
        self,
        intake: PushIntake,
        allows: Callable[[str], bool],
        *,
        is_for_alarms: bool = False,
        rules: PushPortRules | None = None,
    ) -> None:
        self._intake = intake
        self._allows = allows
        self._is_for_alarms = is_for_alarms
        self._rules = rules or PushPortRules()
        self._server: asyncio.Server | None = None
        self._datagrams: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.turned_away = 0

    async def start(self, host: str, port: int) -> int:
        """Listen on a TCP and a UDP port of one number; return it; raise TransportError when they cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await asyncio.start_server(self._connected, host, port, limit=_CHUNK_OCTETS)
            taken = int(self._server.sockets[0].getsockname()[1])
            self._datagrams, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self._datagram), local_addr=(host, taken)
            )
        except OSError as error:
            await self.close()
            raise TransportError(
                f"cannot listen for pushes on {host}:{port}: {error.strerror or error}",
                next_step="choose another port for pushes or end the program that holds it",
            ) from error
        return taken

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._datagrams is not None:
            self._datagrams.close()
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    # -------------------------------------------------------------- TCP
    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        peer = str((writer.get_extra_info("peername") or ("unknown",))[0])
        if task is None or not self._allows(peer) or len(self._tasks) >= self._rules.connections_max:
            self.turned_away += 1
            writer.close()
            return
        self._tasks.add(task)
        try:
            await self._serve(reader, writer, peer)
        except (OSError, TimeoutError, AmityError, asyncio.CancelledError):
            pass  # silent, gone, no wrapper, or not to be kept: the meter sees the connection end
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        frames = Reader(self._rules.apdu_octets_max)
        blocks = NotificationIntake(self._rules.apdu_octets_max)
        while True:
            async with asyncio.timeout(self._rules.idle_timeout_s):
                octets = await reader.read(_CHUNK_OCTETS)
            if not octets:
                return
            for frame in frames.feed(octets):
                arrived = blocks.receive(frame.payload)
                if arrived.message is not None:
                    whole = frame._replace(payload=arrived.message)
                    await self._intake.take(whole, peer, on_alarm_port=self._is_for_alarms)
                for answer in arrived.answers:  # the last block is acknowledged when the whole is on the disk
                    writer.write(encode(frame.destination, frame.source, answer))

    # -------------------------------------------------------------- UDP
    def _datagram(self, octets: bytes, peer: str) -> None:
        if not self._allows(peer) or len(self._tasks) >= self._rules.datagrams_max:
            self.turned_away += 1
            return
        try:
            frame = decode_datagram(octets)
        except WrapperError:
            self.turned_away += 1
            return
        task = asyncio.create_task(self._take(frame, peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, frame: Frame, peer: str) -> None:
        with suppress(StorageError, RemoteProtocolError):  # counted by the intake; a datagram gets no answer
            await self._intake.take(frame, peer, on_alarm_port=self._is_for_alarms)


class _Datagrams(asyncio.DatagramProtocol):
    """Hands datagrams on with the address of their sender."""

    def __init__(self, heard: Callable[[bytes, str], None]) -> None:
        self._heard = heard

    def datagram_received(self, data: bytes, addr: object) -> None:
        """One came."""
        self._heard(data, str(cast("tuple[str, int]", addr)[0]))
