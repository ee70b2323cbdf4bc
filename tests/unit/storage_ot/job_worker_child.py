"""A worker process for the kill tests: pretended meters, real leases. Says `ready`, then works until it is killed.

Arguments: file or URL of the database, its name, seconds that a lease lasts, file to which each session writes a line.
"""

import asyncio
import os
import random
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from amity.domain.collection import Delivery, Outcome
from amity.domain.jobs import Bundle
from amity.headend.jobs import worker as worker_module
from amity.headend.jobs.ports import LeaseTerms
from amity.headend.jobs.sessions import SessionResult
from amity.headend.jobs.worker import Worker
from amity.headend.ports import Progress, Saving
from amity.runtime.system import SystemClock
from amity.storage.ot.database import OtDatabase, open_database, open_shared_database


class PretendedMeters:
    """A session takes some milliseconds; its delivery is named by meter and fence."""

    def __init__(self, database: OtDatabase, log: Path) -> None:
        self._database = database
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def announce(self, bundles: Sequence[Bundle]) -> None:
        pass

    async def read(self, bundle: Bundle) -> SessionResult:
        meter = bundle.meter_id
        os.write(self._log, f"open {meter} {os.getpid()}\n".encode())
        await asyncio.sleep(random.uniform(0.02, 0.3))
        os.write(self._log, f"shut {meter} {os.getpid()}\n".encode())
        delivery = Delivery(f"{meter}-{bundle.lease.fence}", meter, "s", SystemClock().now(), Outcome.COMPLETE)

        return SessionResult(saving=Saving(delivery, "subject", b"body", Progress()))

    def keep(self, savings: Sequence[Saving]) -> None:
        self._database.collection.save_all(savings)


async def on_a_thread(work: Callable[[], object]) -> object:
    return await asyncio.to_thread(work)


async def main(where: str, name: str, lease_s: str, log: str) -> None:
    database = open_shared_database(where) if "://" in where else open_database(Path(where))
    worker_module._MARGIN = timedelta(milliseconds=100)  # leases of a second or two
    terms = LeaseTerms(name, timedelta(seconds=float(lease_s)))
    worker = Worker(
        database.jobs, PretendedMeters(database, Path(log)), terms=lambda: terms, concurrency=8,
        clock=SystemClock(), disk=on_a_thread, chance=random.random,
    )  # fmt: skip
    print("ready", flush=True)  # noqa: T201 - to the parent
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
