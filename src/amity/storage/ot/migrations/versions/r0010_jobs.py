"""Jobs, the line to each meter that one worker holds at a time, how far schedules fired, gates."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables, empty."""
    _job()
    _job_line()
    op.create_table(
        "schedule_firing",
        sa.Column("schedule", sa.String(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("current", sa.BigInteger(), nullable=True),
        sa.Column("cursor", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("schedule", name="pk_schedule_firing"),
    )
    op.create_table(
        "job_gate",
        sa.Column("gate", sa.String(), nullable=False),
        sa.Column("paced", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("gate", name="pk_job_gate"),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("job_gate", "schedule_firing", "job_line", "job"):
        op.drop_table(table)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _instants(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=True) for name in names]


def _job() -> None:
    op.create_table(
        "job",
        *_texts("job_id", "meter_id", "kind"),
        sa.Column("priority", sa.Integer(), nullable=False),
        *_texts("state"),
        *_numbers("rank", "not_before", "created_at"),
        *_instants("deadline"),
        *_texts("requested_by", "reason", "correlation_id"),
        *_instants("span_start", "span_end"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        *_texts("worker"),
        *_instants("started_at", "finished_at"),
        *_texts("told", "remedy", "coalesced_into"),
        sa.PrimaryKeyConstraint("job_id", name="pk_job"),
    )
    _partial_index("ix_job_alive_meter_id", "job", "meter_id", "finished_at IS NULL")
    _partial_index("ix_job_waiting_deadline", "job", "deadline", "state = 'waiting'")
    _partial_index("ix_job_dead_meter_id", "job", "meter_id", "state = 'dead'")
    _partial_index("ix_job_ended_finished_at", "job", "finished_at", "finished_at IS NOT NULL")


def _job_line() -> None:
    op.create_table(
        "job_line",
        *_texts("meter_id", "collector", "cell", "network"),
        *_numbers("due_at", "rank"),
        *_texts("worker"),
        *_numbers("until", "fence"),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("tries_day", sa.Integer(), nullable=False),
        *_numbers("rested_until"),
        sa.PrimaryKeyConstraint("meter_id", name="pk_job_line"),
    )
    op.create_index("ix_job_line_rank", "job_line", ["rank"])
    _partial_index("ix_job_line_held", "job_line", "worker", "worker <> ''")


def _partial_index(name: str, table: str, column: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, [column], sqlite_where=condition, postgresql_where=condition)
