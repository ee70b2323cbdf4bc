"""The migrations make exactly the tables that the code describes, and opening again changes nothing."""

from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, insert, text

from amity.domain.jobs import JobKind, JobRequest, Priority
from amity.domain.spans import TimeSpan
from amity.headend.jobs.ports import LeaseTerms
from amity.headend.ports import Endpoint, Heard, Management, PushClaim, Standing
from amity.headend.routes import over_tcp
from amity.kernel.errors import StorageError
from amity.kernel.time import EPOCH
from amity.storage.migrations import upgrade
from amity.storage.ot.database import MIGRATIONS, OtDatabase, open_database
from amity.storage.ot.tables import endpoint, metadata
from amity.storage.sqlite import open_sqlite
from amity.storage.transactions import WRITES


def test_the_migrated_database_has_the_tables_of_the_code(database: OtDatabase) -> None:
    with database._engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []


def test_what_was_stored_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    first = open_database(tmp_path / "ot.sqlite")
    first.counters.reserve("M1", 7)
    first.close()
    again = open_database(tmp_path / "ot.sqlite")
    assert again.counters.reserve("M1", 1) == 8
    again.close()


def test_a_database_of_a_newer_program_is_refused_in_a_line(tmp_path: Path) -> None:
    open_database(tmp_path / "ot.sqlite").close()
    engine = open_sqlite(tmp_path / "ot.sqlite")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(StorageError, match="schema 9999, which this program does not know"):
        open_database(tmp_path / "ot.sqlite")


def test_a_file_that_is_no_database_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "ot.sqlite").write_bytes(b"a letter, not a database. " * 100)
    with pytest.raises(StorageError, match="not a SQLite database"):
        open_database(tmp_path / "ot.sqlite")


def test_a_database_of_the_first_release_opens_with_its_standings(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path / "ot.sqlite")
    upgrade(engine, MIGRATIONS, "0001")
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO standing (meter_id, failures_in_a_row) VALUES ('M1', 2)")
    engine.dispose()
    opened = open_database(tmp_path / "ot.sqlite")
    assert opened.collection.standings() == {"M1": Standing(failures_in_a_row=2)}
    opened.close()


def test_an_endpoint_of_an_earlier_release_is_reached_over_tcp_as_before(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path / "ot.sqlite")
    upgrade(engine, MIGRATIONS, "0003")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO endpoint (meter_id, host, port, client, server, auth, profile, system_title, ciphering,"
            " protection) VALUES ('M1', '10.0.0.7', 4059, 1, 1, 'lls', 'norrvik_n1', x'', '', '')"
        )
    engine.dispose()
    opened = open_database(tmp_path / "ot.sqlite")
    assert opened.endpoints.all() == [Endpoint("M1", over_tcp("10.0.0.7", 4059), 1, 1, "lls", "norrvik_n1", b"")]
    opened.close()


BEFORE_JOBS = "0005"
"""The newest revision before the head-end had jobs."""
BEFORE_JOBS_ROWS = """
INSERT INTO endpoint (meter_id, client, server, auth, profile, system_title, ciphering, protection, route, suite)
    VALUES ('M1', 1, 1, 'lls', 'norrvik_n1', x'', '', '', '{"host": "10.0.0.7", "port": 4059}', NULL);
INSERT INTO standing (meter_id, failures_in_a_row, heard_key, heard_counter) VALUES ('M1', 2, x'0102030405060708', 41);
INSERT INTO delivery (message_id, meter_id, collected_at, outcome, detail, attempts, subject, body, sent)
    VALUES ('id', 'M1', 1763596800000000, 'complete', '[]', 1, 'subject', x'00', 0);
INSERT INTO invocation_counter (meter_id, next_counter) VALUES ('M1', 78);
INSERT INTO push_counter (meter_id, last_counter) VALUES ('M1', 5);
INSERT INTO head_end (only, system_title, start_mark) VALUES (1, x'414D594845414431', 'mark')
"""


def test_the_revisions_are_one_chain() -> None:
    package, _, folder = MIGRATIONS.partition(":")
    with as_file(files(package).joinpath(folder)) as place:
        revisions = list(ScriptDirectory(str(place)).walk_revisions())
    assert [one.down_revision for one in revisions] == [*(one.revision for one in revisions[1:]), None]
    assert BEFORE_JOBS in {one.revision for one in revisions}


