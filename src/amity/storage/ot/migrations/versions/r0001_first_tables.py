"""First tables: endpoints, invocation counters, standings, deliveries with their outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table of the first release."""
    _endpoint()
    _counters()
    _standing()
    _delivery()


def downgrade() -> None:
    """Drop them."""
    for table in ("delivery", "standing", "push_counter", "invocation_counter", "endpoint"):
        op.drop_table(table)


def _endpoint() -> None:
    op.create_table(
        "endpoint",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("client", sa.Integer(), nullable=False),
        sa.Column("server", sa.Integer(), nullable=False),
        sa.Column("auth", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("system_title", sa.LargeBinary(), nullable=False),
        sa.Column("ciphering", sa.String(), nullable=False),
        sa.Column("protection", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("meter_id", name="pk_endpoint"),
    )


def _counters() -> None:
    for table, column in (("invocation_counter", "next_counter"), ("push_counter", "last_counter")):
        op.create_table(
            table,
            sa.Column("meter_id", sa.String(), nullable=False),
            sa.Column(column, sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint("meter_id", name=f"pk_{table}"),
        )


def _standing() -> None:
    op.create_table(
        "standing",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("intervals_until", sa.BigInteger(), nullable=True),
        sa.Column("registers_until", sa.BigInteger(), nullable=True),
        sa.Column("events_until", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("attempted_at", sa.BigInteger(), nullable=True),
        sa.Column("failures_in_a_row", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("meter_id", name="pk_standing"),
    )


def _delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("collected_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_delivery"),
        sa.UniqueConstraint("message_id", name="uq_delivery_message_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_delivery_sent_sequence", "delivery", ["sent", "sequence"])
    op.create_index("ix_delivery_collected_at", "delivery", ["collected_at"])
