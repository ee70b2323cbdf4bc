"""Schema migrations without a file outside the package: each zone has its own Alembic folder, run at start."""

from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData

from amity.kernel.errors import StorageError
from amity.storage.transactions import WRITES

_CONNECTION = "connection"


def upgrade(engine: Engine, script_location: str, revision: str = "head") -> None:
    """Bring the database to a revision of `script_location` (`package:folder`), the newest one, all or nothing.

    Processes that start together wait for each other: the first one migrates, the others find nothing to do. Raise
    StorageError when a newer program was here before.
    """
    config = Config()
    config.set_main_option("script_location", script_location)
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        config.attributes[_CONNECTION] = connection
        _refuse_newer(connection, ScriptDirectory.from_config(config))
        command.upgrade(config, revision)


def _refuse_newer(connection: Connection, known: ScriptDirectory) -> None:
    """Raise StorageError for a schema that this program has never heard of."""
    present = MigrationContext.configure(connection).get_current_revision()
    if present is not None and present not in {one.revision for one in known.walk_revisions()}:
        raise StorageError(
            f"the database has schema {present}, which this program does not know",
            tried="open it",
            answer=f"the newest of this program is {known.get_current_head()}",
            next_step="start the newer program that made it; nothing was changed",
        )


def run_environment(metadata: MetaData) -> None:
    """What a zone's `env.py` does: run the migrations on the connection that `upgrade` opened."""
    context.configure(connection=context.config.attributes[_CONNECTION], target_metadata=metadata)
    context.run_migrations()
