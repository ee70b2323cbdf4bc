"""A look at the OT database as it stands, without migrating it: for whoever wants to know whether all is well."""

from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, select

from amity.domain.jobs import JobState
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import EPOCH
from amity.storage.columns import MICROSECOND
from amity.storage.ot.database import MIGRATIONS
from amity.storage.ot.job_tables import NEVER, job, job_line
from amity.storage.ot.tables import delivery, endpoint, standing
from amity.storage.postgres import open_postgres
from amity.storage.sqlite import open_sqlite

_FAILING: Final = 3
"""Sessions in a row; the head-end tries such a meter once a round until it answers."""


class Condition(NamedTuple):
    """What the database holds. `revision` is its schema's, `newest` that of this program.

    `queued` deliveries wait for the broker, the oldest of them since `oldest`; `failing` meters failed again and again;
    `dead` jobs were given up and wait for a person. `due_since`: what waits longest for a worker was due then;
    `held_until`: the lease that was not renewed for the longest ended then by its worker's clock; None for none.
    """

    revision: str
    newest: str
    meters: int = 0
    failing: int = 0
    queued: int = 0
    oldest: datetime | None = None
    dead: int = 0
    due_since: datetime | None = None
    held_until: datetime | None = None

    @property
    def migrated(self) -> bool:
        """True when the schema is that of this program."""
        return self.revision == self.newest


def look(path: Path, url: str = "") -> Condition:
    """Look at an ot.sqlite, or at the PostgreSQL database of a URL.

    Raise ConfigurationError when there is none, StorageError when it cannot be read.
    """
    if not url and not path.exists():
        raise ConfigurationError(f"there is no database at {path}", next_step="the first start of the service makes it")
    engine = open_postgres(url) if url else open_sqlite(path)
    try:
        return _condition(engine)
    finally:
        engine.dispose()


def _condition(engine: Engine) -> Condition:
    newest = newest_revision()
    with engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision() or "none"
        if revision != newest:
            return Condition(revision, newest)
        return _counted(connection, newest)


def _counted(connection: Connection, revision: str) -> Condition:
    waiting = select(func.count(), func.min(delivery.c.collected_at)).where(delivery.c.sent == 0)
    queued, oldest = connection.execute(waiting).one()
    failing = select(func.count()).where(standing.c.failures_in_a_row >= _FAILING)
    return Condition(
        revision,
        revision,
        connection.execute(select(func.count()).select_from(endpoint)).scalar_one(),
        connection.execute(failing).scalar_one(),
        queued,
        oldest,
        connection.execute(select(func.count()).where(job.c.state == JobState.DEAD.value)).scalar_one(),
        _instant(connection.execute(select(func.min(job_line.c.due_at)).where(job_line.c.worker == "")).scalar_one()),
        _instant(connection.execute(select(func.min(job_line.c.until)).where(job_line.c.worker != "")).scalar_one()),
    )


def _instant(at: int | None) -> datetime | None:
    return None if at is None or at >= NEVER else EPOCH + at * MICROSECOND


def newest_revision() -> str:
    """The schema revision that this program brings a database to."""
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    return ScriptDirectory.from_config(config).get_current_head() or "none"
