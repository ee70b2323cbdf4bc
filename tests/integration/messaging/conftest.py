"""A real nats-server on a free port, gone when the test is."""

import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from amity.messaging.access import IT, OT, SETUP, Access, load_access
from amity.messaging.nats_server import BrokerFolder, NatsServer


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def free_port() -> Callable[[], int]:
    return _free_port


@pytest.fixture
def folder(tmp_path: Path) -> BrokerFolder:
    return BrokerFolder(tmp_path / "nats", _free_port())


@pytest.fixture
async def server(folder: BrokerFolder) -> AsyncIterator[NatsServer]:
    running = await NatsServer.start(folder)
    yield running
    await running.stop()


@pytest.fixture
def ot(server: NatsServer) -> Access:
    return load_access(server.folder.path, OT, server.folder.url)


@pytest.fixture
def it(server: NatsServer) -> Access:
    return load_access(server.folder.path, IT, server.folder.url)


@pytest.fixture
def setup(server: NatsServer) -> Access:
    return load_access(server.folder.path, SETUP, server.folder.url)
