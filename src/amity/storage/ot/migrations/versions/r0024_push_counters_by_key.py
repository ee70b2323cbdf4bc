"""A meter that got a new key counts its pushes from the beginning: what was heard is kept for each key by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Under which key the counters so far came nobody has written down: the next push of each meter tells."""
    with op.batch_alter_table("push_counter") as table:
        table.add_column(sa.Column("key_name", sa.String(), nullable=False, server_default=""))
        table.drop_constraint("pk_push_counter", type_="primary")
        table.create_primary_key("pk_push_counter", ["meter_id", "key_name"])


def downgrade() -> None:
    """Of each meter stay the counters of the key that it used last."""
    op.execute(
        """
        DELETE FROM push_counter WHERE EXISTS (
            SELECT 1 FROM push_counter AS other WHERE other.meter_id = push_counter.meter_id
            AND (other.marked_s, other.last_counter, other.key_name)
              > (push_counter.marked_s, push_counter.last_counter, push_counter.key_name))"""
    )
    with op.batch_alter_table("push_counter") as table:
        table.drop_constraint("pk_push_counter", type_="primary")
        table.create_primary_key("pk_push_counter", ["meter_id"])
        table.drop_column("key_name")
