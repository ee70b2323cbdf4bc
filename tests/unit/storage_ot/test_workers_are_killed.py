"""Worker processes are killed with SIGKILL in the midst of work: every job is done, every delivery stored once."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from amity.domain.jobs import JobKind, JobState
from amity.headend.jobs.ports import JobQuery
from amity.storage.ot.database import OtDatabase
from amity.storage.ot.tables import delivery
from tests.unit.headend.jobs.requests import request

CHILD = Path(__file__).with_name("job_worker_child.py")
METERS, KINDS = 300, (JobKind.PROFILES, JobKind.EVENTS)
PATIENCE_S = 60


@pytest.fixture
def where(database: OtDatabase) -> str:
    """How a child opens the database of this test."""
    return str(database._engine.url.database)


@contextmanager
def worker(where: str, name: str, log: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(  # noqa: S603 - our own child
        [sys.executable, str(CHILD), where, name, "1.5", str(log)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def waited_for(condition: object) -> bool:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.slow
def test_no_job_is_lost_and_none_is_done_twice_when_workers_are_killed(
    database: OtDatabase, where: str, tmp_path: Path
) -> None:
    now, log = datetime.now(UTC), tmp_path / "sessions.log"
    wanted = [request(f"M{n:03}", kind, not_before=now) for n in range(METERS) for kind in KINDS]

    def stored() -> int:
        with database._engine.connect() as connection:
            return len(connection.execute(select(delivery.c.message_id)).all())

    def done() -> bool:
        return database.job_book.counts(now).by_state.get(JobState.DONE) == len(wanted)

    with ExitStack() as workers:
        workers.enter_context(worker(where, "survivor", log))
        victims = [workers.enter_context(worker(where, f"victim {number}", log)) for number in range(2)]
        database.jobs.enqueue(wanted, now)
        for number, victim in enumerate(victims, start=1):
            assert waited_for(lambda number=number: stored() >= 20 * number)
            victim.send_signal(signal.SIGKILL)
        assert waited_for(done)

    jobs = database.job_book.find(JobQuery(limit=10_000))
    assert Counter(job.state for job in jobs) == {JobState.DONE: len(wanted)}
    with database._engine.connect() as connection:
        meters = Counter(connection.execute(select(delivery.c.meter_id)).scalars())
    assert meters == {f"M{n:03}": 1 for n in range(METERS)}
    assert {job.attempts for job in jobs} == {1, 2}, "the victims held some when they were killed"
    assert _open_twice(log) == []


def _open_twice(log: Path) -> list[str]:
    """Meters with which a second association began before the first ended; the dead end theirs by dying."""
    lines = [line.split() for line in log.read_text().splitlines()]
    last_word = {pid: index for index, (_, _, pid) in enumerate(lines)}
    held: dict[str, str] = {}
    twice = []
    for index, (what, meter, pid) in enumerate(lines):
        if what == "open":
            holder = held.get(meter)
            if holder is not None and last_word[holder] > index:
                twice.append(meter)
            held[meter] = pid
        elif held.get(meter) == pid:
            del held[meter]
    return twice
