"""Events are known by an id of meter, log, stamp, code and occurrence; beside it stand class and severity."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from amity.domain.events import MEANING_OF, EventKind, MeterEvent, event_id
from amity.kernel.time import EPOCH
from amity.storage.columns import MICROSECOND

revision = "0010"
down_revision = "0002"

_AT_ONCE: Final = 5_000
_KEPT: Final = ("meter_id", "code", "kind", "text", "pushed", "evidence", "message_id")


def upgrade() -> None:
    """Move every event over; what the first releases stored came from the standard log."""
    connection = op.get_bind()
    before = _before()
    moved = op.create_table(
        "meter_event_known",
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.BigInteger(), nullable=False),
        sa.Column("log", sa.String(), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("event_class", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("pushed", sa.Boolean(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["delivery.message_id"], name="fk_meter_event_message_id"),
        sa.PrimaryKeyConstraint("event_id", name="pk_meter_event"),
    )
    for rows in connection.execute(sa.select(before)).mappings().partitions(_AT_ONCE):
        connection.execute(sa.insert(moved), [_moved(row) for row in rows])
    op.drop_table("meter_event")
    op.rename_table("meter_event_known", "meter_event")
    op.create_index("ix_meter_event_at", "meter_event", ["at"])
    op.create_index("ix_meter_event_meter_id_at", "meter_event", ["meter_id", "at"])


def downgrade() -> None:
    """Back to one event for each meter, stamp and code."""
    op.create_table(
        "meter_event_before",
        *(sa.Column(column.name, column.type, nullable=False) for column in _before().columns),
        sa.ForeignKeyConstraint(["message_id"], ["delivery.message_id"], name="fk_meter_event_message_id"),
        sa.PrimaryKeyConstraint("meter_id", "at", "code", name="pk_meter_event"),
    )
    columns = "meter_id, at, code, kind, text, pushed, evidence, message_id"
    op.execute(f"INSERT OR IGNORE INTO meter_event_before ({columns}) SELECT {columns} FROM meter_event")  # noqa: S608 - constants
    op.drop_table("meter_event")
    op.rename_table("meter_event_before", "meter_event")
    op.create_index("ix_meter_event_at", "meter_event", ["at"])


def _before() -> sa.TableClause:
    return sa.table(
        "meter_event",
        sa.column("meter_id", sa.String()),
        sa.column("at", sa.BigInteger()),
        sa.column("code", sa.BigInteger()),
        sa.column("kind", sa.String()),
        sa.column("text", sa.String()),
        sa.column("pushed", sa.Boolean()),
        sa.column("evidence", sa.String()),
        sa.column("message_id", sa.String()),
    )


def _moved(row: Any) -> dict[str, Any]:
    kind, at = EventKind(row["kind"]), EPOCH + row["at"] * MICROSECOND
    meaning = MEANING_OF[kind]
    return {
        **{name: row[name] for name in _KEPT},
        "at": row["at"],
        "log": "standard",
        "occurrence": 0,
        "event_class": meaning.event_class,
        "severity": meaning.severity,
        "event_id": event_id(row["meter_id"], MeterEvent(kind, row["code"], at)),
    }
