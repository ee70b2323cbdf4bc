"""The IT side's writer as a process: takes deliveries from the broker into the store, with VEE."""

import asyncio

import structlog

from amity.kernel.errors import RemoteProtocolError
from amity.messaging.access import IT, SUBJECT, load_access
from amity.messaging.broker import JetStreamConsumer, Received
from amity.messaging.codec import ProtobufCodec
from amity.messaging.nats_server import BrokerFolder
from amity.runtime.folder import Folder
from amity.runtime.readiness import stands
from amity.runtime.settings import Settings
from amity.runtime.system import SystemClock
from amity.storage.it.database import ItDatabase, open_database
from amity.usecases.ingest import ingest


async def run_mdm(folder: Folder, settings: Settings) -> None:
    """Store every delivery, acknowledged after its commit, until cancelled."""
    database = open_database(folder.it_database)
    broker = BrokerFolder(folder.broker, settings.broker.port)
    consumer = JetStreamConsumer(load_access(folder.broker, IT, broker.url))
    intake = _Intake(database)
    stands("mdm")
    try:
        await consumer.run(intake.store, intake.set_aside)
    finally:
        await consumer.close()
        database.close()


class _Intake:
    """What is done with a message; the database work is on a thread, so that the broker is still answered."""

    def __init__(self, database: ItDatabase) -> None:
        self._database = database
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
            self._log.exception("delivery not stored", message=message.message_id, reason=str(error))
            raise
        self._log.debug("stored", message=done, times=message.times)

    async def set_aside(self, message: Received, reason: str) -> None:
        """Keep what cannot be understood, with the reason."""
        self._log.error("dead letter", message=message.message_id, reason=reason)
        dead_letters, now = self._database.dead_letters, self._clock.now()
        await asyncio.to_thread(dead_letters.add, SUBJECT, message.body, reason=reason, received_at=now)

    def _ingest(self, message: Received) -> str:
        delivery = self._codec.decode(message.body)
        return ingest(delivery, message.body, self._database, self._clock).message_id
