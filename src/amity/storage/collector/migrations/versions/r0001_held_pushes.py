"""Pushes that wait for the head-end."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, empty."""
    op.create_table(
        "held_push",
        sa.Column("sequence", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("push_id", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("peer", sa.String(), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("push_id", name="uq_held_push_push_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_held_push_urgent_sequence", "held_push", ["urgent", "sequence"])
    op.create_table(
        "tally",
        sa.Column("only", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("alarms", sa.BigInteger(), nullable=False),
        sa.Column("bulk", sa.BigInteger(), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("tally")
    op.drop_table("held_push")
