"""The IT side's writer as a process: takes deliveries from the broker into the store, with VEE."""

import asyncio
from time import perf_counter

import structlog

from amity.kernel.errors import RemoteProtocolError
from amity.messaging.access import IT, SUBJECT
from amity.messaging.broker import JetStreamConsumer, Received
from amity.messaging.codec import ProtobufCodec
from amity.runtime.broker_place import broker_access
from amity.runtime.folder import Folder
from amity.runtime.metrics import new_registry, serving_metrics
from amity.runtime.metrics_mdm import MdmMetrics
from amity.runtime.readiness import stands
from amity.runtime.settings import Settings
from amity.runtime.system import SystemClock
from amity.storage.it.database import ItDatabase, open_database
from amity.usecases.ingest import ingest


async def run_mdm(folder: Folder, settings: Settings) -> None:
    """Store every delivery, acknowledged after its commit, until cancelled."""
    database = open_database(folder.it_database)
    consumer = JetStreamConsumer(broker_access(folder, settings.broker, IT))
    registry = new_registry()
    intake = _Intake(database, MdmMetrics(registry))
    stands("mdm")
    try:
        with serving_metrics(registry, settings.mdm.metrics_port, "mdm"):
            await consumer.run(intake.store, intake.set_aside)
    finally:
        await consumer.close()
        database.close()


class _Intake:
    """What is done with a message; the database work is on a thread, so that the broker is still answered."""

    def __init__(self, database: ItDatabase, metrics: MdmMetrics) -> None:
        self._database = database
        self._metrics = metrics
        self._codec = ProtobufCodec()
        self._clock = SystemClock()
        self._log: structlog.stdlib.BoundLogger = structlog.get_logger("mdm")

    async def store(self, message: Received) -> None:
        """Raise RemoteProtocolError for what can never be stored, StorageError for what cannot be stored now."""
        try:
            done = await asyncio.to_thread(self._ingest, message)
        except RemoteProtocolError:
            raise
        except Exception as error:
            self._metrics.refused()
            self._log.exception("delivery not stored", message=message.message_id, reason=str(error))
            raise
        self._log.debug("stored", message=done, times=message.times)

    async def set_aside(self, message: Received, reason: str) -> None:
        """Keep what cannot be understood, with the reason."""
        self._log.error("dead letter", message=message.message_id, reason=reason)
        dead_letters, now = self._database.dead_letters, self._clock.now()
        await asyncio.to_thread(dead_letters.add, SUBJECT, message.body, reason=reason, received_at=now)
        self._metrics.set_aside()

    def _ingest(self, message: Received) -> str:
        began = perf_counter()
        delivery = self._codec.decode(message.body)
        done = ingest(delivery, message.body, self._database, self._clock)
        self._metrics.stored(delivery, new=done.new, took_s=perf_counter() - began, now=self._clock.now())
        return done.message_id
