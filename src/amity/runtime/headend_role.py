"""The OT side as a process: reads the fleet, listens for pushes, hands deliveries to the broker."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import TypeVar

import structlog

from amity.domain.collection import Outcome
from amity.headend.delivery import Courier
from amity.headend.fleet import Fleet, OnProgress, Round, Told
from amity.headend.mapping_file import MappingFile
from amity.headend.plan import ReadingRules
from amity.headend.push_listener import PushListener
from amity.headend.surroundings import SessionRules, Surroundings
from amity.kernel.errors import AmityError, StorageError
from amity.messaging.access import OT, SUBJECT, load_access
from amity.messaging.broker import JetStreamPublisher
from amity.messaging.codec import ProtobufCodec
from amity.messaging.nats_server import BrokerFolder
from amity.runtime.folder import Folder
from amity.runtime.mapping_watch import MappingWatch
from amity.runtime.profile_folder import catalogue_of
from amity.runtime.settings import HeadendSettings, Settings
from amity.runtime.system import SystemClock, random_octets
from amity.runtime.system_title import claim_title, leave_mark
from amity.storage.ot.database import OtDatabase, open_database
from amity.storage.ot.keys import KeyFile
from amity.transports.meter_connector import MeterConnector

T = TypeVar("T")

_PRUNE_EVERY_S = 3600.0
_WATCH_EVERY_S = 5.0


async def run_headend(folder: Folder, settings: Settings) -> None:
    """Read the fleet round after round, take pushes in and carry deliveries, until cancelled."""
    async with _headend(folder, settings, log_progress()) as (fleet, courier, listener, database):
        port = await listener.start(settings.headend.push_host, settings.headend.push_port)
        _log().info("listening for pushes", port=port)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(fleet.run_forever(settings.headend.poll_interval_s))
                tasks.create_task(courier.run())
                tasks.create_task(_prune_for_ever(database, settings.headend))
                tasks.create_task(_tell_of_strangers(listener))
                tasks.create_task(_tell_of_callers(listener))
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
    publisher = JetStreamPublisher(load_access(folder.broker, OT, broker.url), disk_words=broker.disk_words)
    zone = folder.ot_database.parent
    claimed = claim_title(database, zone)
    if claimed.because is not None:
        _log().warning("new system title", title=claimed.title.hex(), because=claimed.because)
    surroundings = _surroundings(folder, settings.headend, database, claimed.title)
    listener = PushListener(surroundings, database.push_counters)
    fleet = Fleet(
        surroundings,
        concurrent_sessions=settings.headend.concurrency,
        on_progress=tell,
        on_unsolicited=listener.take_from_session,
    )
    courier = Courier(database.collection, publisher, _on_the_disk_thread, random.SystemRandom().random)
    troubles: dict[str, Callable[[], AmityError | None]] = {
        "reading": lambda: fleet.last_error,
        "delivery": lambda: courier.last_error,
    }
    watches = [
        asyncio.create_task(_tell_of_trouble(troubles)),
        asyncio.create_task(MappingWatch(surroundings.mappings).run()),
    ]
    try:
        yield fleet, courier, listener, database
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        await publisher.close()
        with suppress(AmityError):  # on a full disk the next start chooses a new title
            leave_mark(database, zone, claimed.title)
        database.close()


def _surroundings(folder: Folder, settings: HeadendSettings, database: OtDatabase, title: bytes) -> Surroundings:
    return Surroundings(
        clock=SystemClock(),
        chance=random.SystemRandom().random,
        random_octets=random_octets,
        system_title=title,
        connector=MeterConnector(),
        disk=_on_the_disk_thread,
        endpoints=database.endpoints,
        keys=KeyFile(folder.keys),
        counters=database.counters,
        collection=database.collection,
        codec=ProtobufCodec(),
        mappings=MappingFile(folder.mapping),
        subject=SUBJECT,
        profile_of=catalogue_of(folder.own_profiles).profile,
        reading=ReadingRules(first_read=timedelta(days=settings.backfill_days)),
        session=SessionRules(
            connect_timeout_s=settings.connect_timeout_s,
            request_timeout_s=settings.request_timeout_s,
            attempts_max=settings.attempts,
        ),
    )


# One thread: SQLite has one writer, and several would wait for each other's lock instead of in line.
_DISK = ThreadPoolExecutor(1, thread_name_prefix="ot-disk")


async def _on_the_disk_thread(work: Callable[[], T], /) -> T:
    return await asyncio.get_running_loop().run_in_executor(_DISK, work)


# ------------------------------------------------------------------ what the log says
def _log() -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = structlog.get_logger("headend")
    return log


def log_progress() -> OnProgress:
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


async def _tell_of_trouble(troubles: Mapping[str, Callable[[], AmityError | None]]) -> None:
    """Tell once when something is held up or refused, and once when that is over."""
    told = dict.fromkeys(troubles, "")
    while True:
        for name, trouble in troubles.items():
            error = trouble()
            if error is not None and str(error) != told[name]:
                _log().error(f"{name} held up", reason=error.lines())
            elif error is None and told[name]:
                _log().info(f"{name} goes on")
            told[name] = str(error or "")
        await asyncio.sleep(_WATCH_EVERY_S)


async def _prune_for_ever(database: OtDatabase, settings: HeadendSettings) -> None:
    clock = SystemClock()
    while True:
        before = clock.now() - timedelta(days=settings.frames_kept_days)
        try:
            await _on_the_disk_thread(partial(database.collection.prune_frames, before))
        except StorageError as error:
            _log().error("old frames not pruned", reason=error.lines())
        await asyncio.sleep(_PRUNE_EVERY_S)


async def _tell_of_strangers(listener: PushListener) -> None:
    """Pushes that were not believed, by kind, whenever their count has grown."""
    told: Counter[str] = Counter()
    while True:
        counts = Counter(listener.parking.counts)
        for reason in counts - told:
            newest = listener.parking.newest_of[reason]
            _log().warning(
                "pushes parked", kind=reason, count=counts[reason], peer=newest.peer, newest=newest.error.lines()
            )
        told = counts
        await asyncio.sleep(_WATCH_EVERY_S)


async def _tell_of_callers(listener: PushListener) -> None:
    """Connections that were turned away because there were too many, whenever their count has grown."""
    told = 0
    while True:
        if listener.turned_away > told:
            told = listener.turned_away
            _log().warning("callers turned away", count=told, peer=listener.turned_away_last)
        await asyncio.sleep(_WATCH_EVERY_S)
