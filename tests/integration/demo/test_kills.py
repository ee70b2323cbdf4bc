"""`kill -9` of any part at any moment: nothing acknowledged is lost, nothing counted twice, no counter used again."""

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from amity.domain.blocks import Channel, Stage
from amity.domain.readings import Quality
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY
from amity.messaging.codec import ProtobufCodec
from amity.protocols.dlms import apdu
from amity.runtime.settings import HeadendSettings, Settings, dump
from amity.simulation.fleet import Fleet
from amity.simulation.meter import SimulatedMeter
from amity.storage.it.database import ItDatabase, open_database
from tests.integration.demo.running_demo import RunningDemo, running_demo, wait_for

pytestmark = pytest.mark.slow

METERS = 30
IMPORT, EXPORT = Obis.parse("1.0.1.29.0.255"), Obis.parse("1.0.2.29.0.255")
KILLED = ["headend", "nats-server", "mdm", "headend", "broker", "mdm", "nats-server", "headend"]


@pytest.fixture(scope="module")
def battered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo whose parts were killed again and again while it read three days of thirty meters, then left in peace."""
    seed = random.randrange(10_000)
    print(f"order of kills from seed {seed}")  # noqa: T201 - shown when a test fails
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("kills") / "demo"
    folder.mkdir()
    slow = Settings(headend=HeadendSettings(concurrency=2, poll_interval_s=5, request_timeout_s=1.0, attempts=1))
    (folder / "amity.toml").write_text(dump(slow))
    with running_demo(folder, "--meters", str(METERS), "--seed", "11") as demo:
        for part in KILLED:
            time.sleep(chance.uniform(0.1, 1.2))
            gone = demo.kill(part)
            wait_for(lambda part=part, gone=gone: demo.parts().get(part) not in {None, gone}, f"{part} to come back")
        with closing(open_database(folder / "it" / "it.sqlite")) as database:
            wait_for(lambda: _all_complete(database, demo.fleet), "every healthy meter to be complete", 90)
        assert demo.stop() == 0
        yield demo


@pytest.fixture
def database(battered: RunningDemo) -> Iterator[ItDatabase]:
    with closing(open_database(battered.folder / "it" / "it.sqlite")) as opened:
        yield opened


def test_every_stored_value_is_the_simulated_truth(battered: RunningDemo, database: ItDatabase) -> None:
    compared = 0
    for meter in _healthy(battered.fleet):
        for channel in database.blocks.channels(meter.meter_id):
            if channel.obis in {IMPORT, EXPORT}:
                compared += _compare(database, meter, channel)
    assert compared > 3 * 96 * len(_healthy(battered.fleet))


def test_every_register_snapshot_is_there_once_and_true(battered: RunningDemo) -> None:
    with closing(sqlite3.connect(battered.folder / "it" / "it.sqlite")) as raw:
        rows = raw.execute("select meter_id, obis, at, count(*) from register_reading group by 1, 2, 3").fetchall()
        deliveries = raw.execute("select message_id, count(*) from delivery group by 1").fetchall()
    assert rows
    assert {count for *_, count in rows} == {1}
    assert {count for _, count in deliveries} == {1}


def test_what_the_head_end_handed_over_is_what_the_store_has(battered: RunningDemo) -> None:
    """The outbox is empty, and each delivery that left it was committed on the other side, once."""
    with closing(sqlite3.connect(battered.folder / "ot" / "ot.sqlite")) as ot:
        sent = {row[0] for row in ot.execute("select message_id from delivery where sent")}
    with closing(sqlite3.connect(battered.folder / "it" / "it.sqlite")) as it:
        stored = {row[0] for row in it.execute("select message_id from delivery")}
        dead = it.execute("select count(*) from dead_letter").fetchone()[0]
    assert sent
    assert dead == 0
    waiting_in_the_broker = sent - stored
    assert len(waiting_in_the_broker) <= 64, "more is missing than can be under way when everything stops at once"


def test_no_invocation_counter_was_used_twice(battered: RunningDemo) -> None:
    codec, used = ProtobufCodec(), Counter[tuple[str, int]]()
    with closing(sqlite3.connect(battered.folder / "ot" / "ot.sqlite")) as ot:
        bodies = [row[0] for row in ot.execute("select body from delivery")]
    for delivery in map(codec.decode, bodies):
        counters = map(_counter_of, (exchange.request for exchange in delivery.exchanges))
        used.update((delivery.meter_id, counter) for counter in counters if counter is not None)
    assert len(used) > 100
    assert not [where for where, times in used.items() if times > 1]


def _counter_of(request: bytes) -> int | None:
    """The invocation counter of a protected request (the wrapper head is 8 octets)."""
    try:
        decoded = apdu.decode(request[8:])
    except Exception:  # noqa: BLE001 - an association request, which is no xDLMS APDU
        return None
    return decoded.invocation_counter if isinstance(decoded, apdu.Ciphered) else None


def _healthy(fleet: Fleet) -> list[SimulatedMeter]:
    return [meter for meter in fleet.meters if not meter.kinds and not meter.happenings.outages]


def _all_complete(database: ItDatabase, fleet: Fleet) -> bool:
    answered = {state.meter_id for state in database.deliveries.states() if state.last_answer_at}
    return {meter.meter_id for meter in _healthy(fleet)} <= answered


def _compare(database: ItDatabase, meter: SimulatedMeter, channel: Channel) -> int:
    today = int(time.time()) // SECONDS_PER_DAY
    blocks = database.blocks.read(Stage.RAW, [channel.channel_id], today - 5, today + 1)
    measured_days = [block.qualities & Quality.MEASURED != 0 for block in blocks]
    flat = np.concatenate(measured_days)
    known = np.flatnonzero(flat)
    assert flat[known[0] : known[-1] + 1].all(), f"{channel} has a hole"
    for block, measured in zip(blocks, measured_days, strict=True):
        truth = meter.truth_of_day(channel.obis, block.day) * 10**-channel.exponent
        assert np.array_equal(block.values[measured], truth[measured]), f"{channel} day {block.day}"
    return int(flat.sum())
