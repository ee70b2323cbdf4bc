import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import uvicorn

from amity.api.app import create_app
from amity.messaging.codec import ProtobufCodec
from amity.usecases.login import offer_link, open_api_access
from amity.usecases.services import Services
from amity.web.console import attach
from tests.unit.usecases.memory_database import FixedClock, MemoryDatabase, MemoryLogins
from tests.web.plausible_town import NOW, fill


@dataclass(frozen=True)
class RunningConsole:
    """A console on a free port of the loopback address, with a plausible town."""

    address: str
    services: Services

    def session(self) -> str:
        return open_api_access(self.services, offer_link(self.services, "anna").secret).secret

    def link(self) -> str:
        return f"{self.address}/login?token={offer_link(self.services, 'anna').secret}"


@pytest.fixture(scope="session")
def console() -> Iterator[RunningConsole]:
    database = MemoryDatabase()
    fill(database, ProtobufCodec())
    services = Services(database, MemoryLogins(), ProtobufCodec(), FixedClock(NOW), os.urandom)
    app = create_app(services)
    attach(app, services)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="websockets-sansio"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield RunningConsole(f"http://127.0.0.1:{listener.getsockname()[1]}", services)
    server.should_exit = True
    thread.join(10)
    listener.close()
