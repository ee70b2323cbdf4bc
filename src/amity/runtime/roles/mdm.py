"""The IT side's writer as a process: takes deliveries from the broker into the store, with VEE."""

import asyncio
from collections.abc import Sequence
from time import perf_counter

import structlog

from amity.domain.collection import Delivery
from amity.kernel.errors import RemoteProtocolError
from amity.messaging.access import IT, SUBJECT
from amity.messaging.broker import JetStreamConsumer, Received
from amity.messaging.codec import ProtobufCodec, split
from amity.runtime.doors.broker_place import broker_access
from amity.runtime.folder import Folder
from amity.runtime.metrics.mdm import MdmMetrics
from amity.runtime.metrics.page import new_registry, serving_metrics
from amity.runtime.roles.readiness import stands, stood
from amity.runtime.settings import Settings
from amity.runtime.system import SystemClock
from amity.storage.it.database import ItDatabase, open_database
from amity.usecases.ingest import Ingested
from amity.usecases.intake import Intake


async def run_mdm(folder: Folder, settings: Settings) -> None:
    """Store every delivery, acknowledged after its commit, until cancelled."""
    await stood("broker")  # which makes our password on its first start
    database = open_database(folder.it_database)
    consumer = JetStreamConsumer(broker_access(folder, settings.broker, IT))
    registry = new_registry()
    desk = _Desk(database, MdmMetrics(registry))
    stands("mdm")
    try:
        with serving_metrics(registry, settings.mdm.metrics_port, "mdm"):
            await consumer.run(desk.store, desk.set_aside)
    finally:
        await consumer.close()
        database.close()


class _Desk:
    """What is done with a message; the database work is on a thread, so that the broker is still answered."""

    def __init__(self, database: ItDatabase, metrics: MdmMetrics) -> None:
        self._metrics = metrics
        self._clock = SystemClock()
        self._intake = Intake(
            database, ProtobufCodec(), self._clock, SUBJECT, on_stored=self._stored, on_letter=self._set_aside
        )
        self._log: structlog.stdlib.BoundLogger = structlog.get_logger("mdm")

    async def store(self, message: Received) -> None:
        """Raise RemoteProtocolError for what can never be stored, StorageError for what cannot be stored now."""
        try:
            await asyncio.to_thread(self._store, split(message.body))
        except RemoteProtocolError:
            raise
        except Exception as error:
            self._metrics.refused()
            self._log.exception("delivery not stored", message=message.message_id, reason=str(error))
            raise
        self._log.debug("stored", message=message.message_id, times=message.times)

    async def set_aside(self, message: Received, reason: str) -> None:
        """Keep what cannot be understood, with the reason."""
        await asyncio.to_thread(self._intake.set_aside, split(message.body), reason)

    def _store(self, bodies: Sequence[bytes]) -> None:
        began = perf_counter()
        self._intake.store(bodies)
        self._metrics.took(perf_counter() - began, len(bodies))

    def _stored(self, delivery: Delivery, done: Ingested) -> None:
        self._metrics.stored(delivery, new=done.new, now=self._clock.now())

    def _set_aside(self, reason: str) -> None:
        self._log.error("dead letter", reason=reason)
        self._metrics.set_aside()
