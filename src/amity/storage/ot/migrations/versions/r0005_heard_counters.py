"""The highest invocation counter that each meter used in a session, and under which key."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add them, empty: what meters said to earlier releases is not known."""
    op.add_column("standing", sa.Column("heard_key", sa.LargeBinary(), nullable=True))
    op.add_column("standing", sa.Column("heard_counter", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Forget them."""
    for column in ("heard_key", "heard_counter"):
        op.drop_column("standing", column)
