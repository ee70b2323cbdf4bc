"""Where meters call in: TCP and UDP of one port number, MQTT before the broker's; and who came, for whoever asks."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import structlog

from amity.headend.calls.callers import Certified, Datagram
from amity.headend.calls.desk import CallDesk
from amity.headend.calls.lines import CalledLines
from amity.headend.pushes.desk import PushDesk
from amity.headend.pushes.parking import Parked
from amity.headend.pushes.senders import reason_of
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import RemoteProtocolError, StorageError
from amity.kernel.time import isoformat
from amity.messaging.access import load_access
from amity.messaging.meter_access import PUSHES
from amity.messaging.meter_pushes import MeterPushes
from amity.protocols.wrapper.frame import HEADER_OCTETS, VERSION, Frame, decode_datagram
from amity.runtime.doors.broker_place import broker_folder
from amity.runtime.doors.peers import allow_list
from amity.runtime.folder import Folder
from amity.runtime.settings import Settings
from amity.security.private_files import write_private
from amity.transports.caller_listener import CallerListener
from amity.transports.guarded_port import GuardedPort
from amity.transports.proxy_protocol import nobody
from amity.transports.udp_push_listener import UdpPushListener

OnLine = Callable[[str], Awaitable[None]]
"""Told of a meter that was not on the line before."""
Peers = Callable[[str], bool]
"""Whether an address is one of them."""

_WATCH_EVERY_S: Final = 5.0
_OCTETS_SHOWN: Final = 64
_SENDERS_SHOWN: Final = 10
_TOLD_MAX: Final = 256
"""A stranger's name can be as long as a push."""
_WRAPPED: Final = VERSION.to_bytes(2, "big")
_NO_ADDRESS: Final = 1


