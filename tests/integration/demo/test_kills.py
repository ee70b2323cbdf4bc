"""`kill -9` of any part at any moment: nothing acknowledged is lost, nothing counted twice, no counter used again."""

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from amity.domain.blocks import Channel, Stage
from amity.domain.readings import Quality
from amity.domain.spans import EpochSpan
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY
from amity.messaging.codec import ProtobufCodec
from amity.protocols.dlms import acse, apdu
from amity.runtime.settings import HeadendSettings, Settings, dump
from amity.simulation.fleet import Fleet
from amity.simulation.meter import SimulatedMeter
from amity.storage.it.database import ItDatabase, open_database
from amity.usecases.completeness import completeness_of
from tests.integration.demo.running_demo import RunningDemo, running_demo, wait_for

pytestmark = pytest.mark.slow

METERS = 30
IMPORT, EXPORT = Obis.parse("1.0.1.29.0.255"), Obis.parse("1.0.2.29.0.255")
HANDED_OVER: set[str] = set()
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
    end_s = int(time.time()) // 900 * 900
    span = EpochSpan(end_s - 3 * SECONDS_PER_DAY + 3600, end_s)  # a quarter hour may end while the demo starts
    with running_demo(folder, "--meters", str(METERS), "--seed", "11") as demo:
        for part in KILLED:
            time.sleep(chance.uniform(0.1, 1.2))
            gone = demo.kill(part)
            wait_for(lambda part=part, gone=gone: demo.parts().get(part) not in {None, gone}, f"{part} to come back")
        with closing(open_database(folder / "it" / "it.sqlite")) as database:
            wait_for(lambda: _all_complete(database, demo.fleet, span), "every healthy meter to be complete", 90)
        HANDED_OVER.update(_written_down(folder))
        wait_for(lambda: _stored(folder) >= HANDED_OVER, "the store to have what the head-end wrote down", 60)
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
    """Everything the head-end ever wrote down was committed on the other side; nothing became a dead letter."""
    assert HANDED_OVER
    with closing(sqlite3.connect(battered.folder / "it" / "it.sqlite")) as it:
        stored = {row[0] for row in it.execute("select message_id from delivery")}
        dead = it.execute("select count(*) from dead_letter").fetchone()[0]
    assert stored >= HANDED_OVER
    assert dead == 0


def test_no_invocation_counter_was_used_twice(battered: RunningDemo) -> None:
    """In the sessions that were kept, by their octets; in those that a kill cut short, by what the meters say.

    A meter remembers the highest counter it saw, so one that comes again is answered with an error, and the next
    delivery would tell of it.
    """
    codec, used = ProtobufCodec(), Counter[tuple[str, int]]()
    with closing(sqlite3.connect(battered.folder / "ot" / "ot.sqlite")) as ot:
        deliveries = [codec.decode(row[0]) for row in ot.execute("select body from delivery")]
    for delivery in deliveries:
        used.update((delivery.meter_id, counter) for one in delivery.exchanges for counter in _counters_in(one.request))
        assert "invocation counter" not in " ".join(delivery.detail), delivery.detail
    assert len(used) > 100
    assert not [where for where, times in used.items() if times > 1]


def _counters_in(request: bytes) -> list[int]:
    """The invocation counters of a request on the wire (the wrapper head is 8 octets), also of an AARQ."""
    octets = request[8:]
    if octets[:1] == bytes([acse.AARQ_TAG]):
        decoded = acse.decode(octets)
        octets = decoded.user_information if isinstance(decoded, acse.Aarq) else b""
    if not octets or octets[0] == acse.RLRQ_TAG:  # a push has no request
        return []
    message = apdu.decode(octets)
    return [message.invocation_counter] if isinstance(message, apdu.Ciphered) else []


def _healthy(fleet: Fleet) -> list[SimulatedMeter]:
    return [meter for meter in fleet.meters if not meter.kinds and not meter.happenings.outages]


def _all_complete(database: ItDatabase, fleet: Fleet, span: EpochSpan) -> bool:
    meter_ids = [meter.meter_id for meter in _healthy(fleet)]
    return all(one.whole for one in completeness_of(database, meter_ids, IMPORT, span).values())


def _written_down(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "ot" / "ot.sqlite")) as ot:
        return {row[0] for row in ot.execute("select message_id from delivery")}


def _stored(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "it" / "it.sqlite")) as it:
        return {row[0] for row in it.execute("select message_id from delivery")}


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
