"""`python -m benchmarks.jobs`: jobs leased and given back per second by 1, 2 and 4 worker processes, on both databases.

No meter is called: this is what the database and its bookkeeping cost. Each meter has JOBS_PER_METER jobs, which are
one bundle. PostgreSQL is left out where it is not installed.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from amity.domain.jobs import JobKind, JobOutcome, JobRequest, JobState, Priority
from amity.headend.jobs.ports import Finished, LeaseTerms
from amity.storage.ot.database import OtDatabase, open_database, open_shared_database
from tests.services import postgres

NOW = datetime(2026, 11, 20, 6, tzinfo=UTC)
KINDS = (JobKind.REGISTERS, JobKind.PROFILES, JobKind.EVENTS)
JOBS_PER_METER = len(KINDS)
LEASED_AT_ONCE = 128
ENQUEUED_AT_ONCE = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meters", type=int, default=20_000)
    meters = parser.parse_args().meters
    print(f"{meters} meters, {JOBS_PER_METER} jobs each, {LEASED_AT_ONCE} meters a lease call")
    print("database     workers    enqueue   jobs/s  meters/s   worker CPU ms/meter")
    with tempfile.TemporaryDirectory() as folder:
        for workers in (1, 2, 4):
            _report("SQLite", str(Path(folder) / f"{workers}.sqlite"), workers, meters)
    if reason := postgres.why_missing():
        print(reason, file=sys.stderr)
        return
    for workers in (1, 2, 4):
        with postgres.server() as server:
            _report("PostgreSQL", server.url, workers, meters)


class Measured(NamedTuple):
    """Seconds of a run; `cpu_s` is that of all workers."""

    enqueue_s: float
    took_s: float
    cpu_s: float


def measure(where: str, workers: int, meters: int) -> Measured:
    """All meters leased and given back by so many processes."""
    with _opened(where) as database:
        enqueue_s = _enqueue(database, meters)
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        pool.map(_ready, range(workers))
        began = time.perf_counter()
        cpu_s = sum(pool.map(_work, [(where, f"w{n}") for n in range(workers)], chunksize=1))
        took_s = time.perf_counter() - began
    with _opened(where) as database:
        counts = database.job_book.counts(NOW).by_state
        if counts != {JobState.DONE: meters * JOBS_PER_METER}:
            raise SystemExit(f"not every job was done: {counts}")
    return Measured(enqueue_s, took_s, cpu_s)


def _report(name: str, where: str, workers: int, meters: int) -> None:
    made, jobs = measure(where, workers, meters), meters * JOBS_PER_METER
    print(
        f"{name:<12} {workers:>7} {jobs / made.enqueue_s:>9,.0f}/s {jobs / made.took_s:>8,.0f}"
        f" {meters / made.took_s:>9,.0f} {1000 * made.cpu_s / meters:>19.3f}",
        flush=True,
    )


def _enqueue(database: OtDatabase, meters: int) -> float:
    began = time.perf_counter()
    for first in range(0, meters, ENQUEUED_AT_ONCE):
        requests = [
            JobRequest(f"M{n:07}", kind, Priority.SCHEDULED, NOW, f"{n}/{kind}")
            for n in range(first, min(first + ENQUEUED_AT_ONCE, meters))
            for kind in KINDS
        ]
        database.jobs.enqueue(requests, NOW)
    return time.perf_counter() - began


def _ready(_: int) -> None:
    time.sleep(0.2)


def _work(where_and_name: tuple[str, str]) -> float:
    where, name = where_and_name
    terms = LeaseTerms(name, timedelta(minutes=5))
    with _opened(where) as database:
        began = resource.getrusage(resource.RUSAGE_SELF)
        while bundles := database.jobs.lease(terms, LEASED_AT_ONCE, NOW):
            finished = [
                Finished(one.lease, tuple(JobOutcome(job.job_id, JobState.DONE) for job in one.jobs)) for one in bundles
            ]
            database.jobs.finish(finished, NOW)
        ended = resource.getrusage(resource.RUSAGE_SELF)
    return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime


@contextmanager
def _opened(where: str) -> Iterator[OtDatabase]:
    database = open_shared_database(where) if "://" in where else open_database(Path(where))
    try:
        yield database
    finally:
        database.close()


if __name__ == "__main__":
    main()