def test_a_database_from_before_jobs_keeps_all_it_has_and_takes_jobs(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path / "ot.sqlite")
    upgrade(engine, MIGRATIONS, BEFORE_JOBS)
    with engine.begin() as connection:
        for statement in BEFORE_JOBS_ROWS.split(";"):
            connection.exec_driver_sql(statement)
    engine.dispose()
    opened = open_database(tmp_path / "ot.sqlite")
    assert opened.endpoints.all() == [Endpoint("M1", over_tcp("10.0.0.7", 4059), 1, 1, "lls", "norrvik_n1", b"")]
    standing = opened.collection.standings()["M1"]
    assert (standing.failures_in_a_row, standing.heard) == (2, Heard(bytes(range(1, 9)), 41))
    assert [one.message_id for one in opened.collection.queued(9)] == ["id"]
    assert opened.counters.reserve("M1", 1) == 78
    assert opened.identity.load() == (b"AMYHEAD1", {"mark"})
    (refusal,) = opened.push_counters.move_all([PushClaim("M1", KEY, 5, authenticated=True, heard_s=0)])
    assert refusal is not None, "that push was heard before"
    now = datetime(2026, 11, 20, tzinfo=UTC)
    opened.jobs.enqueue([JobRequest("M1", JobKind.PING, Priority.ON_DEMAND, now, "key")], now)
    assert [one.meter_id for one in opened.jobs.lease(LeaseTerms("w"), 9, now)] == ["M1"]
    opened.close()


BEFORE_LACKING = "0018"
"""The newest revision in which a job said only in words what the meter did not have."""
BEFORE_LACKING_JOB = """
INSERT INTO job (job_id, meter_id, kind, priority, state, rank, not_before, created_at, requested_by, reason,
                 correlation_id, attempts, worker, finished_at, told, remedy, coalesced_into)
    VALUES ('{job_id}', 'M1', 'profiles', 2, 'done', 0, 0, 0, '', '', '', 1, '', 1763596800000000, '{told}', '', '')
"""
NO_ROWS = (
    "the meter had no rows for 2025-11-19T01:00:00Z/2025-11-19T02:00:00Z, 2025-11-19T03:00:00.5Z/2025-11-19T04:00:00Z"
)


def database_before_lacking(engine: Engine) -> None:
    """Brings an empty database to the revision before, with three jobs in it."""
    upgrade(engine, MIGRATIONS, BEFORE_LACKING)
    with engine.begin() as connection:
        for job_id, told in (("a", NO_ROWS), ("b", "clock set"), ("c", "")):
            connection.exec_driver_sql(BEFORE_LACKING_JOB.format(job_id=job_id, told=told))
    engine.dispose()


def check_what_was_lacking(opened: OtDatabase) -> None:
    found = {one.job_id: one.lacking for one in opened.job_log.since(datetime(2025, 11, 1, tzinfo=UTC))}
    opened.close()
    day = datetime(2025, 11, 19, tzinfo=UTC)
    first = TimeSpan(day.replace(hour=1), day.replace(hour=2))
    second = TimeSpan(day.replace(hour=3, microsecond=500_000), day.replace(hour=4))
    assert found == {"a": (first, second), "b": (), "c": ()}


BEFORE_AS_ASKED = "0019"
"""The newest revision in which nothing but `not_before` said when a job was asked for."""
BEFORE_AS_ASKED_JOB = """
INSERT INTO job (job_id, meter_id, kind, priority, state, rank, not_before, created_at, requested_by, reason,
                 correlation_id, attempts, worker, started_at, told, remedy, coalesced_into)
    VALUES ('{job_id}', 'M1', 'ping', 2, '{state}', 0, {not_before}, 1000000, '', '', '', {attempts}, '', {started_at},
            '', '', '')
"""


def database_before_as_asked(engine: Engine) -> None:
    """Brings an empty database to the revision before: jobs that were moved by their tries, and some that were not."""
    upgrade(engine, MIGRATIONS, BEFORE_AS_ASKED)
    jobs = {
        "never begun": ("waiting", 0, "NULL", 5),
        "first try": ("done", 1, 5_000_000, 5),
        "waits again": ("waiting", 1, 5_000_000, 9),
        "too late": ("expired", 1, 5_000_000, 9),
        "second try": ("done", 2, 5_000_000, 9),
        "due at once": ("done", 1, 5_000_000, 0),
    }
    with engine.begin() as connection:
        for job_id, (state, attempts, started_at, due_s) in jobs.items():
            connection.exec_driver_sql(
                BEFORE_AS_ASKED_JOB.format(
                    job_id=job_id, state=state, attempts=attempts, started_at=started_at, not_before=due_s * 1_000_000
                )
            )
    engine.dispose()


def check_when_they_were_asked(opened: OtDatabase) -> None:
    found = {one.job_id: one for one in opened.job_log.since(EPOCH)}
    opened.close()
    assert {job_id: (one.asked_at - EPOCH).seconds for job_id, one in found.items()} == {
        "never begun": 5,
        "first try": 5,
        "waits again": 1,
        "too late": 1,
        "second try": 1,
        "due at once": 1,
    }
    assert {one.priority for one in found.values()} == {Priority.SCHEDULED}


BEFORE_MANAGEMENT = "0020"
"""The newest revision in which a meter had one association."""


