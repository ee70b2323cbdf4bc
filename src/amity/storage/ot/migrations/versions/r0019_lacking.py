"""What a job that was done lacks is a column of its own; until now its words were all there was of it."""

import json
import re
from datetime import datetime

import sqlalchemy as sa
from alembic import op

from amity.storage.columns import microseconds

revision = "0019"
down_revision = "0018"

_WORDS = "the meter had no rows for "
_SPAN = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+Z)/(\d{4}-\d\d-\d\dT[\d:.]+Z)", re.ASCII)
_job = sa.table("job", sa.column("job_id", sa.String), sa.column("told", sa.String), sa.column("lacking", sa.String))


def upgrade() -> None:
    """The column, filled from the words of the jobs that are kept."""
    op.add_column("job", sa.Column("lacking", sa.String(), nullable=False, server_default=""))
    connection = op.get_bind()
    told = connection.execute(sa.select(_job.c.job_id, _job.c.told).where(_job.c.told.startswith(_WORDS))).all()
    filled = [{"id": job_id, "spans": _spans(words)} for job_id, words in told]
    if filled:
        wanted = sa.update(_job).where(_job.c.job_id == sa.bindparam("id")).values(lacking=sa.bindparam("spans"))
        connection.execute(wanted, filled)


def downgrade() -> None:
    """The words say it still."""
    op.drop_column("job", "lacking")


def _spans(words: str) -> str:
    pairs = (map(datetime.fromisoformat, pair) for pair in _SPAN.findall(words))
    return json.dumps([[microseconds(instant) for instant in pair] for pair in pairs])
