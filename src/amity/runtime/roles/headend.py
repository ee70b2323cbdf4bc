"""The OT side as a process: reads the fleet, listens for pushes, hands deliveries to the broker."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from amity.domain.collection import Delivery, Outcome
from amity.headend.calls.lines import CalledInConnector, CalledLines
from amity.headend.collectors.registry import ReachConnector
from amity.headend.delivery import Courier
from amity.headend.event_catalogue import EventTables
from amity.headend.jobs.on_demand import Asker
from amity.headend.jobs.sessions import OnSession
from amity.headend.jobs.ways import Ways
from amity.headend.jobs.worker import OnDone
from amity.headend.mapping_file import MappingFile
from amity.headend.plan import ReadingRules
from amity.headend.ports import CollectionStore
from amity.headend.pushes.desk import PushDesk
from amity.headend.surroundings import SessionRules, Surroundings
from amity.kernel.errors import AmityError, StorageError
from amity.messaging.access import OT, SUBJECT
from amity.messaging.broker import JetStreamPublisher
from amity.messaging.codec import ProtobufCodec, join
from amity.runtime.databases import open_ot_database
from amity.runtime.doors.broker_place import broker_access, broker_folder
from amity.runtime.doors.calls import CallDoors
from amity.runtime.doors.collectors import CollectorDoor
from amity.runtime.files.headend import look_at_event_tables, look_at_mapping
from amity.runtime.files.profiles import catalogue_of
from amity.runtime.files.watch import FileWatch
from amity.runtime.fleet.meter_defaults import EndpointsWithDefaults
from amity.runtime.folder import Folder
from amity.runtime.logs.sessions import LoggedCollection, SessionLogs
from amity.runtime.metrics.collectors import CollectorLinks
from amity.runtime.metrics.headend import HeadendState, SessionMetrics
from amity.runtime.metrics.page import new_registry, serving_metrics
from amity.runtime.roles.job_work import JobWork
from amity.runtime.roles.readiness import stands, stood
from amity.runtime.roles.system_title import ExchangedError, claim_title, leave_mark
from amity.runtime.settings import HeadendSettings, Settings
from amity.runtime.system import SystemClock, random_octets
from amity.storage.ot.database import OtDatabase
from amity.storage.ot.keys import KeyFile
from amity.transports.meter_connector import MeterConnector

T = TypeVar("T")

_PRUNE_EVERY_S = 3600.0
_MARK_EVERY_S = 15.0
_WATCH_EVERY_S = 5.0


async def run_headend(folder: Folder, settings: Settings) -> None:
    """Read the fleet by schedules and jobs, take pushes in and carry deliveries, until cancelled."""
    await stood("broker")  # which makes our password on its first start
    registry = new_registry()
    metrics = SessionMetrics(registry)
    tell = metrics.counting(log_progress())
    async with _headend(folder, settings, tell, metrics.given_back) as (work, courier, calls, database, door):
        registry.register(CollectorLinks(lambda: door.connected))
        listener = calls.pushes
        registry.register(
            HeadendState(
                database.measures,
                SystemClock(),
                open_sessions=lambda: work.open_sessions,
                pushes=listener,
                turned_away=lambda: calls.turned_away,
            )
        )
        async with calls.open(folder, settings, work.called_in):
            stands("headend")
            with serving_metrics(registry, settings.headend.metrics_port, "headend"):
                await _all_of(
                    work.run(),
                    courier.run(),
                    renew_mark_for_ever(database, folder.ot_database.parent),
                    _prune_for_ever(database, settings.headend),
                    _tell_of_strangers(listener),
                    calls.run(),
                )


async def _all_of(*endless: Coroutine[Any, Any, None]) -> None:
    """Until cancelled, or one of them fails: then raise what it raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for one in endless:
                tasks.create_task(one)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures


async def read_fleet_once(folder: Folder, settings: Settings, tell: OnSession, asker: Asker) -> None:
    """Read every meter once and carry all deliveries to the broker; raise StorageError or TransportError if not."""
    async with _headend(folder, settings, tell) as (work, courier, *_):
        await work.read_all_once(asker)
        await courier.drain()


async def ping_meter(folder: Folder, settings: Settings, meter_id: str, asker: Asker) -> Delivery:
    """Ping one meter at once, under a lease; what it brought waits in the outbox for the running head-end's courier.

    See `JobWork.ping` for what it raises; how the session went is told in the delivery.
    """
    with closing(open_ot_database(folder, settings.headend)) as database:
        shared = bool(settings.headend.database_url)
        title = claim_title(database, folder.ot_database.parent, shared=shared).title
        surroundings = _surroundings(folder, settings.headend, database, title, CollectorDoor(), CalledLines())
        pushes = PushDesk(surroundings, database.push_counters)
        work = JobWork(folder, settings.headend, surroundings, database, _nobody, pushes.take_from_session)
        return await work.ping(meter_id, asker)


def _nobody(_delivery: Delivery) -> None:
    """Whoever asked prints what came."""


