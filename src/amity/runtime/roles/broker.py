"""The bundled nats-server, watched: when it ends, so does this process, and whoever supervises it starts it again.

A server whose disk was full takes no message again until it is restarted, also when there is room: that is done here.
"""

import asyncio
from typing import Final

import structlog

from amity.kernel.errors import TransportError
from amity.messaging.nats_server import NatsServer
from amity.runtime.doors.mqtt_meters import MqttMeters
from amity.runtime.folder import Folder
from amity.runtime.roles.readiness import stands
from amity.runtime.settings import Settings

WATCH_EVERY_S: Final = 5.0


async def run_broker(folder: Folder, settings: Settings) -> None:
    """Serve until cancelled; raise TransportError when the server ends by itself."""
    watch = MqttMeters(folder, settings)
    log: structlog.stdlib.BoundLogger = structlog.get_logger("broker")
    while True:
        server = await NatsServer.start(await watch.broker())
        stands("broker")
        watching = asyncio.create_task(watch.run(server))
        try:
            await until_stuck(server, every_s=WATCH_EVERY_S)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await server.stop()
        log.warning("nats-server is started again", because="its disk was full and has room again")


async def until_stuck(server: NatsServer, *, every_s: float) -> None:
    """Return when the server failed to store and a restart would mend it; raise TransportError when it ended."""
    ended = asyncio.ensure_future(server.wait())
    try:
        while not (server.failed_to_store() and server.has_room()):
            await asyncio.wait([ended], timeout=every_s)
            if ended.done():
                raise TransportError(
                    "nats-server ended", answer=f"status {ended.result()}", next_step=f"see {server.folder.log_file}"
                )
    finally:
        ended.cancel()
