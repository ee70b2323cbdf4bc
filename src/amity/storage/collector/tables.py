"""The collector's tables, in SQLAlchemy Core; the migrations bring a database to exactly this shape."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from amity.storage.columns import Instant

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

held_push = Table(
    "held_push",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("push_id", LargeBinary, nullable=False),
    Column("at", Instant, nullable=False),
    Column("peer", String, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("frame", LargeBinary, nullable=False),
    UniqueConstraint("push_id"),
    sqlite_autoincrement=True,
)
Index(None, held_push.c.urgent, held_push.c.sequence)

# One row that moves with the table above, so that nobody has to count: what is held, and what ever made room.
tally = Table(
    "tally",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("alarms", BigInteger, nullable=False),
    Column("bulk", BigInteger, nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),
)
