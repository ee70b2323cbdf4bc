"""The collector as a process: links to every head-end it knows, ports for pushes, its state for whoever asks."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from amity.collector.confirmations import Confirmations
from amity.collector.forwarder import Forwarder
from amity.collector.headend_link import HeadendLink, keep_linked
from amity.collector.meter_channels import ChannelLimits, MeterChannels
from amity.collector.ports import Ways
from amity.collector.push_intake import PushIntake
from amity.collector.quality import MeterLines
from amity.collector.urgency import UrgencyRules
from amity.headend.regular_file import read_regular
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import isoformat
from amity.protocols.relay.messages import VERSION, Hello
from amity.protocols.relay.peer import Peer
from amity.runtime.doors.peers import allow_list
from amity.runtime.files.relay import RelayFiles, relay_files
from amity.runtime.folder import Folder
from amity.runtime.roles.readiness import stands
from amity.runtime.settings import CollectorSettings, Settings
from amity.runtime.system import SystemClock, random_octets
from amity.security.private_files import write_private
from amity.storage.collector.pushes import SqlPushStore, open_push_store
from amity.transports.caller_listener import CallerListener
from amity.transports.collector_calls import RULES as CALL_RULES
from amity.transports.collector_calls import CallersHere, CollectorDesk
from amity.transports.collector_ways import CollectorWays
from amity.transports.relay_dialer import Destination, dial
from amity.transports.relay_peer import PeerRules, RelayPeer
from amity.transports.relay_tls import TlsFiles, client_context
from amity.transports.udp_push_listener import UdpPushListener

T = TypeVar("T")

_MEGABYTE: Final = 1 << 20
_DIAL_TIMEOUT_S: Final = 30.0
_STATUS_EVERY_S: Final = 2.0
_RSSI_OCTETS_MAX: Final = 64
_DISK = ThreadPoolExecutor(1, thread_name_prefix="collector-disk")


WaysBeyond = Callable[[Ways], Ways]
"""Puts other ways before those of the collector's own network."""


async def run_collector(folder: Folder, settings: Settings, ways: WaysBeyond = lambda own: own) -> None:
    """Carry requests to meters and pushes to the head-end, until cancelled."""
    rules = settings.collector
    if not rules.headends:
        raise ConfigurationError(
            "this collector knows no head-end", next_step='set headends = ["HOST:PORT"] under [collector] in amity.toml'
        )
    store = open_push_store(folder.collector / "pushes.sqlite", rules.held_megabytes_max * _MEGABYTE)
    with closing(store):
        await _Collector(folder, rules, store, ways).run()


