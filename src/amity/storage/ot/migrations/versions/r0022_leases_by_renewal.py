"""A lease says how long it lasts; whether its worker is there is told by its renewals and by nobody's clock."""

import sqlalchemy as sa
from alembic import op

from amity.storage.ot.job_tables import NEVER

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Leases that are held, or that a program of before still takes, last for the longest that it may have set."""
    op.add_column("job_line", sa.Column("lasts", sa.BigInteger(), nullable=False, server_default="3600000000"))
    op.add_column("job_line", sa.Column("silent", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(sa.text("UPDATE job_line SET due_at = :never, rank = :never WHERE worker <> ''").bindparams(never=NEVER))


def downgrade() -> None:
    """Those that are held are due when their leases end."""
    op.execute("UPDATE job_line SET due_at = until, rank = until WHERE worker <> ''")
    op.drop_column("job_line", "silent")
    op.drop_column("job_line", "lasts")
