"""The OT side as a process: reads the fleet, listens for pushes, hands deliveries to the broker."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

import structlog

from amity.domain.collection import Outcome
from amity.headend.delivery import Courier
from amity.headend.fleet import Fleet, OnProgress, Round, Told
from amity.headend.mapping_file import MappingFile
from amity.headend.plan import ReadingRules
from amity.headend.push_listener import PushListener
from amity.headend.surroundings import SessionRules, Surroundings
from amity.kernel.errors import AmityError
from amity.messaging.access import OT, SUBJECT, load_access
from amity.messaging.broker import JetStreamPublisher
from amity.messaging.codec import ProtobufCodec
from amity.messaging.nats_server import BrokerFolder
from amity.runtime.folder import Folder
from amity.runtime.profile_folder import catalogue_of
from amity.runtime.settings import HeadendSettings, Settings
from amity.runtime.system import SystemClock, random_octets
from amity.security.private_files import read_private, write_private
from amity.storage.ot.database import OtDatabase, open_database
from amity.storage.ot.keys import KeyFile
from amity.transports.meter_connector import TcpConnector

T = TypeVar("T")

_TITLE_MAKER = b"AMI"
_TITLE_RANDOM_OCTETS = 5
_PRUNE_EVERY_S = 3600.0
_WATCH_EVERY_S = 5.0


async def run_headend(folder: Folder, settings: Settings) -> None:
    """Read the fleet round after round, take pushes in and carry deliveries, until cancelled."""
    async with _headend(folder, settings, _log_progress()) as (fleet, courier, listener, database):
        port = await listener.start(settings.headend.push_host, settings.headend.push_port)
        _log().info("listening for pushes", port=port)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(fleet.run_forever(settings.headend.poll_interval_s))
                tasks.create_task(courier.run())
                tasks.create_task(_prune_for_ever(database, settings.headend))
        finally:
            await listener.close()


async def read_fleet_once(folder: Folder, settings: Settings, tell: OnProgress) -> Round:
    """Read every meter once and carry all deliveries to the broker; raise StorageError or TransportError if not."""
    async with _headend(folder, settings, tell) as (fleet, courier, _, _database):
        finished = await fleet.read_fleet_once()
        await courier.drain()
        return finished


@asynccontextmanager
async def _headend(
    folder: Folder, settings: Settings, tell: OnProgress
) -> AsyncIterator[tuple[Fleet, Courier, PushListener, OtDatabase]]:
    database = open_database(folder.ot_database)
    broker = BrokerFolder(folder.broker, settings.broker.port)
    publisher = JetStreamPublisher(load_access(folder.broker, OT, broker.url))
    surroundings = _surroundings(folder, settings.headend, database)
    fleet = Fleet(surroundings, concurrent_sessions=settings.headend.concurrency, on_progress=tell)
    courier = Courier(database.collection, publisher, _on_a_thread, random.SystemRandom().random)
    watch = asyncio.create_task(_tell_of_trouble(courier, surroundings.mappings))
    try:
        yield fleet, courier, PushListener(surroundings, database.push_counters), database
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await publisher.close()
        database.close()


def _surroundings(folder: Folder, settings: HeadendSettings, database: OtDatabase) -> Surroundings:
    return Surroundings(
        clock=SystemClock(),
        chance=random.SystemRandom().random,
        random_octets=random_octets,
        system_title=_system_title(folder),
        connector=TcpConnector(),
        disk=_on_a_thread,
        endpoints=database.endpoints,
        keys=KeyFile(folder.keys),
        counters=database.counters,
        collection=database.collection,
        codec=ProtobufCodec(),
        mappings=MappingFile(folder.mapping),
        subject=SUBJECT,
        profile_of=catalogue_of(folder.profiles if folder.profiles.is_dir() else None).profile,
        reading=ReadingRules(first_read=timedelta(days=settings.backfill_days)),
        session=SessionRules(
            connect_timeout_s=settings.connect_timeout_s,
            request_timeout_s=settings.request_timeout_s,
            attempts_max=settings.attempts,
        ),
    )


def _system_title(folder: Folder) -> bytes:
    """Ours, made once: title and invocation counter make the nonce, so it lives and dies with the counters."""
    path = folder.ot_database.parent / "system-title"
    if not path.exists():
        write_private(path, (_TITLE_MAKER + random_octets(_TITLE_RANDOM_OCTETS)).hex())
    return bytes.fromhex(read_private(path, missing="provision the head-end again"))


async def _on_a_thread(work: Callable[[], T], /) -> T:
    return await asyncio.to_thread(work)


# ------------------------------------------------------------------ what the log says
def _log() -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = structlog.get_logger("headend")
    return log


def _log_progress() -> OnProgress:
    """A line when a meter's outcome changes; the same outcome again is not news."""
    last: dict[str, Outcome] = {}

    def tell(told: Told) -> None:
        delivery = told.delivery
        if told.not_kept is not None:
            _log().error("delivery not kept", meter=delivery.meter_id, reason=told.not_kept.lines())
        if last.get(delivery.meter_id) is not delivery.outcome:
            last[delivery.meter_id] = delivery.outcome
            _log().info("meter", meter=delivery.meter_id, outcome=str(delivery.outcome), detail=list(delivery.detail))

    return tell


async def _tell_of_trouble(courier: Courier, mappings: MappingFile) -> None:
    """Tell once when deliveries are held up or a mapping edit is refused, and once when that is over."""
    troubles: dict[str, AmityError | None] = {"delivery": None, "mapping": None}
    while True:
        for name, now in (("delivery", courier.last_error), ("mapping", mappings.refusal)):
            before, troubles[name] = troubles[name], now
            if now is not None and str(now) != str(before):
                _log().error(f"{name} held up", reason=now.lines())
            elif now is None and before is not None:
                _log().info(f"{name} goes on")
        await asyncio.sleep(_WATCH_EVERY_S)


async def _prune_for_ever(database: OtDatabase, settings: HeadendSettings) -> None:
    clock = SystemClock()
    while True:
        before = clock.now() - timedelta(days=settings.frames_kept_days)
        await _on_a_thread(lambda before=before: database.collection.prune_frames(before))  # type: ignore[misc]
        await asyncio.sleep(_PRUNE_EVERY_S)