class _Collector:
    """All parts of one, joined."""

    def __init__(self, folder: Folder, rules: CollectorSettings, store: SqlPushStore, ways: WaysBeyond) -> None:
        self._folder = folder
        self._rules = rules
        self._store = store
        self._status = folder.collector_status
        self._context = client_context(relay_files(folder))
        self._callers = CallersHere(self._called_in)
        self._ways = ways(CollectorWays(allow_list(rules.meters), rules.meter_names, rules.devices, self._callers))
        self._lines = MeterLines()
        confirmations = Confirmations(time.monotonic)
        self._forwarder = Forwarder(store, _on_the_disk_thread, confirmations)
        self._intake = PushIntake(
            store,
            _on_the_disk_thread,
            SystemClock(),
            random_octets,
            confirmations,
            rules=UrgencyRules(rules.alarm_octets_max),
            on_kept=self._forwarder.wake,
        )
        self._links: dict[str, HeadendLink | None] = dict.fromkeys(rules.headends)
        self._peer_of: dict[str, RelayPeer] = {}
        self._reasons = dict.fromkeys(rules.headends, "not yet connected")
        self._connects = dict.fromkeys(rules.headends, 0)
        self._ports: dict[str, int] = {}
        self._doors: list[CallerListener | UdpPushListener] = []

    async def run(self) -> None:
        """Until cancelled."""
        async with AsyncExitStack() as stack:
            await self._listen(stack)
            stands("collector")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._intake.run())
                tasks.create_task(self._forwarder.run())
                tasks.create_task(RelayFiles(self._folder, SystemClock(), self._use, self._peers).watch().run())
                tasks.create_task(self._report_for_ever())
                tasks.create_task(self._write_status_for_ever())
                for headend in self._rules.headends:
                    tasks.create_task(self._keep_linked(headend))

    async def _listen(self, stack: AsyncExitStack) -> None:
        rules = self._rules
        allows = allow_list(rules.callers_allowed)
        wanted = [("pushes", rules.push_port, False)]
        if rules.alarm_port is not None:
            wanted.append(("alarms", rules.alarm_port, True))
        for name, number, is_for_alarms in wanted:
            desk = CollectorDesk(self._intake, self._callers, is_for_alarms=is_for_alarms)
            connections = CallerListener(desk, allows, CALL_RULES)
            datagrams = UdpPushListener(desk.take_datagram, desk.garbled_datagram, allows)
            self._doors += (connections, datagrams)
            self._ports[name] = await connections.start(rules.push_host, number)
            stack.push_async_callback(connections.close)
            await datagrams.start(rules.push_host, self._ports[name])
            stack.push_async_callback(datagrams.close)
            _log().info("listening", what=name, port=self._ports[name])

    # -------------------------------------------------------------- links
    async def _keep_linked(self, headend: str) -> None:
        destination = _destination(headend)

        async def dial_once() -> HeadendLink:
            held = await _on_the_disk_thread(self._store.held)
            made: list[HeadendLink] = []

            def link_of(peer: Peer) -> HeadendLink:
                limits = ChannelLimits(self._rules.channels_max, self._rules.channel_megabytes_max * _MEGABYTE)
                channels = MeterChannels(peer, self._ways, limits, self._lines)
                hello = Hello(VERSION, f"amity {version('amity')}", held.alarms + held.bulk)
                made.append(HeadendLink(peer, channels, self._forwarder, hello, lambda: self._callers.names))
                return made[0]

            rules = PeerRules(self._rules.ping_every_s)
            self._peer_of[headend] = await dial(destination, self._context, link_of, _DIAL_TIMEOUT_S, rules)
            return made[0]

        def on_link(link: HeadendLink | None, reason: str) -> None:
            self._links[headend] = link
            self._connects[headend] += link is not None
            if reason != self._reasons[headend]:
                self._reasons[headend] = reason
                _log().info("head-end", headend=headend, linked=link is not None, reason=reason)

        await keep_linked(dial_once, on_link, random.SystemRandom().random)

    def _use(self, files: TlsFiles) -> None:
        self._context = client_context(files)

    def _peers(self) -> Iterable[RelayPeer]:
        return self._peer_of.values()

    def _called_in(self, name: str) -> None:
        for link in self._links.values():
            if link is not None:
                link.called_in(name)

    # -------------------------------------------------------------- what is told of it
    async def _report_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._rules.report_every_s)
            held = await _on_the_disk_thread(self._store.held)
            rssi_dbm = await _on_the_disk_thread(self._rssi_dbm)
            for headend, link in self._links.items():
                if link is not None:
                    link.report(
                        {
                            "held": held._asdict(),
                            "rssi_dbm": rssi_dbm,
                            "connects": self._connects[headend],
                            "refused": self._intake.refused,
                            "meters": self._lines.document(),
                        }
                    )

    async def _write_status_for_ever(self) -> None:
        while True:
            text = json.dumps(await self._document(), indent=1)
            await _on_the_disk_thread(lambda text=text: write_private(self._status, text))  # type: ignore[misc]
            await asyncio.sleep(_STATUS_EVERY_S)

    async def _document(self) -> dict[str, Any]:
        held = await _on_the_disk_thread(self._store.held)
        return {
            "at": isoformat(SystemClock().now()),
            "ports": self._ports,
            "headends": {headend: self._link_document(headend) for headend in self._links},
            "held": held._asdict(),
            "pushes": {
                "taken": self._intake.taken,
                "refused": self._intake.refused,
                "forwarded": self._forwarder.forwarded,
            },
            "callers": {
                "on_line": sorted(self._callers.names),
                "turned_away": sum(door.turned_away for door in self._doors),
            },
            "meters": self._lines.document(),
        }

    def _link_document(self, headend: str) -> dict[str, Any]:
        link = self._links[headend]
        told: dict[str, Any] = {"linked": link is not None and link.is_welcome, "connects": self._connects[headend]}
        if link is None:
            return told | {"reason": self._reasons[headend]}
        traffic, rtt_s = link.peer.traffic, link.peer.rtt_s
        return told | {
            "rtt_ms": None if rtt_s is None else round(rtt_s * 1000),
            "channels": link.channels,
            "plain_octets": {"out": traffic.plain_out, "in": traffic.plain_in},
            "packed_octets": {"out": traffic.packed_out, "in": traffic.packed_in},
            "ratio": None if traffic.ratio is None else round(traffic.ratio, 2),
        }

    def _rssi_dbm(self) -> int | None:
        """What the modem last said; None where nobody says it."""
        try:
            file = self._rules.rssi_file
            return int(read_regular(Path(file), _RSSI_OCTETS_MAX)) if file else None
        except (OSError, ValueError, ConfigurationError):
            return None


def _destination(text: str) -> Destination:
    host, _, port = text.rpartition(":")
    return Destination(host.strip("[]"), int(port))


async def _on_the_disk_thread(work: Callable[[], T], /) -> T:
    return await asyncio.get_running_loop().run_in_executor(_DISK, work)


def _log() -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = structlog.get_logger("collector")
    return log
