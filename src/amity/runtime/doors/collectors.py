"""Where collectors come in at the head-end: the listener, who is connected, what the log says of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import structlog

from amity.headend.calls.desk import title_in
from amity.headend.calls.lines import CalledLines
from amity.headend.collectors.connected import ConnectedCollector, Office
from amity.headend.collectors.failures import CollectorNotConnectedError
from amity.headend.collectors.ports import Presented
from amity.headend.collectors.registry import PARKED, Collectors
from amity.headend.pushes.desk import PushDesk
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import StorageError
from amity.protocols.relay.peer import Peer
from amity.runtime.doors.peers import allow_list
from amity.runtime.files.relay import RelayFiles, relay_files
from amity.runtime.folder import Folder
from amity.runtime.roles.job_work import worker_name
from amity.runtime.settings import HeadendSettings
from amity.storage.ot.database import OtDatabase
from amity.transports.relay_listener import RelayListener
from amity.transports.relay_tls import Identity, server_context

_IDS_KEPT: Final = timedelta(days=90)
_WATCH_EVERY_S: Final = 5.0
_PRUNE_EVERY_S: Final = 3600.0
_CALLED_WAITING_MAX: Final = 1024
_NAME_SHOWN: Final = 64


class CollectorDoor:
    """Open while the head-end runs, if its settings name a port; before and after that nobody is connected."""

    def __init__(self) -> None:
        self.collectors: Collectors | None = None

    def serving(self, name: str) -> ConnectedCollector:
        """The collector of this name; raise CollectorNotConnectedError when it is not here."""
        if self.collectors is None:
            raise CollectorNotConnectedError(name)
        return self.collectors.serving(name)

    @property
    def connected(self) -> tuple[ConnectedCollector, ...]:
        """The collectors that serve."""
        return () if self.collectors is None else self.collectors.all

    @asynccontextmanager
    async def open(
        self,
        folder: Folder,
        settings: HeadendSettings,
        surroundings: Surroundings,
        database: OtDatabase,
        pushes: PushDesk,
        lines: CalledLines,
    ) -> AsyncIterator[None]:
        """Let collectors in; raise ConfigurationError for certificates that cannot be used."""
        if settings.collector_port is None:
            yield
            return
        called: asyncio.Queue[tuple[str, str]] = asyncio.Queue(_CALLED_WAITING_MAX)
        office = Office(
            worker_name(),
            database.collectors,
            database.forwarded_pushes,
            pushes.take_forwarded,
            surroundings.clock,
            surroundings.disk,
            called_in=lambda collector, name: None if called.full() else called.put_nowait((collector, name)),
        )
        collectors = self.collectors = Collectors(office, _tell)

        def greet(peer: Peer, identity: Identity) -> ConnectedCollector:
            return collectors.greet(peer, Presented(identity.name, identity.fingerprint, peer.address))

        allows = allow_list(settings.peers_allowed)
        listener = RelayListener(server_context(relay_files(folder)), greet, allows=allows)
        port = await listener.start(settings.collector_host, settings.collector_port)
        _log().info("listening for collectors", port=port)
        files = RelayFiles(
            folder, surroundings.clock, lambda new: listener.use(server_context(new)), lambda: listener.peers
        )
        watches = [
            asyncio.create_task(files.watch().run()),
            asyncio.create_task(_tell_of_callers(listener)),
            asyncio.create_task(_prune_for_ever(surroundings, database)),
            asyncio.create_task(_hear_who_called(called, pushes, lines)),
        ]
        try:
            yield
        finally:
            for task in watches:
                task.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
            await collectors.close()
            await listener.close()
            self.collectors = None


def _tell(what: str, who: Presented) -> None:
    told = {"name": who.name, "fingerprint": who.fingerprint[:16], "address": who.address}
    if what == PARKED:
        _log().warning("collector not accepted", **told, next=f"amity collector accept {who.name}")
    else:
        _log().info(f"collector {what}", **told)


async def _tell_of_callers(listener: RelayListener) -> None:
    """Callers without a good certificate, whenever there were more."""
    told = 0
    while True:
        if listener.turned_away.count > told:
            told = listener.turned_away.count
            _log().warning("collectors turned away", count=told, last=listener.turned_away.last)
        await asyncio.sleep(_WATCH_EVERY_S)


async def _hear_who_called(called: asyncio.Queue[tuple[str, str]], pushes: PushDesk, lines: CalledLines) -> None:
    """What waits for a meter is due once it is on the line at its collector; strangers are told of."""
    while True:
        collector, name = await called.get()
        try:
            endpoint = await pushes.sender(name) or await pushes.sender(title_in(name))
        except StorageError as error:
            _log().error("caller not looked up", collector=collector, reason=error.lines())
            continue
        if endpoint is None or not endpoint.route.calls_in or endpoint.route.collector != collector:
            _log().warning("somebody unknown called a collector", collector=collector, name=name[:_NAME_SHOWN])
        else:
            lines.on_line(endpoint.meter_id)


async def _prune_for_ever(surroundings: Surroundings, database: OtDatabase) -> None:
    while True:
        before = surroundings.clock.now() - _IDS_KEPT
        try:
            await surroundings.disk(lambda before=before: database.forwarded_pushes.prune(before))  # type: ignore[misc]
        except StorageError as error:
            _log().error("old push ids not pruned", reason=error.lines())
        await asyncio.sleep(_PRUNE_EVERY_S)


def _log() -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = structlog.get_logger("collectors")
    return log
