"""A meter may have a second association, in which it lets itself be changed."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """The column; meters that are known have none until they are imported anew."""
    op.add_column("endpoint", sa.Column("management", sa.String(), nullable=True))


def downgrade() -> None:
    """Clocks are moved by whoever reads."""
    op.drop_column("endpoint", "management")
