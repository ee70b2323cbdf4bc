"""Deliveries with alarms leave the outbox before the others."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0010"


def upgrade() -> None:
    """What waits already keeps its place among the readings."""
    op.add_column("delivery", sa.Column("urgency", sa.Integer(), nullable=False, server_default="1"))
    op.drop_index("ix_delivery_sent_sequence", "delivery")
    op.create_index("ix_delivery_sent_urgency_sequence", "delivery", ["sent", "urgency", "sequence"])


def downgrade() -> None:
    """One lane for all."""
    op.drop_index("ix_delivery_sent_urgency_sequence", "delivery")
    op.create_index("ix_delivery_sent_sequence", "delivery", ["sent", "sequence"])
    op.drop_column("delivery", "urgency")
