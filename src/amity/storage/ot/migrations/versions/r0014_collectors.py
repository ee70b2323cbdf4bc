"""Collectors that called, with what was decided of them, and the pushes that came through them."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the tables, empty; of the pushes heard so far nothing is missing."""
    nothing = "x''" if op.get_bind().dialect.name == "sqlite" else "''"  # in SQLite '' would be text, not octets
    missing = sa.Column("missing", sa.LargeBinary(), nullable=False, server_default=sa.text(nothing))
    op.add_column("push_counter", missing)
    op.create_table(
        "collector",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("name", "fingerprint", "admission", "address")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("first_seen", "last_seen")),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("connected_to", "quality")),
        sa.PrimaryKeyConstraint("name", "fingerprint", name="pk_collector"),
    )
    op.create_table(
        "forwarded_push",
        sa.Column("push_id", sa.String(), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("push_id", name="pk_forwarded_push"),
    )
    op.create_index("ix_forwarded_push_taken_at", "forwarded_push", ["taken_at"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("forwarded_push")
    op.drop_table("collector")
    op.drop_column("push_counter", "missing")