@asynccontextmanager
async def _headend(
    folder: Folder, settings: Settings, tell: OnSession, on_done: OnDone | None = None
) -> AsyncIterator[tuple[JobWork, Courier, CallDoors, OtDatabase, CollectorDoor]]:
    database = open_ot_database(folder, settings.headend)
    disk_words = broker_folder(folder, settings.broker).disk_words
    publisher = JetStreamPublisher(broker_access(folder, settings.broker, OT), disk_words=disk_words)
    zone = folder.ot_database.parent
    claimed = claim_title(database, zone, shared=bool(settings.headend.database_url))
    if claimed.because is not None:
        _log().warning("new system title", title=claimed.title.hex(), because=claimed.because)
    door = CollectorDoor()
    lines = CalledLines()
    surroundings = _surroundings(folder, settings.headend, database, claimed.title, door, lines)
    listener = PushDesk(surroundings, database.push_counters)
    calls = CallDoors(listener, lines, surroundings)

    def lines_too(delivery: Delivery) -> None:
        lines.told(delivery)
        tell(delivery)

    work = JobWork(
        folder, settings.headend, surroundings, database, lines_too, listener.take_from_session,
        ways=lambda: Ways(frozenset(lines.meters), frozenset(one.presented.name for one in door.connected)),
        on_done=on_done,
    )  # fmt: skip
    courier = Courier(database.collection, publisher, _on_the_disk_thread, random.SystemRandom().random, join=join)
    troubles: dict[str, Callable[[], AmityError | None]] = {
        "reading": lambda: work.last_error,
        "delivery": lambda: courier.last_error,
    }
    watches = [
        asyncio.create_task(_tell_of_trouble(troubles)),
        asyncio.create_task(FileWatch("mapping", lambda: look_at_mapping(surroundings.mappings)).run()),
        asyncio.create_task(FileWatch("event tables", lambda: look_at_event_tables(surroundings.events)).run()),
    ]
    try:
        async with door.open(folder, settings.headend, surroundings, database, listener, lines):
            yield work, courier, calls, database, door
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        await publisher.close()
        with suppress(AmityError):  # on a full disk the next start chooses a new title
            leave_mark(database, zone)
        database.close()


def _surroundings(
    folder: Folder,
    settings: HeadendSettings,
    database: OtDatabase,
    title: bytes,
    door: CollectorDoor,
    lines: CalledLines,
) -> Surroundings:
    profile_of = catalogue_of(folder.own_profiles).profile
    return Surroundings(
        clock=SystemClock(),
        chance=random.SystemRandom().random,
        random_octets=random_octets,
        system_title=title,
        connector=CalledInConnector(lines, ReachConnector(MeterConnector(), door.serving, profile_of)),
        only_named=lines.only_named,
        disk=_on_the_disk_thread,
        endpoints=EndpointsWithDefaults(database.endpoints, settings),
        keys=KeyFile(folder.keys),
        counters=database.counters,
        collection=_logged(database, folder, settings),
        codec=ProtobufCodec(),
        mappings=MappingFile(folder.mapping, folder.last_good_mapping),
        subject=SUBJECT,
        events=EventTables(folder.event_tables, folder.last_good_event_tables),
        profile_of=profile_of,
        reading=ReadingRules(first_read=timedelta(days=settings.backfill_days)),
        session=SessionRules(
            connect_timeout_s=settings.connect_timeout_s,
            request_timeout_s=settings.request_timeout_s,
            attempts_max=settings.attempts,
        ),
    )


def _logged(database: OtDatabase, folder: Folder, settings: HeadendSettings) -> CollectionStore:
    """An installation with a folder for its logs has one line there for each session."""
    if folder.log_folder is None:
        return database.collection
    logs = SessionLogs(folder, frames=settings.log_frames)
    return LoggedCollection(database.collection, logs, database.afterwards)


# One thread: SQLite has one writer, and several would wait for each other's lock instead of in line.
_DISK = ThreadPoolExecutor(1, thread_name_prefix="ot-disk")


async def _on_the_disk_thread(work: Callable[[], T], /) -> T:
    carried = copy_context()  # the thread's log lines have the correlation of the one who waits
    return await asyncio.get_running_loop().run_in_executor(_DISK, carried.run, work)


# ------------------------------------------------------------------ what the log says
def _log() -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = structlog.get_logger("headend")
    return log


def log_progress() -> OnSession:
    """A line when a meter's outcome changes; the same outcome again is not news."""
    last: dict[str, Outcome] = {}

    def tell(delivery: Delivery) -> None:
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


async def renew_mark_for_ever(database: OtDatabase, zone: Path, *, every_s: float = _MARK_EVERY_S) -> None:
    """Raise ExchangedError once the database is not the one that was opened: an older copy was put back."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await _on_the_disk_thread(partial(leave_mark, database, zone))
        except ExchangedError:
            raise
        except StorageError as error:  # nothing is reserved now either
            _log().warning("mark not renewed", reason=error.lines())


async def _prune_for_ever(database: OtDatabase, settings: HeadendSettings) -> None:
    clock = SystemClock()
    while True:
        before = clock.now() - timedelta(days=settings.frames_kept_days)
        try:
            await _on_the_disk_thread(partial(database.collection.prune_frames, before))
        except StorageError as error:
            _log().error("old frames not pruned", reason=error.lines())
        await asyncio.sleep(_PRUNE_EVERY_S)


async def _tell_of_strangers(listener: PushDesk) -> None:
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
