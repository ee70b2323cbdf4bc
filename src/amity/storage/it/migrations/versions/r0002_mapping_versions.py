"""By which mapping a meter last answered, and by which an object stayed unknown: it is news only while both agree."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the versions, empty: what is unknown now stays so until its meter answers again."""
    for table in ("collection_state", "unknown_object"):
        op.add_column(table, sa.Column("mapping_version", sa.String(), nullable=False, server_default=""))
    op.add_column("unknown_object", sa.Column("collected_at", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Forget them."""
    op.drop_column("unknown_object", "collected_at")
    for table in ("unknown_object", "collection_state"):
        op.drop_column(table, "mapping_version")
