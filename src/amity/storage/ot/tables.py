"""The OT zone's tables, in SQLAlchemy Core; the migrations bring a database to exactly this shape."""

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
    false,
)

from amity.storage.columns import Instant, JsonTuple

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

endpoint = Table(
    "endpoint",
    metadata,
    Column("meter_id", String, primary_key=True),
    Column("client", Integer, nullable=False),
    Column("server", Integer, nullable=False),
    Column("auth", String, nullable=False),
    Column("profile", String, nullable=False),
    Column("system_title", LargeBinary, nullable=False),
    Column("ciphering", String, nullable=False),
    Column("protection", String, nullable=False),
    # JSON: see `headend.route_document`.
    Column("route", String, nullable=False, server_default="{}"),
    Column("suite", Integer),
    Column("signed", Boolean, nullable=False, server_default=false()),
    Column("general_blocks", Boolean, nullable=False, server_default=false()),
    Column("legacy_allowed", Boolean, nullable=False, server_default=false()),
    # JSON: the fields of `headend.ports.Management`; its secrets are where the meter's are.
    Column("management", String),
)

# The lowest invocation counter that was never handed out.
invocation_counter = Table(
    "invocation_counter",
    metadata,
    Column("meter_id", String, primary_key=True),
    Column("next_counter", BigInteger, nullable=False),
)

# The head-end itself, one row: the system title under which the counters above were used. Title and counter make a
# nonce, so they live and die together.
head_end = Table(
    "head_end",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("system_title", LargeBinary, nullable=False),
)

# What each node of the cluster wrote at its last start or stop, here and into a file of its own.
start_mark = Table("start_mark", metadata, Column("mark", String, primary_key=True))

# The highest invocation counter that a meter used in a push under one key (-1: none was heard), which of those just
# below it were not heard yet, because pushes overtake each other, and how long ago they were overtaken:
# `headend.heard_counters`. The name of the key in hexadecimal; empty where nothing came since keys have names.
push_counter = Table(
    "push_counter",
    metadata,
    Column("meter_id", String, primary_key=True),
    Column("key_name", String, primary_key=True, server_default=""),
    Column("last_counter", BigInteger, nullable=False),
    Column("missing", LargeBinary, nullable=False, default=b""),
    Column("settled", BigInteger, nullable=False, server_default="0"),
    Column("mark", BigInteger, nullable=False, server_default="0"),
    Column("marked_s", BigInteger, nullable=False, server_default="0"),
)

standing = Table(
    "standing",
    metadata,
    Column("meter_id", String, primary_key=True),
    Column("intervals_until", Instant),
    Column("registers_until", Instant),
    Column("events_until", Instant),
    Column("outcome", String),
    Column("attempted_at", Instant),
    Column("failures_in_a_row", Integer, nullable=False),
    # How far each part was read when the mapping `unmapped_by` first left a column of it raw.
    Column("unmapped_intervals_until", Instant),
    Column("unmapped_registers_until", Instant),
    Column("unmapped_events_until", Instant),
    Column("unmapped_by", String, nullable=False, server_default=""),
    # The highest invocation counter that the meter used in a session, and the name of the key.
    Column("heard_key", LargeBinary),
    Column("heard_counter", BigInteger),
)

# Outbox and raw frames are one thing: the encoded delivery waits here (`sent` is 0), then stays for a while.
# Names of columns that a person may ask for stand beside the body.
delivery = Table(
    "delivery",
    metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("message_id", String, nullable=False),
    Column("meter_id", String, nullable=False),
    Column("collected_at", Instant, nullable=False),
    Column("outcome", String, nullable=False),
    Column("detail", JsonTuple, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("subject", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("urgency", Integer, nullable=False, server_default="1"),  # lanes, the faster first: headend/urgency.py
    UniqueConstraint("message_id"),
    sqlite_autoincrement=True,
)
Index(None, delivery.c.sent, delivery.c.urgency, delivery.c.sequence)
Index(None, delivery.c.collected_at)
