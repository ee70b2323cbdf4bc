"""A push that was overtaken by a later one is believed if it comes soon: how long ago that was is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

_COLUMNS = ("settled", "mark", "marked_s")


def upgrade() -> None:
    """The columns; what was heard so far has overtaken the rest an eternity ago, as that was not believed."""
    for name in _COLUMNS:
        op.add_column("push_counter", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Forget them, and the meters of which nothing was heard."""
    op.execute("DELETE FROM push_counter WHERE last_counter < 0")
    for name in _COLUMNS:
        op.drop_column("push_counter", name)