class CallDoors:
    """All doors of a head-end; `run` tells of callers while they are `open`."""

    def __init__(self, pushes: PushDesk, lines: CalledLines, surroundings: Surroundings) -> None:
        self.pushes = pushes
        self.lines = lines
        self._surroundings = surroundings
        self._tcp: CallerListener | None = None
        self._udp: UdpPushListener | None = None
        self._mqtt: GuardedPort | None = None
        self._folder: Folder | None = None
        self._came: asyncio.Queue[str] = asyncio.Queue()
        self._on_line: OnLine | None = None
        self._mqtt_pushes: MeterPushes | None = None
        lines.on_line = self._came.put_nowait

    @asynccontextmanager
    async def open(self, folder: Folder, settings: Settings, on_line: OnLine) -> AsyncIterator[None]:
        """Let callers in; raise TransportError for a port that cannot be had."""
        headend = settings.headend
        allows = allow_list(headend.peers_allowed)
        is_proxy = allow_list(headend.proxies) if headend.proxies else nobody
        self._folder, self._on_line = folder, on_line
        desk = CallDesk(self.pushes, self.lines, self._surroundings)
        async with AsyncExitStack() as stack:
            self._tcp = CallerListener(desk, allows, is_proxy=is_proxy)
            port = await self._tcp.start(headend.push_host, headend.push_port)
            stack.push_async_callback(self._tcp.close)
            self._udp = UdpPushListener(self._take_datagram, self._garbled_datagram, allows)
            await self._udp.start(headend.push_host, port)
            stack.push_async_callback(self._udp.close)
            _log().info("listening for meters that call", port=port, over="tcp, udp")
            if settings.broker.mqtt_port is not None:
                await self._open_mqtt(stack, folder, settings, allows, is_proxy)
            yield

    async def run(self) -> None:
        """Tell of who called, take what is published, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell_of_lines())
            tasks.create_task(self._tell_of_strangers())
            if self._mqtt_pushes is not None:
                tasks.create_task(self._mqtt_pushes.run())

    @property
    def document(self) -> dict[str, Any]:
        """Who called and was not believed, and who is on the line, as JSON values."""
        parking = self.pushes.parking
        return {
            "at": isoformat(self._surroundings.clock.now()),
            "taken": self.pushes.taken,
            "parked": dict(parking.counts),
            "senders": dict(parking.senders.most_common(_SENDERS_SHOWN)),
            "turned_away": self.turned_away,
            "dropped": 0 if self._udp is None else self._udp.dropped,
            "connections": 0 if self._tcp is None else self._tcp.open_calls,
            "on_line": self.lines.meters,
            "newest": [_parked(one) for one in reversed(parking.newest)],
        }

    async def _open_mqtt(
        self, stack: AsyncExitStack, folder: Folder, settings: Settings, allows: Peers, is_proxy: Peers
    ) -> None:
        headend, broker = settings.headend, broker_folder(folder, settings.broker)
        access = load_access(folder.broker, PUSHES, broker.url, broker.tls)
        self._mqtt_pushes = MeterPushes(access, self._take_published)
        if headend.mqtt_port is not None:
            self._mqtt = GuardedPort(("127.0.0.1", settings.broker.mqtt_port or 0), allows, is_proxy=is_proxy)
            port = await self._mqtt.start(headend.mqtt_host, headend.mqtt_port)
            stack.push_async_callback(self._mqtt.close)
            _log().info("listening for meters that call", port=port, over="mqtt")

    # -------------------------------------------------------------- pushes
    async def _take_datagram(self, frame: Frame, peer: str) -> bytes | None:
        opened = await self.pushes.take(frame, Datagram(peer))
        return None if opened is None else await self.pushes.confirmation(opened, frame)

    def _garbled_datagram(self, peer: str, octets: bytes, error: RemoteProtocolError) -> None:
        self.pushes.park(str(Datagram(peer)), octets, error)

    async def _take_published(self, meter: str, body: bytes) -> bytes | None:
        """A bare APDU, or one in a wrapper frame."""
        caller = Certified(meter)
        try:
            frame = decode_datagram(body) if _is_wrapped(body) else Frame(_NO_ADDRESS, _NO_ADDRESS, body)
        except RemoteProtocolError as error:
            self.pushes.park(str(caller), body[:_OCTETS_SHOWN], error)
            return None
        opened = await self.pushes.take_or_raise(frame, caller)
        return None if opened is None else await self.pushes.confirmation(opened, frame)

    # -------------------------------------------------------------- what is told
    async def _tell_of_lines(self) -> None:
        while True:
            meter_id = await self._came.get()
            _log().info("meter on the line", meter=meter_id)
            if self._on_line is not None:
                await self._on_line(meter_id)

    async def _tell_of_strangers(self) -> None:
        """Connections that were turned away, whenever there were more, and all of it as a file."""
        told = 0
        while True:
            if self.turned_away > told:
                told = self.turned_away
                _log().warning("callers turned away", count=told, peer=self._turned_away_last())
            if self._folder is not None:
                path, text = self._folder.calls, json.dumps(self.document, indent=1)
                try:
                    await asyncio.to_thread(write_private, path, text)
                except StorageError as error:
                    _log().warning("the list of callers is not written", reason=error.lines())
            await asyncio.sleep(_WATCH_EVERY_S)

    def _doors(self) -> list[CallerListener | UdpPushListener | GuardedPort]:
        return [door for door in (self._tcp, self._udp, self._mqtt) if door is not None]

    @property
    def turned_away(self) -> int:
        """Connections that were closed before an octet was read, since the start."""
        return sum(door.turned_away for door in self._doors())

    def _turned_away_last(self) -> str:
        return next((door.turned_away_last for door in self._doors() if door.turned_away_last), "")


def _is_wrapped(body: bytes) -> bool:
    return body[:2] == _WRAPPED and len(body) > HEADER_OCTETS


def _parked(parked: Parked) -> dict[str, Any]:
    error = parked.error
    return {
        "at": isoformat(parked.at),
        "from": parked.peer,
        "why": reason_of(error),
        "told": error.what[:_TOLD_MAX],
        "next": error.next_step or "",
        "octets": parked.octets[:_OCTETS_SHOWN].hex(),
    }


def _log() -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = structlog.get_logger("calls")
    return log
