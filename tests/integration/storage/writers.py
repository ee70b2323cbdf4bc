"""What the processes of the storage tests do: `python -m tests.integration.storage.writers JOB DATABASE SEED`."""

import random
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from amity.domain.blocks import Block, Stage
from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventKind, MeterEvent
from amity.headend.message_id import identified
from amity.messaging.codec import ProtobufCodec
from amity.runtime.system import SystemClock
from amity.storage.it.database import open_database
from amity.usecases.ingest import ingest
from tests.unit.storage.databases import DAY, IMPORT, NOON, block

CHANNELS, DAYS, SLOTS = 5, 4, 96
ROUNDS = 25


def value_of(channel: int, day: int, slot: int) -> int:
    """The one truth that all writers tell pieces of."""
    return (channel * 7919 + day * 104_729 + slot * 31) % 3_000


def pieces(seed: int) -> list[tuple[int, int, dict[int, int]]]:
    """Overlapping parts of days: any two writers tell many of the same slots, and each some that no other tells."""
    chance = random.Random(seed)
    told = []
    for number in range(ROUNDS * 8):
        channel, day = number % CHANNELS, chance.randrange(DAYS)
        first = chance.randrange(SLOTS)
        slots = range(first, min(SLOTS, first + chance.randrange(1, 24)))
        told.append((channel, day, {slot: value_of(channel, day, slot) for slot in slots}))
    return told


def merge_pieces(database: Path, seed: int) -> None:
    """Merge this writer's pieces, a few in each transaction, as fast as it can."""
    opened = open_database(database)
    ids = [opened.blocks.channel(f"M{channel}", IMPORT).channel_id for channel in range(CHANNELS)]
    told = pieces(seed)
    for start in range(0, len(told), 8):
        blocks: list[Block] = [block(ids[c], slots, day=DAY + d) for c, d, slots in told[start : start + 8]]
        opened.blocks.merge(Stage.RAW, blocks, source=f"writer {seed}", recorded_at=NOON)


def write_until_killed(database: Path, _seed: int) -> None:
    """Store block after block and say on standard output which one is acknowledged."""
    opened = open_database(database)
    channel_id = opened.blocks.channel("M1", IMPORT).channel_id
    number = 0
    while True:
        number += 1
        whole = block(channel_id, {slot: number + slot for slot in range(SLOTS)}, day=number)
        opened.blocks.merge(Stage.RAW, [whole], source=str(number), recorded_at=NOON)
        print(number, flush=True)  # noqa: T201 - this is the acknowledgement


# ------------------------------------------------------------------ events, told again and again
EVENTS_OF_A_METER = 24


def true_events(meter: int) -> list[MeterEvent]:
    """What happened: some in the same second, some of them alike, in two logs."""
    return [
        MeterEvent(
            EventKind.OTHER,
            code=40 + number % 3,
            at=NOON + timedelta(seconds=number // 4),
            text=f"event {number}",
            log=("standard", "fraud")[meter % 2],
            occurrence=int(number % 4 == 3),
        )
        for number in range(EVENTS_OF_A_METER)
    ]


def tellings(seed: int) -> list[Delivery]:
    """Every event pushed, pushed again, and brought by log readouts that overlap; in an order of this seed's own."""
    told = []
    for meter in range(CHANNELS):
        events = true_events(meter)
        for again in range(2):
            told += [_telling(meter, f"push {again}", [replace(one, pushed=True, text="pushed")]) for one in events]
        told += [_telling(meter, f"log {first}", events[first : first + 12]) for first in range(0, len(events), 6)]
    random.Random(seed).shuffle(told)
    return told


def _telling(meter: int, session: str, events: list[MeterEvent]) -> Delivery:
    at = NOON + timedelta(minutes=1)
    return identified(Delivery("", f"M{meter}", session, at, Outcome.PUSHED, events=tuple(events)))


def take_in(database: Path, seed: int) -> None:
    """Take every telling in twice, as a broker does that never had an answer; say which one is acknowledged."""
    opened, codec = open_database(database), ProtobufCodec()
    for number, one in enumerate(tellings(seed) + tellings(seed + 1)):
        body = codec.encode(one)
        ingest(codec.decode(body), body, opened, SystemClock())
        print(number, flush=True)  # noqa: T201 - this is the acknowledgement
    opened.close()


def open_and_leave(database: Path, _seed: int) -> None:
    """Start on a database that nobody has made yet."""
    open_database(database).close()


JOBS = {"merge": merge_pieces, "forever": write_until_killed, "open": open_and_leave, "take-in": take_in}

if __name__ == "__main__":
    JOBS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
