"""Leasing among 1,000,000 jobs, alive and ended: each statement finds its rows by an index, on both databases."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from amity.domain.jobs import JobKind, JobOutcome, JobRequest, JobState, Priority
from amity.headend.jobs.ports import Finished, LeaseTerms
from amity.storage.ot.database import OtDatabase, open_database, open_shared_database
from tests.services import postgres

METERS, JOBS_EACH, ALIVE_EACH = 100_000, 10, 3
NOW = datetime(2026, 11, 20, 6, tzinfo=UTC)
AT = int(NOW.timestamp() * 1_000_000)
DAY = 86_400_000_000
KINDS = (JobKind.REGISTERS, JobKind.PROFILES, JobKind.EVENTS)
SCANS = re.compile(r"Seq Scan on (job\w*)|\bSCAN (job\w*)(?! USING INDEX)")

_NUMBERS = f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {METERS}) SELECT n FROM c"  # noqa: S608 - constants of our own
_LINES = f"""
    INSERT INTO job_line (meter_id, collector, cell, network, due_at, rank, worker, until, fence, tries, tries_day,
                          rested_until)
    SELECT 'M' || n, '', '', '', {AT} - n, {AT} - n + 1800000000, '', 0, 0, 0, 0, 0 FROM ({_NUMBERS}) AS numbers"""  # noqa: S608 - constants of our own
_JOBS = f"""
    INSERT INTO job (job_id, meter_id, kind, priority, state, rank, not_before, created_at, requested_by, reason,
                     correlation_id, attempts, worker, finished_at, told, remedy, coalesced_into)
    SELECT 'J' || n || '-' || :turn, 'M' || n, :kind, 2, :state, {AT} - n + 1800000000, {AT} - n, {AT} - {DAY}, 'x',
           '', '', 0, '', :finished, '', '', '' FROM ({_NUMBERS}) AS numbers"""  # noqa: S608 - constants of our own


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtDatabase]:
    """Filled, and looked at by the planner as autovacuum would."""
    if request.param == "sqlite":
        with closing(open_database(tmp_path_factory.mktemp("big") / "ot.sqlite")) as opened:
            yield filled(opened)
        return
    if reason := postgres.why_missing():
        pytest.skip(reason)
    with postgres.server() as server, closing(open_shared_database(server.url)) as opened:
        yield filled(opened)


def filled(database: OtDatabase) -> OtDatabase:
    with database._engine.begin() as connection:
        connection.execute(text(_LINES))
        for turn in range(JOBS_EACH):
            alive = turn < ALIVE_EACH
            values: dict[str, Any] = {"state": JobState.WAITING if alive else JobState.DONE, "kind": KINDS[turn % 3]}
            values |= {"turn": str(turn), "finished": None if alive else AT - turn * DAY}
            connection.execute(text(_JOBS), values)
    with database._engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    return database


def carried_out(database: OtDatabase) -> list[tuple[str, Any]]:
    """Every statement on the tables of jobs, of all that workers and schedulers do all day."""
    seen: list[tuple[str, Any]] = []

    def remember(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if re.search(r"\bjob(_line)?\b", statement):
            seen.append((statement, parameters))

    event.listen(database._engine, "before_cursor_execute", remember)
    bundles = database.jobs.lease(LeaseTerms("worker", timedelta(minutes=5)), 128, NOW)
    assert len(bundles) == 128
    database.jobs.renew([one.lease for one in bundles], NOW + timedelta(minutes=9))
    done = [
        Finished(one.lease, tuple(JobOutcome(job.job_id, JobState.DONE) for job in one.jobs)) for one in bundles[:64]
    ]
    assert len(database.jobs.finish(done, NOW)) == 64
    requests = [
        JobRequest(one.lease.meter_id, kind, Priority.SCHEDULED, NOW, f"{one.lease.meter_id}/{kind}")
        for one in bundles[:64]
        for kind in KINDS
    ]
    database.jobs.enqueue(requests, NOW)
    database.jobs.expire(NOW)
    event.remove(database._engine, "before_cursor_execute", remember)
    return seen


def planned(connection: Connection, statement: str, parameters: Any = ()) -> str:
    """How the database would carry it out."""
    explain = "EXPLAIN " if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
    return "\n".join(" ".join(map(str, row)) for row in connection.exec_driver_sql(explain + statement, parameters))


def test_no_statement_reads_a_table_from_end_to_end(database: OtDatabase) -> None:
    statements, scanning = carried_out(database), []
    assert len(statements) > 10
    with database._engine.connect() as connection:
        for statement, parameters in statements:
            plan = planned(connection, statement, parameters)
            if SCANS.search(plan):
                scanning.append(f"{' '.join(statement.split())[:120]}\n{plan}")
    assert scanning == []


def test_a_table_without_its_index_would_be_noticed(database: OtDatabase) -> None:
    """So that the test above can fail."""
    with database._engine.connect() as connection:
        assert SCANS.search(planned(connection, "SELECT * FROM job WHERE told = 'x'"))


def test_a_worker_with_nothing_to_do_does_not_read_the_fleet(database: OtDatabase) -> None:
    """It looks twice a second, also while the whole fleet is due within the hour and ranks below what may be leased."""
    due = f"rank <= {AT + DAY} AND due_at <= {AT - DAY}"
    with database._engine.connect() as connection:
        plan = planned(connection, f"SELECT meter_id FROM job_line WHERE {due} ORDER BY rank LIMIT 128")  # noqa: S608 - constants of our own
    assert not SCANS.search(plan)
    assert "ix_job_line_" in plan


def test_history_of_seven_days_is_pruned_by_its_index_and_no_more(database: OtDatabase) -> None:
    before = database.jobs.prune(NOW - timedelta(days=7, hours=1))
    assert before == 2 * METERS, "those of the eighth and ninth day"
    assert database.jobs.prune(NOW - timedelta(days=7, hours=1)) == 0
