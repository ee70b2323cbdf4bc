"""What systemd is told: by datagrams that a test takes in its place."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from amity.runtime.folder import Folder
from amity.runtime.processes.service_manager import ServiceManager
from amity.runtime.roles import serving
from amity.runtime.roles.headend import run_headend
from amity.runtime.roles.mdm import run_mdm
from amity.runtime.roles.readiness import Readiness, current, stands, stood
from amity.runtime.settings import Settings


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, name: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        texts = []
        with suppress(BlockingIOError):
            while True:
                texts.append(self.socket.recv(4096).decode())
        return texts


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    listening = Manager(str(tmp_path / "notify"))
    yield listening
    listening.socket.close()


def service(manager: Manager, **environment: str) -> ServiceManager:
    return ServiceManager.of({"NOTIFY_SOCKET": manager.socket.getsockname(), **environment})


def test_ready_status_and_stopping(manager: Manager):
    told = service(manager)
    told.ready("serving\nheadend")
    told.status("reading")
    told.stopping()
    assert manager.heard() == [
        f"READY=1\nSTATUS=serving headend\nMAINPID={os.getpid()}", "STATUS=reading", "STOPPING=1\nSTATUS=stopping",
    ]  # fmt: skip


def test_a_name_with_an_at_sign_is_an_abstract_socket():
    listening = Manager(f"\0amity-test-{os.getpid()}")
    ServiceManager.of({"NOTIFY_SOCKET": f"@amity-test-{os.getpid()}"}).status("here")
    assert listening.heard() == ["STATUS=here"]
    listening.socket.close()


def test_without_a_manager_or_when_it_is_gone_nothing_fails(tmp_path: Path):
    for name in ("", str(tmp_path / "gone")):
        ServiceManager.of({"NOTIFY_SOCKET": name}).ready("x")


def test_a_watchdog_for_another_process_is_not_ours(manager: Manager):
    assert service(manager, WATCHDOG_USEC="2000000").watchdog_s == 2.0
    assert service(manager, WATCHDOG_USEC="2000000", WATCHDOG_PID=str(os.getpid())).watchdog_s == 2.0
    assert service(manager, WATCHDOG_USEC="2000000", WATCHDOG_PID="1").watchdog_s is None
    assert service(manager, WATCHDOG_USEC="0").watchdog_s is None
    assert service(manager, WATCHDOG_USEC="soon").watchdog_s is None


async def test_the_watchdog_is_fed_while_the_loop_turns_and_not_while_it_hangs(manager: Manager):
    feeding = asyncio.create_task(service(manager, WATCHDOG_USEC="30000").feed_watchdog())
    fed: list[str] = []
    while len(fed) < 3:
        await asyncio.sleep(0.01)
        fed += manager.heard()
    assert set(fed) == {"WATCHDOG=1"}
    manager.heard()
    time.sleep(0.1)  # noqa: ASYNC251 - this is the hang
    assert manager.heard() == []
    while not manager.heard():  # noqa: ASYNC110 - the socket of a manager has no event
        await asyncio.sleep(0.01)
    feeding.cancel()


async def test_ready_means_that_every_awaited_role_stands():
    readiness = Readiness(["broker", "headend"])
    token = current.set(readiness)
    waiting = asyncio.create_task(readiness.all())
    await asyncio.create_task(asyncio.sleep(0))
    stands("headend")
    await asyncio.sleep(0)
    assert not waiting.done()
    stands("broker")
    await waiting
    current.reset(token)
    stands("broker")  # nobody waits


async def test_a_role_waits_for_another_of_its_own_process_and_for_none_elsewhere():
    token = current.set(Readiness(["broker", "headend"]))
    waiting = asyncio.create_task(stood("broker"))
    await asyncio.sleep(0)
    assert not waiting.done()
    stands("broker")
    await waiting
    current.set(Readiness(["headend"]))
    await stood("broker")
    current.reset(token)
    await stood("broker")


@pytest.mark.parametrize("run", [run_headend, run_mdm])
async def test_who_needs_the_secret_of_the_broker_waits_for_the_one_of_its_own_process(
    run: Callable, tmp_path: Path
) -> None:
    token = current.set(Readiness(["broker", "headend", "mdm"]))
    starting = asyncio.create_task(run(Folder(tmp_path), Settings()))
    await asyncio.wait([starting], timeout=0.2)
    assert not starting.done(), "there is no broker/*.secret yet"
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    current.reset(token)


async def test_nothing_awaited_is_ready_at_once():
    await Readiness([]).all()


def test_every_role_says_when_it_stands():
    """One that did not would keep the service `activating` until systemd gives up."""
    said = {Path(find_spec(where.partition(":")[0]).origin or "").read_text() for where in serving.RUN.values()}  # type: ignore[union-attr]
    assert all(any(f'stands("{role}")' in text for text in said) for role in serving.Role)
