"""The bundled nats-server, watched: when it ends, so does this process, and whoever supervises it starts it again."""

from amity.kernel.errors import TransportError
from amity.messaging.nats_server import BrokerFolder, NatsServer
from amity.runtime.folder import Folder
from amity.runtime.settings import Settings


async def run_broker(folder: Folder, settings: Settings) -> None:
    """Serve until cancelled; raise TransportError when the server ends by itself."""
    server = await NatsServer.start(BrokerFolder(folder.broker, settings.broker.port))
    try:
        status = await server.wait()
        raise TransportError("nats-server ended", answer=f"status {status}", next_step=f"see {server.folder.log_file}")
    finally:
        await server.stop()
