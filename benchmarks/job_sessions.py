"""`python -m benchmarks.job_sessions`: the head-end's own CPU for one meter-day, from lease to committed delivery.

Simulated meters answer in this process; the CPU of their side is measured and taken off. Everything else counts: lease,
counters, session, deciphering, normalisation, encoding, the transaction with jobs, outbox and progress (SQLite file).
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from amity.domain.jobs import JobKind, JobRequest, JobState, Priority
from amity.headend.jobs.meter_sessions import MeterSessions
from amity.headend.jobs.ports import LeaseTerms
from amity.headend.jobs.worker import Worker
from amity.headend.mapping_file import MappingFile
from amity.headend.plan import ReadingRules
from amity.headend.ports import MeterSecrets
from amity.headend.surroundings import Surroundings
from amity.messaging.codec import ProtobufCodec
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.storage.ot.database import OtDatabase, open_database
from tests.unit.headend.conftest import NOW, MemoryConnector, MemoryKeys, SettableClock, endpoint_of

KINDS = (JobKind.REGISTERS, JobKind.PROFILES, JobKind.EVENTS)


class MeterSide:
    """CPU seconds that the meters themselves used."""

    def __init__(self) -> None:
        self.cpu_s = 0.0

    def around(self, association: object) -> "_Timed":
        """The association with a watch around it."""
        return _Timed(association, self)


class _Timed:
    def __init__(self, association: object, side: MeterSide) -> None:
        self._association, self._side = association, side

    def receive(self, apdu: bytes, now: object) -> object:
        began = time.thread_time()
        try:
            return self._association.receive(apdu, now)
        finally:
            self._side.cpu_s += time.thread_time() - began

    def close(self) -> None:
        self._association.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meters", type=int, default=400)
    parser.add_argument("--concurrency", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, closing(open_database(Path(folder) / "ot.sqlite")) as database:
        for line in _measure(database, Path(folder), options.meters, options.concurrency):
            print(line)


def _measure(database: OtDatabase, folder: Path, count: int, concurrency: int) -> list[str]:
    clock, side = SettableClock(), MeterSide()
    simulated = build_fleet(FleetSettings(meters=count, seed=7, anchor=NOW, auth="hls-gmac"))
    connector = MemoryConnector(clock, simulated.meters)
    open_association = {one: server.open_association for one, server in connector.servers.items()}
    for meter_id, server in connector.servers.items():
        object.__setattr__(server, "open_association", _timed(open_association[meter_id], side))
    database.endpoints.put(map(endpoint_of, simulated.meters))
    keys = {one.meter_id: MeterSecrets(one.keys.password, one.keys.guek, one.keys.gak) for one in simulated.meters}
    surroundings = Surroundings(
        clock=clock, chance=random.random, random_octets=random.randbytes, system_title=b"AMYHEAD1",
        connector=connector,
        disk=asyncio.to_thread, endpoints=database.endpoints, keys=MemoryKeys(keys), counters=database.counters,
        collection=database.collection, codec=ProtobufCodec(), mappings=MappingFile(folder / "mapping.json"),
        subject="s", reading=ReadingRules(first_read=timedelta(days=1)),
    )  # fmt: skip
    lines = []
    for round_name in ("first contact", "the day after"):
        requests = [
            JobRequest(one.meter_id, kind, Priority.SCHEDULED, clock.now(), f"{round_name}/{one.meter_id}/{kind}")
            for one in simulated.meters
            for kind in KINDS
        ]
        database.jobs.enqueue(requests, clock.now())
        sessions = MeterSessions(surroundings, database.meter_states, database.counters)
        terms = LeaseTerms("bench", timedelta(minutes=5), look_every=timedelta(milliseconds=50))
        worker = Worker(
            database.jobs, sessions, terms=lambda terms=terms: terms, concurrency=concurrency, clock=clock,
            disk=asyncio.to_thread, chance=random.random,
        )  # fmt: skip
        side.cpu_s, began = 0.0, time.process_time()
        asyncio.run(worker.drain())
        ours_s = time.process_time() - began - side.cpu_s
        outcomes = database.job_book.counts(clock.now()).by_state
        if set(outcomes) != {JobState.DONE}:
            raise SystemExit(f"not every job was done: {outcomes}")
        lines.append(f"{round_name}: {1000 * ours_s / count:.2f} ms CPU a meter-day ({count} meters, ciphered)")
        clock.advance(days=1)
    return lines


def _timed(open_association: Callable[[int], object], side: MeterSide) -> Callable[[int], object]:
    return lambda client: side.around(open_association(client))


if __name__ == "__main__":
    main()
