from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from amity.storage.it.database import MIGRATIONS
from amity.storage.it.tables import metadata
from amity.storage.migrations import upgrade
from amity.storage.sqlite import open_sqlite


def test_the_migrations_lead_to_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path / "a.sqlite")
    upgrade(engine, MIGRATIONS)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    engine = open_sqlite(tmp_path / "a.sqlite")
    upgrade(engine, MIGRATIONS)
    before = inspect(engine).get_table_names()
    upgrade(engine, MIGRATIONS)
    assert inspect(engine).get_table_names() == before != []
