"""Where columns of a meter's profiles stayed raw for lack of a rule, so that another mapping asks for them again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_UNMAPPED = ("unmapped_intervals_until", "unmapped_registers_until", "unmapped_events_until")


def upgrade() -> None:
    """Add the marks, empty: what earlier releases left raw is not known."""
    for column in _UNMAPPED:
        op.add_column("standing", sa.Column(column, sa.BigInteger(), nullable=True))
    op.add_column("standing", sa.Column("unmapped_by", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    """Forget them."""
    for column in (*_UNMAPPED, "unmapped_by"):
        op.drop_column("standing", column)
