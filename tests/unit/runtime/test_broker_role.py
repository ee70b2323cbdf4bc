"""A nats-server that its full disk made deaf is started again as soon as there is room."""

import asyncio
from pathlib import Path

import pytest

from amity.kernel.errors import TransportError
from amity.messaging.nats_server import BrokerFolder, NatsServer
from amity.runtime.roles.broker import until_stuck

COMPLAINT = "[1] [ERR] JetStream failed to store a msg on stream 'AMITY > X': write 1.blk: no space left on device\n"


class Process:
    """A server's process, as far as it is watched."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        return await asyncio.shield(self.ended)


class Server(NatsServer):
    """A server on a disk whose room the test decides."""

    room = True

    def has_room(self) -> bool:
        return self.room


@pytest.fixture
async def server(tmp_path: Path) -> Server:
    folder = BrokerFolder(tmp_path, 4222)
    folder.log_file.write_text("of an earlier server: " + COMPLAINT)
    return Server(folder, Process(), folder.log_octets())


async def watched(server: Server) -> asyncio.Task[None]:
    task = asyncio.create_task(until_stuck(server, every_s=0.01))
    await asyncio.sleep(0.05)
    return task


async def test_a_server_that_stores_is_left_alone(server: Server) -> None:
    task = await watched(server)
    assert not task.done()
    task.cancel()


async def test_a_server_that_failed_to_store_is_done_with_when_there_is_room(server: Server) -> None:
    server.room = False
    with server.folder.log_file.open("a") as log:
        log.write(COMPLAINT)
    task = await watched(server)
    assert not task.done()
    server.room = True
    await asyncio.wait_for(task, 5)


async def test_a_server_that_ends_is_an_error(server: Server) -> None:
    task = await watched(server)
    server._process.ended.set_result(3)
    with pytest.raises(TransportError, match="ended") as caught:
        await asyncio.wait_for(task, 5)
    assert caught.value.answer == "status 3"


def test_a_disk_that_is_gone_has_no_room(tmp_path: Path) -> None:
    assert not NatsServer(BrokerFolder(tmp_path / "gone", 1), None, 0).has_room()
