"""The migrations make exactly the tables that the code describes, and opening again changes nothing."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from amity.headend.ports import Endpoint, Standing
from amity.headend.routes import over_tcp
from amity.kernel.errors import StorageError
from amity.storage.migrations import upgrade
from amity.storage.ot.database import MIGRATIONS, OtDatabase, open_database
from amity.storage.ot.tables import metadata
from amity.storage.sqlite import open_sqlite


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
