"""A head-end as a process of its own, made to be killed: `python -m … FOLDER BROKER_PORT`.

Reads its fleet once, over TCP, and carries its deliveries to the broker; prints each meter as it is done, then `end`.
"""

import asyncio
import os
import random
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from amity.headend.delivery import Courier
from amity.headend.mapping_file import MappingFile
from amity.headend.surroundings import SessionRules, Surroundings
from amity.kernel.backoff import Backoff
from amity.messaging.access import OT, SUBJECT, load_access
from amity.messaging.broker import JetStreamPublisher
from amity.messaging.codec import ProtobufCodec, join
from amity.runtime.system import SystemClock
from amity.storage.ot.database import open_database
from amity.storage.ot.keys import KeyFile
from amity.transports.meter_connector import MeterConnector
from tests.unit.headend.rounds import Rounds

T = TypeVar("T")
THREAD = ThreadPoolExecutor(1)


async def in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(THREAD, work)


async def main(folder: Path, broker_port: int) -> None:
    database = open_database(folder / "ot.sqlite")
    surroundings = Surroundings(
        clock=SystemClock(),
        chance=random.random,
        random_octets=os.urandom,
        system_title=b"AMYHEAD1",
        connector=MeterConnector(),
        disk=in_thread,
        endpoints=database.endpoints,
        keys=KeyFile(folder / "keys.json"),
        counters=database.counters,
        collection=database.collection,
        codec=ProtobufCodec(),
        mappings=MappingFile(folder / "mapping.json"),
        subject=SUBJECT,
        session=SessionRules(backoff=Backoff(0.01, 0.1)),
    )
    publisher = JetStreamPublisher(load_access(folder / "nats", OT, f"nats://127.0.0.1:{broker_port}"))
    courier = Courier(database.collection, publisher, in_thread, random.random, join=join)
    carrying = asyncio.create_task(courier.run())
    rounds = Rounds(
        surroundings,
        database,
        concurrent_sessions=3,
        told=lambda one: say(one.meter_id),
        name=f"w{os.getpid()}",
        lease=timedelta(seconds=8),
    )
    await rounds.read_fleet_once()
    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)
    await courier.drain()
    await publisher.close()
    say("end")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
