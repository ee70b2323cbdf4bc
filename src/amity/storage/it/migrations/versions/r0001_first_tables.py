"""First tables: registry, channel-day blocks, deliveries, findings of VEE, logins, undecodable messages."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


_TABLES = (
    "town",
    "transformer",
    "usage_point",
    "meter",
    "channel",
    "block",
    "block_history",
    "delivery",
    "delivered_day",
    "collection_state",
    "register_reading",
    "meter_event",
    "unknown_object",
    "dead_letter",
    "vee_exception",
    "login_token",
    "login_session",
)


def upgrade() -> None:
    """Make every table of the first release."""
    _registry()
    _blocks()
    _deliveries()
    _findings()
    _people()


def downgrade() -> None:
    """Drop them, those that others point to last."""
    for table in reversed(_TABLES):
        op.drop_table(table)


def _registry() -> None:
    op.create_table(
        "town",
        sa.Column("town_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("town_id", name="pk_town"),
    )
    op.create_table(
        "transformer",
        sa.Column("transformer_id", sa.String(), nullable=False),
        sa.Column("feeder_id", sa.String(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=False),
        sa.Column("longitude", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("transformer_id", name="pk_transformer"),
    )
    op.create_table(
        "usage_point",
        sa.Column("usage_point_id", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("transformer_id", sa.String(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=False),
        sa.Column("longitude", sa.Float(), nullable=False),
        sa.Column("has_solar", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transformer_id"], ["transformer.transformer_id"], name="fk_usage_point_transformer_id"
        ),
        sa.PrimaryKeyConstraint("usage_point_id", name="pk_usage_point"),
    )
    op.create_table(
        "meter",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("serial", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("usage_point_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["usage_point_id"], ["usage_point.usage_point_id"], name="fk_meter_usage_point_id"),
        sa.PrimaryKeyConstraint("meter_id", name="pk_meter"),
    )


def _blocks() -> None:
    op.create_table(
        "channel",
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("obis", sa.LargeBinary(), nullable=False),
        sa.Column("unit", sa.Integer(), nullable=False),
        sa.Column("exponent", sa.Integer(), nullable=False),
        sa.Column("interval_s", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("channel_id", name="pk_channel"),
        sa.UniqueConstraint(
            "meter_id",
            "obis",
            "unit",
            "exponent",
            "interval_s",
            name="uq_channel_meter_id_obis_unit_exponent_interval_s",
        ),
    )
    op.create_table(
        "block",
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("channel_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("contents", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.channel_id"], name="fk_block_channel_id"),
        sa.PrimaryKeyConstraint("stage", "channel_id", "day", name="pk_block"),
    )
    op.create_table(
        "block_history",
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("channel_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("contents", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.channel_id"], name="fk_block_history_channel_id"),
        sa.PrimaryKeyConstraint("stage", "channel_id", "day", "revision", name="pk_block_history"),
    )


def _deliveries() -> None:
    op.create_table(
        "delivery",
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("collected_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_delivery"),
    )
    op.create_index("ix_delivery_meter_id_collected_at", "delivery", ["meter_id", "collected_at"], unique=False)
    op.create_table(
        "delivered_day",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("obis", sa.LargeBinary(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("interval_s", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("slots", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["delivery.message_id"], name="fk_delivered_day_message_id"),
        sa.PrimaryKeyConstraint("meter_id", "obis", "day", "message_id", "interval_s", name="pk_delivered_day"),
    )
    op.create_table(
        "collection_state",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("collected_at", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("last_answer_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("clock_offset_s", sa.BigInteger(), nullable=True),
        sa.Column("failures_in_a_row", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("meter_id", name="pk_collection_state"),
    )
    op.create_table(
        "register_reading",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("obis", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("unit", sa.Integer(), nullable=False),
        sa.Column("exponent", sa.Integer(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("collected_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["delivery.message_id"], name="fk_register_reading_message_id"),
        sa.PrimaryKeyConstraint("meter_id", "obis", "at", name="pk_register_reading"),
    )
    op.create_index("ix_register_reading_meter_id_at", "register_reading", ["meter_id", "at"], unique=False)
    op.create_table(
        "meter_event",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("pushed", sa.Boolean(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["delivery.message_id"], name="fk_meter_event_message_id"),
        sa.PrimaryKeyConstraint("meter_id", "at", "code", name="pk_meter_event"),
    )
    op.create_index("ix_meter_event_at", "meter_event", ["at"], unique=False)
    op.create_table(
        "unknown_object",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("class_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("obis", sa.LargeBinary(), nullable=False),
        sa.Column("attribute", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("octets", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["delivery.message_id"], name="fk_unknown_object_message_id"),
        sa.PrimaryKeyConstraint("meter_id", "class_id", "obis", "attribute", name="pk_unknown_object"),
    )
    op.create_table(
        "dead_letter",
        sa.Column("letter_id", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("letter_id", name="pk_dead_letter"),
    )


def _findings() -> None:
    op.create_table(
        "vee_exception",
        sa.Column("channel_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start_s", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("end_s", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rule_version", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("resolved", sa.Boolean(), nullable=False),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.channel_id"], name="fk_vee_exception_channel_id"),
        sa.PrimaryKeyConstraint("channel_id", "start_s", "rule", "end_s", name="pk_vee_exception"),
    )
    op.create_index("ix_vee_exception_resolved_found_at", "vee_exception", ["resolved", "found_at"], unique=False)


def _people() -> None:
    op.create_table(
        "login_token",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_login_token"),
    )
    op.create_table(
        "login_session",
        sa.Column("session_hash", sa.LargeBinary(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_hash", name="pk_login_session"),
    )
