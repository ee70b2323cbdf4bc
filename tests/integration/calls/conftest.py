"""A real head-end: broker, doors, job worker and OT database, with simulated meters that call it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from amity.headend.provisioning import read_fleet_document
from amity.messaging.codec import ProtobufCodec
from amity.runtime.folder import Folder
from amity.runtime.roles.broker import run_broker
from amity.runtime.roles.headend import run_headend
from amity.runtime.roles.readiness import Readiness, current
from amity.runtime.settings import Settings
from amity.storage.ot.database import OtDatabase, open_database
from amity.storage.ot.keys import KeyFile

WITHIN_S = 120.0
_RELOADED = "Reloaded server configuration"
"""Logged by the broker when the meters that it is told of may publish."""


def a_free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives ports that nobody holds."""
    return a_free_port


@dataclass
class HeadEnd:
    """What a test holds of the running head-end."""

    folder: Folder
    settings: Settings
    database: OtDatabase

    def know(self, document: list[dict[str, Any]]) -> None:
        """Make the meters of a fleet document known."""
        provision = read_fleet_document(document)
        KeyFile(self.folder.keys).put(provision.secrets)
        self.database.endpoints.put(provision.endpoints)

    @property
    def port(self) -> int:
        return self.settings.headend.push_port

    def kept(self) -> list[Any]:
        """All deliveries that are on the disk, sent or not."""
        with self.database._engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT body FROM delivery ORDER BY sequence").fetchall()
        return [ProtobufCodec().decode(body) for (body,) in rows]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds; fail with what is parked."""
        try:
            async with asyncio.timeout(WITHIN_S):
                while not condition():  # noqa: ASYNC110 - files and databases tell nobody
                    await asyncio.sleep(0.05)
        except TimeoutError:
            shown = self.folder.calls.read_text() if self.folder.calls.exists() else "nothing"
            kept = [(one.meter_id, one.outcome, one.detail) for one in self.kept()]
            pytest.fail(f"not within {WITHIN_S} s; kept {kept}; callers: {shown}")


@pytest.fixture
def head_end(tmp_path: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def running(*, know: list[dict[str, Any]] | None = None, **headend: Any) -> AsyncIterator[HeadEnd]:
        mqtt = headend.pop("broker_mqtt_port", None)
        settings = Settings.model_validate(
            {
                "headend": {"push_port": a_free_port(), "backfill_days": 1, "poll_interval_s": 5, **headend},
                "broker": {"port": a_free_port(), "mqtt_port": mqtt},
            }
        )
        folder = Folder(tmp_path)
        folder.create()
        database = open_database(folder.ot_database)
        held = HeadEnd(folder, settings, database)
        if know:
            held.know(know)
        broker = await _standing("broker", run_broker(folder, settings))
        serving = await _standing("headend", run_headend(folder, settings))
        try:
            if mqtt and know:
                await held.until(lambda: _RELOADED in (folder.broker / "nats-server.log").read_text())
            yield held
        finally:
            for task in (serving, broker):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            database.close()

    return running


async def _standing(role: str, running: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """The role's task once it does what it is for; raise what ended it before."""
    readiness = Readiness([role])
    token = current.set(readiness)
    task = asyncio.create_task(running)
    current.reset(token)
    stands = asyncio.create_task(readiness.all())
    await asyncio.wait([task, stands], return_when=asyncio.FIRST_COMPLETED)
    stands.cancel()
    if task.done():
        task.result()
    return task
