"""The IT zone's tables, in SQLAlchemy Core; the migrations bring a database to exactly this shape."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from amity.storage.columns import Instant, JsonTuple, ObisCode

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# ------------------------------------------------------------------ registry
town = Table(
    "town",
    metadata,
    Column("town_id", Integer, primary_key=True, autoincrement=False),
    Column("name", String, nullable=False),
    Column("timezone", String, nullable=False),
)
transformer = Table(
    "transformer",
    metadata,
    Column("transformer_id", String, primary_key=True),
    Column("feeder_id", String, nullable=False),
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
)
usage_point = Table(
    "usage_point",
    metadata,
    Column("usage_point_id", String, primary_key=True),
    Column("address", String, nullable=False),
    Column("account_id", String, nullable=False),
    Column("transformer_id", String, ForeignKey("transformer.transformer_id"), nullable=False),
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
    Column("has_solar", Boolean, nullable=False),
)
meter = Table(
    "meter",
    metadata,
    Column("meter_id", String, primary_key=True),
    Column("serial", String, nullable=False),
    Column("profile", String, nullable=False),
    Column("usage_point_id", String, ForeignKey("usage_point.usage_point_id"), nullable=False),
)

# ------------------------------------------------------------------ channel-day blocks
channel = Table(
    "channel",
    metadata,
    # A reading of a meter that nobody registered is kept too, so this is no foreign key.
    Column("channel_id", Integer, primary_key=True),
    Column("meter_id", String, nullable=False),
    Column("obis", ObisCode, nullable=False),
    Column("unit", Integer, nullable=False),
    Column("exponent", Integer, nullable=False),
    Column("interval_s", Integer, nullable=False),
    UniqueConstraint("meter_id", "obis", "unit", "exponent", "interval_s"),
)


def _block_columns(*, every_version: bool) -> list[Column[object]]:
    """One version of a channel-day (see storage/packing.py); history keys every version, `block` holds the newest."""
    return [
        Column("stage", String, primary_key=True),
        Column("channel_id", Integer, ForeignKey("channel.channel_id"), primary_key=True, autoincrement=False),
        Column("day", Integer, primary_key=True, autoincrement=False),
        Column("revision", Integer, primary_key=every_version, nullable=False, autoincrement=False),
        Column("content_hash", LargeBinary, nullable=False),
        Column("contents", LargeBinary, nullable=False),
        Column("source", String, nullable=False),
        Column("recorded_at", Instant, nullable=False),
    ]


# Rows lie in the order in which they came, the key is an index beside them: clustered by key (SQLite's WITHOUT ROWID)
# each new day would touch a page of every channel, which took half as long again at 60 days.
block = Table("block", metadata, *_block_columns(every_version=False))
block_history = Table("block_history", metadata, *_block_columns(every_version=True))

# ------------------------------------------------------------------ deliveries
delivery = Table(
    "delivery",
    metadata,
    Column("message_id", String, primary_key=True),
    Column("meter_id", String, nullable=False),
    Column("session_id", String, nullable=False),
    Column("collected_at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("outcome", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index(None, "meter_id", "collected_at"),
)
delivered_day = Table(
    "delivered_day",
    metadata,
    Column("meter_id", String, primary_key=True),
    Column("obis", ObisCode, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("message_id", String, ForeignKey("delivery.message_id"), primary_key=True),
    Column("interval_s", Integer, primary_key=True, autoincrement=False),
    Column("slots", LargeBinary, nullable=False),
)
collection_state = Table(
    "collection_state",
    metadata,
    Column("meter_id", String, primary_key=True),
    Column("outcome", String, nullable=False),
    Column("collected_at", Instant, nullable=False),
    Column("detail", JsonTuple, nullable=False),
    Column("last_answer_at", Instant, nullable=True),
    Column("attempts", Integer, nullable=False),
    Column("clock_offset_s", BigInteger, nullable=True),
    Column("failures_in_a_row", Integer, nullable=False),
    Column("mapping_version", String, nullable=False, server_default=""),  # of the last answer
)
register_reading = Table(
    "register_reading",
    metadata,
    Column("meter_id", String, primary_key=True),
    Column("obis", ObisCode, primary_key=True),
    Column("at", Instant, primary_key=True, autoincrement=False),
    Column("unit", Integer, nullable=False),
    Column("exponent", Integer, nullable=False),
    Column("value", String, nullable=False),  # exact: a meter's uint64 does not fit a signed column
    Column("evidence", JsonTuple, nullable=False),
    Column("message_id", String, ForeignKey("delivery.message_id"), nullable=False),
    Column("collected_at", Instant, nullable=False),
    Index(None, "meter_id", "at"),
)
meter_event = Table(
    "meter_event",
    metadata,
    Column("event_id", String, primary_key=True),  # see domain/events.py: whoever tells it, and however often
    Column("meter_id", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("code", BigInteger, nullable=False),
    Column("log", String, nullable=False),
    Column("occurrence", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("event_class", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("text", String, nullable=False),
    Column("pushed", Boolean, nullable=False),
    Column("evidence", JsonTuple, nullable=False),
    Column("message_id", String, ForeignKey("delivery.message_id"), nullable=False),
    Index(None, "at"),
    Index(None, "meter_id", "at"),
)
unknown_object = Table(
    "unknown_object",
    metadata,
    Column("meter_id", String, primary_key=True),
    Column("class_id", Integer, primary_key=True, autoincrement=False),
    Column("obis", ObisCode, primary_key=True),
    Column("attribute", Integer, primary_key=True, autoincrement=False),
    Column("octets", LargeBinary, nullable=False),
    Column("at", Instant, nullable=False),
    Column("evidence", JsonTuple, nullable=False),
    Column("message_id", String, ForeignKey("delivery.message_id"), nullable=False),
    Column("mapping_version", String, nullable=False, server_default=""),
    Column("collected_at", Instant, nullable=False, server_default="0"),
)
dead_letter = Table(
    "dead_letter",
    metadata,
    Column("letter_id", LargeBinary, primary_key=True),
    Column("subject", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_at", Instant, nullable=False),
)

# ------------------------------------------------------------------ findings of VEE
vee_exception = Table(
    "vee_exception",
    metadata,
    Column("channel_id", Integer, ForeignKey("channel.channel_id"), primary_key=True, autoincrement=False),
    Column("start_s", BigInteger, primary_key=True, autoincrement=False),
    Column("rule", String, primary_key=True),
    Column("end_s", BigInteger, primary_key=True, autoincrement=False),
    Column("rule_version", String, nullable=False),
    Column("message", String, nullable=False),
    Column("resolved", Boolean, nullable=False),
    Column("found_at", Instant, nullable=False),
    Index(None, "resolved", "found_at"),
)

# ------------------------------------------------------------------ people
login_token = Table(
    "login_token",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("person", String, nullable=False),
    Column("expires_at", Instant, nullable=False),
)
login_session = Table(
    "login_session",
    metadata,
    Column("session_hash", LargeBinary, primary_key=True),
    Column("person", String, nullable=False),
    Column("expires_at", Instant, nullable=False),
)
