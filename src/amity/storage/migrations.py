"""Schema migrations without a file outside the package: each zone has its own Alembic folder, run at start."""

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Engine, MetaData

from amity.storage.transactions import WRITES

_CONNECTION = "connection"


def upgrade(engine: Engine, script_location: str, revision: str = "head") -> None:
    """Bring the database to a revision of `script_location` (`package:folder`), the newest one, all or nothing.

    Processes that start together wait for each other: the first one migrates, the others find nothing to do.
    """
    config = Config()
    config.set_main_option("script_location", script_location)
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        config.attributes[_CONNECTION] = connection
        command.upgrade(config, revision)


def run_environment(metadata: MetaData) -> None:
    """What a zone's `env.py` does: run the migrations on the connection that `upgrade` opened."""
    context.configure(connection=context.config.attributes[_CONNECTION], target_metadata=metadata)
    context.run_migrations()
