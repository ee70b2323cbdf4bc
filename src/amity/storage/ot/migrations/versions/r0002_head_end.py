"""The head-end's system title moves to the counters it was used with."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table; the title enters it at the next start."""
    op.create_table(
        "head_end",
        sa.Column("only", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("system_title", sa.LargeBinary(), nullable=False),
        sa.Column("start_mark", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("only", name="pk_head_end"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("head_end")
