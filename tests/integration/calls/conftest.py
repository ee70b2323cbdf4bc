"""A real head-end: broker, doors, job worker and OT database, with simulated meters that call it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from amity.headend.provisioning import read_fleet_document
from amity.messaging.codec import ProtobufCodec
from amity.runtime.broker_role import run_broker
from amity.runtime.folder import Folder
from amity.runtime.headend_role import run_headend
from amity.runtime.settings import Settings
from amity.storage.ot.database import OtDatabase, open_database
from amity.storage.ot.keys import KeyFile

WITHIN_S = 40.0


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
        broker = asyncio.create_task(run_broker(folder, settings))
        while not (folder.broker / "ot.secret").exists() or not await _answers(settings.broker.port):
            await asyncio.sleep(0.05)
            if broker.done():
                broker.result()
        serving = asyncio.create_task(run_headend(folder, settings))
        while not await _answers(held.port):
            await asyncio.sleep(0.05)
            if serving.done():
                serving.result()
        try:
            yield held
        finally:
            for task in (serving, broker):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            database.close()

    return running


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
