"""Which meters may publish by MQTT: those of the fleet, also those that are added while the broker runs."""

import asyncio
from contextlib import closing
from dataclasses import replace
from typing import Final

import structlog

from amity.kernel.errors import AmityError
from amity.messaging.nats_server import BrokerFolder, NatsServer
from amity.runtime.databases import open_ot_database
from amity.runtime.doors.broker_place import broker_folder
from amity.runtime.doors.mqtt_refused import PublishesRefused
from amity.runtime.files.mqtt import mqtt_door
from amity.runtime.folder import Folder
from amity.runtime.settings import Settings

_LOOK_EVERY_S: Final = 10.0


class MqttMeters:
    """Keeps the broker's list of meters as the fleet is; does nothing where MQTT is not spoken."""

    def __init__(self, folder: Folder, settings: Settings, *, look_every_s: float = _LOOK_EVERY_S) -> None:
        self._folder = folder
        self._settings = settings
        self._look_every_s = look_every_s
        self._door = mqtt_door(folder, settings.broker)

    async def broker(self) -> BrokerFolder:
        """The broker's folder with the meters of now; raise StorageError when the fleet cannot be read."""
        bare = replace(broker_folder(self._folder, self._settings.broker), mqtt=self._door)
        if self._door is None:
            return bare
        return replace(bare, meters=await asyncio.to_thread(self._meters))

    async def run(self, server: NatsServer) -> None:
        """Tell the running server of every change, and the log of what it refuses, until cancelled."""
        refused = PublishesRefused(server.folder.log_file)
        while self._door is not None:
            await asyncio.sleep(self._look_every_s)
            if await asyncio.to_thread(refused.look):
                _log().warning("publishes refused by the broker", count=refused.count, last=refused.last)
            try:
                wanted = await self.broker()
                if wanted != server.folder:
                    server.reconfigure(wanted)
                    _log().info("meters that may publish by MQTT", count=len(wanted.meters))
            except AmityError as error:
                _log().warning("the list of meters for MQTT stays as it is", reason=error.lines())

    def _meters(self) -> frozenset[str]:
        with closing(open_ot_database(self._folder, self._settings.headend)) as database:
            return frozenset(one.meter_id for one in database.endpoints.all())


def _log() -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = structlog.get_logger("broker")
    return log
