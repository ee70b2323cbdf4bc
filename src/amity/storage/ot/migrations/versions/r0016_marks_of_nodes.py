"""Each node of a cluster has a mark of its own start."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0014"


def upgrade() -> None:
    """The mark of the one node moves there."""
    op.create_table(
        "start_mark",
        sa.Column("mark", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("mark", name="pk_start_mark"),
    )
    op.execute("INSERT INTO start_mark (mark) SELECT start_mark FROM head_end")
    op.drop_column("head_end", "start_mark")


def downgrade() -> None:
    """One mark for all: the next start chooses a new title."""
    op.add_column("head_end", sa.Column("start_mark", sa.String(), nullable=False, server_default=""))
    op.drop_table("start_mark")
