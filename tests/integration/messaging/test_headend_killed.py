"""Head-end and broker are killed again and again; what arrives is the simulated truth, each value once."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from amity.domain.collection import Delivery, Outcome
from amity.headend.provisioning import read_fleet_document
from amity.messaging.access import IT, load_access
from amity.messaging.broker import JetStreamConsumer, Received
from amity.messaging.codec import ProtobufCodec, split
from amity.messaging.nats_server import BrokerFolder, NatsServer
from amity.runtime.system import SystemClock
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet
from amity.simulation.serving import serve_fleet
from amity.storage.ot.database import open_database
from amity.storage.ot.keys import KeyFile

METERS, KILLS = 15, 4
HANGS_AFTER_S = 300.0
ROOT = Path(__file__).parents[3]
CHILD = "tests.integration.messaging.headend_child"


class Town:
    """The other side: commits each delivery once, as the MDM side does."""

    def __init__(self) -> None:
        self.deliveries: dict[str, Delivery] = {}
        self.most_in_a_message = 0

    async def handle(self, received: Received) -> None:
        bodies = split(received.body)
        self.most_in_a_message = max(self.most_in_a_message, len(bodies))
        for delivery in map(ProtobufCodec().decode, bodies):
            self.deliveries.setdefault(delivery.message_id, delivery)

    async def dead_letter(self, received: Received, reason: str) -> None:
        pytest.fail(f"{received.message_id}: {reason}")


@asynccontextmanager
async def consuming(folder: BrokerFolder, town: Town):
    consumer = JetStreamConsumer(load_access(folder.path, IT, folder.url))
    task = asyncio.create_task(consumer.run(town.handle, town.dead_letter))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await consumer.close()


async def run_child(folder: Path, port: int, lines_to_live: int | None, delay_s: float) -> list[str]:
    """Run the head-end; kill it a moment after so many lines, or let it end; return its lines."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", CHILD, str(folder), str(port), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert child.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(HANGS_AFTER_S):
            while line := (await child.stdout.readline()).decode().strip():
                lines.append(line)
                if len(lines) == lines_to_live:
                    await asyncio.sleep(delay_s)
                    child.send_signal(signal.SIGKILL)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
    return lines


def provision(folder: Path, document: list[dict[str, object]]) -> None:
    fleet = read_fleet_document(document)
    database = open_database(folder / "ot.sqlite")
    database.endpoints.put(fleet.endpoints)
    database.close()
    KeyFile(folder / "keys.json").put(fleet.secrets)


@pytest.mark.slow
async def test_nothing_is_lost_and_nothing_comes_twice_whatever_is_killed(folder: BrokerFolder, tmp_path: Path) -> None:
    chance, town, clock = random.Random(11), Town(), SystemClock()
    simulated = build_fleet(FleetSettings(meters=METERS, seed=3, anchor=datetime.now(UTC)))
    broker = await NatsServer.start(folder)
    async with serve_fleet(simulated, clock=clock) as document, consuming(folder, town):
        provision(tmp_path, document)
        for number in range(KILLS):
            lines = await run_child(tmp_path, folder.port, 1 + 2 * number, chance.uniform(0, 0.02))
            assert "end" not in lines
            os.kill(broker.pid, signal.SIGKILL)
            await broker.wait()
            broker = await NatsServer.start(folder)
        assert (await run_child(tmp_path, folder.port, None, 0))[-1] == "end"
        await arrived(town)
    await broker.stop()
    assert town.most_in_a_message > 1, "what waited while the broker was away travels together"
    check_truth(simulated, list(town.deliveries.values()))


async def arrived(town: Town) -> None:
    """Every meter has three days of three channels (and one more interval if a quarter of an hour ended meanwhile)."""
    async with asyncio.timeout(HANGS_AFTER_S):
        while len(intervals_in(town.deliveries.values())) < METERS * 3 * 288:  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(0.05)


def intervals_in(deliveries: Iterable[Delivery]) -> Counter[tuple[str, bytes, int]]:
    """How often each interval of each channel came."""
    return Counter(
        (one.meter_id, bytes(series.reading_type.obis), start)
        for one in deliveries
        for series in one.intervals
        for start in series.starts.tolist()
    )


def check_truth(simulated: Fleet, deliveries: list[Delivery]) -> None:
    times = intervals_in(deliveries)
    assert set(times.values()) == {1}
    assert len(times) >= METERS * 3 * 288
    assert {one.outcome for one in deliveries} == {Outcome.COMPLETE}, "a counter that came twice would be refused"
    for one in deliveries:
        meter = simulated.meter(one.meter_id)
        step_wh = 10 if one.profile == "bergholm_b20" else 1
        for series in one.intervals:
            truth = [meter.truth_wh(series.reading_type.obis, int(start)) for start in series.starts]
            read = series.values * 10.0**series.reading_type.exponent
            assert np.all(np.abs(read - truth) <= step_wh), (one.meter_id, str(series.reading_type.obis))
