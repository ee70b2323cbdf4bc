"""A lease says how long it lasts; whether its worker is there is told by its renewals and by nobody's clock."""

import sqlalchemy as sa
from alembic import op

from amity.storage.ot.job_tables import NEVER

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """The column, 60 s (the default of old) for those that are held; these are due no more."""
    op.add_column("job_line", sa.Column("lasts", sa.BigInteger(), nullable=False, server_default="60000000"))
    op.execute(sa.text("UPDATE job_line SET due_at = :never, rank = :never WHERE worker <> ''").bindparams(never=NEVER))


def downgrade() -> None:
    """Those that are held are due when their leases end."""
    op.execute("UPDATE job_line SET due_at = until, rank = until WHERE worker <> ''")
    op.drop_column("job_line", "lasts")