def check_management_comes_and_goes(engine: Engine) -> None:
    """Up from the revision before, down to it, and up again: the meter stays, and what it never had is none."""
    upgrade(engine, MIGRATIONS, BEFORE_MANAGEMENT)
    with engine.begin() as connection:
        connection.execute(
            insert(endpoint).values(
                meter_id="M1", client=1, server=1, auth="lls", profile="norrvik_n1", system_title=b"", ciphering="",
                protection="", route='{"host": "10.0.0.7", "port": 4059}',
            )
        )  # fmt: skip
    upgrade(engine, MIGRATIONS)
    known = Endpoint("M1", over_tcp("10.0.0.7", 4059), 1, 1, "lls", "norrvik_n1", b"")
    opened = OtDatabase(engine)
    assert opened.endpoints.all() == [known]
    opened.endpoints.put([replace(known, management=Management(2, "hls-gmac"))])
    downgrade(engine, BEFORE_MANAGEMENT)
    upgrade(engine, MIGRATIONS)
    assert opened.endpoints.all() == [known]
    opened.close()


KEY, NEW_KEY = b"K", b"L"
"""Names of keys."""
NOW_S = 1_763_596_800
BEFORE_OVERTAKEN = "0022"
"""The newest revision in which push counters had to rise."""


def check_overtaken_pushes_come_and_go(engine: Engine) -> None:
    """Up from the revision before: nothing that was refused is believed now. Down: nobody is left of whom none came."""
    upgrade(engine, MIGRATIONS, BEFORE_OVERTAKEN)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO push_counter (meter_id, last_counter) VALUES ('M1', 5)")
    upgrade(engine, MIGRATIONS)
    opened = OtDatabase(engine)
    claims = [PushClaim("M1", KEY, counter, authenticated=True, heard_s=NOW_S) for counter in (4, 5, 7, 6)]
    absurd = PushClaim("M2", KEY, 0xFFFF_FFFF, authenticated=False, heard_s=NOW_S)
    assert [one is None for one in opened.push_counters.move_all([*claims, absurd])] == [
        False, False, True, True, False
    ]  # fmt: skip
    downgrade(engine, BEFORE_OVERTAKEN)
    with engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT meter_id, last_counter FROM push_counter").fetchall()
    assert [tuple(row) for row in kept] == [("M1", 7)]
    upgrade(engine, MIGRATIONS)
    opened.close()


BEFORE_KEYS = "0023"
"""The newest revision in which a meter had one window of push counters, whatever its key."""


def check_push_counters_by_key_come_and_go(engine: Engine) -> None:
    """Up: what was heard stays heard under the key that a meter then names. Down: what it used last, of three keys."""
    upgrade(engine, MIGRATIONS, BEFORE_KEYS)
    with engine.begin() as connection:
        for meter_id, missing in (("M1", bytes([2])), ("M2", b"")):
            connection.execute(
                text("INSERT INTO push_counter VALUES (:meter_id, 9, :missing, 1, 3, :marked_s)"),
                {"meter_id": meter_id, "missing": missing, "marked_s": NOW_S},
            )
    upgrade(engine, MIGRATIONS)
    opened = OtDatabase(engine)

    def heard(key: bytes, *counters: int, heard_s: int = NOW_S) -> list[bool]:
        claims = [PushClaim("M1", key, counter, authenticated=True, heard_s=heard_s) for counter in counters]
        return [one is None for one in opened.push_counters.move_all(claims)]

    assert heard(KEY, 9, 8, 7, 7, 10) == [False, False, True, False, True]
    assert heard(NEW_KEY, 1, 3, heard_s=NOW_S + 90) == [True, True]
    assert heard(KEY, 11, heard_s=NOW_S + 900) == [True]
    assert heard(b"A", 500, heard_s=NOW_S + 90) == [True]
    downgrade(engine, BEFORE_KEYS)
    with engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT meter_id, last_counter FROM push_counter ORDER BY 1").fetchall()
    assert [tuple(row) for row in kept] == [("M1", 11), ("M2", 9)]
    upgrade(engine, MIGRATIONS)
    assert heard(NEW_KEY, 11, 12) == [False, True]
    opened.close()


def downgrade(engine: Engine, revision: str) -> None:
    """As the tests alone need it."""
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def test_a_management_association_comes_with_its_revision_and_goes_with_it(tmp_path: Path) -> None:
    check_management_comes_and_goes(open_sqlite(tmp_path / "ot.sqlite"))


def test_the_window_of_push_counters_comes_with_its_revision_and_goes_with_it(tmp_path: Path) -> None:
    check_overtaken_pushes_come_and_go(open_sqlite(tmp_path / "ot.sqlite"))


def test_the_push_counters_of_each_key_come_with_their_revision_and_go_with_it(tmp_path: Path) -> None:
    check_push_counters_by_key_come_and_go(open_sqlite(tmp_path / "ot.sqlite"))


def test_jobs_from_before_it_was_kept_were_asked_for_no_later_than_is_known(tmp_path: Path) -> None:
    database_before_as_asked(open_sqlite(tmp_path / "ot.sqlite"))
    check_when_they_were_asked(open_database(tmp_path / "ot.sqlite"))


def test_what_jobs_told_before_there_was_a_column_for_it_is_still_what_they_lack(tmp_path: Path) -> None:
    database_before_lacking(open_sqlite(tmp_path / "ot.sqlite"))
    check_what_was_lacking(open_database(tmp_path / "ot.sqlite"))
