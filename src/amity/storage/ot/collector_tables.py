"""Tables of collectors, part of the OT zone's."""

from sqlalchemy import Column, Index, String, Table

from amity.storage.columns import Instant
from amity.storage.ot.tables import metadata

# Every collector that ever called with a certificate of our CA; `admission` is what a person decided of that key.
collector = Table(
    "collector",
    metadata,
    Column("name", String, primary_key=True),
    Column("fingerprint", String, primary_key=True),
    Column("admission", String, nullable=False),
    Column("address", String, nullable=False),
    Column("first_seen", Instant, nullable=False),
    Column("last_seen", Instant, nullable=False),
    Column("connected_to", String, nullable=False),
    Column("quality", String, nullable=False),
)

# The ids of pushes that came through a collector and were dealt with: what is sent again is not taken again.
forwarded_push = Table(
    "forwarded_push",
    metadata,
    Column("push_id", String, primary_key=True),
    Column("taken_at", Instant, nullable=False),
)
Index(None, forwarded_push.c.taken_at)
