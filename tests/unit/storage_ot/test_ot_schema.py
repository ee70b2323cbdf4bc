"""The migrations make exactly the tables that the code describes, and opening again changes nothing."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from amity.kernel.errors import StorageError
from amity.storage.ot.database import OtDatabase, open_database
from amity.storage.ot.tables import metadata


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
