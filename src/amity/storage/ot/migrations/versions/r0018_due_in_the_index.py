"""Lines are found by when they are due, also where few are."""

from alembic import op

revision = "0018"
down_revision = "0016"


def upgrade() -> None:
    """Two in place of one."""
    op.create_index("ix_job_line_due_at", "job_line", ["due_at"])
    op.create_index("ix_job_line_rank_due_at", "job_line", ["rank", "due_at"])
    op.drop_index("ix_job_line_rank", "job_line")


def downgrade() -> None:
    """One in place of two."""
    op.drop_index("ix_job_line_due_at", "job_line")
    op.create_index("ix_job_line_rank", "job_line", ["rank"])
    op.drop_index("ix_job_line_rank_due_at", "job_line")
