"""When and how a job was asked for stays with it: until now tries, calls and people moved both."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

# What was never begun, or was not left waiting by its first try, was never moved. Of all else only its making is known,
# which is no later than what was asked for: it is said to have taken too long rather than too little.
_AS_FAR_AS_KNOWN = """
    UPDATE job SET asked_as = priority, asked_at = CASE
        WHEN (started_at IS NULL OR attempts = 1 AND state IN ('leased', 'done', 'dead')) AND not_before > created_at
        THEN not_before ELSE created_at END"""


def upgrade() -> None:
    """The columns, filled with what is known of the jobs that are kept."""
    op.add_column("job", sa.Column("asked_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("job", sa.Column("asked_as", sa.Integer(), nullable=False, server_default="0"))
    op.execute(_AS_FAR_AS_KNOWN)


def downgrade() -> None:
    """What moves is all there is."""
    op.drop_column("job", "asked_as")
    op.drop_column("job", "asked_at")
