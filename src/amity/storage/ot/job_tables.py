"""Tables of jobs, leases, schedules and gates."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, text

from amity.storage.columns import Instant
from amity.storage.ot.tables import metadata

NEVER: Final = 2**62
"""Microseconds that are later than everything."""

job = Table(
    "job",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("meter_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("state", String, nullable=False),
    # not_before plus the patience of the priority, in microseconds: the order in which jobs are taken.
    Column("rank", BigInteger, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("deadline", Instant),
    Column("requested_by", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("correlation_id", String, nullable=False),
    Column("span_start", Instant),
    Column("span_end", Instant),
    Column("attempts", Integer, nullable=False),
    Column("worker", String, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("told", String, nullable=False),
    Column("remedy", String, nullable=False),
    Column("coalesced_into", String, nullable=False),
    # Stretches that a job that is done did not bring: JSON pairs of microseconds, empty for none.
    Column("lacking", String, nullable=False, server_default=""),
    # The first moment at which it might begin, and its priority then: both stay when `not_before` and `priority` move.
    Column("asked_at", Instant, nullable=False, server_default="0"),
    Column("asked_as", Integer, nullable=False, server_default="0"),
)
_ALIVE: Final = text("finished_at IS NULL")
_ENDED: Final = text("finished_at IS NOT NULL")
_DEAD: Final = text("state = 'dead'")
_WAITING: Final = text("state = 'waiting'")
Index("ix_job_alive_meter_id", job.c.meter_id, sqlite_where=_ALIVE, postgresql_where=_ALIVE)
Index("ix_job_waiting_deadline", job.c.deadline, sqlite_where=_WAITING, postgresql_where=_WAITING)
Index("ix_job_dead_meter_id", job.c.meter_id, sqlite_where=_DEAD, postgresql_where=_DEAD)
Index("ix_job_ended_finished_at", job.c.finished_at, sqlite_where=_ENDED, postgresql_where=_ENDED)

# One row per meter: the way to it, which one worker holds at a time. `due_at` and `rank` are those of the most pressing
# waiting job, and never while a worker holds the line: it is then not found among what is due. `until` is the end of
# the lease by that worker's clock, which moves on by `lasts` with each renewal; for `silent` others have seen none.
# All times are microseconds since 1970-01-01T00:00Z.
job_line = Table(
    "job_line",
    metadata,
    Column("meter_id", String, primary_key=True),
    Column("collector", String, nullable=False),
    Column("cell", String, nullable=False),
    Column("network", String, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("rank", BigInteger, nullable=False),
    Column("worker", String, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("lasts", BigInteger, nullable=False, server_default="3600000000"),
    Column("silent", BigInteger, nullable=False, server_default="0"),
    Column("fence", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("tries_day", Integer, nullable=False),
    Column("rested_until", BigInteger, nullable=False),
)
_HELD: Final = text("worker <> ''")
# Lines are leased in the order of rank, by the first index where many are due. The second is for when few are: ranks of
# what is not due yet lie among theirs, a whole fleet's before its night.
Index(None, job_line.c.rank, job_line.c.due_at)
Index(None, job_line.c.due_at)
Index("ix_job_line_held", job_line.c.worker, sqlite_where=_HELD, postgresql_where=_HELD)

schedule_firing = Table(
    "schedule_firing",
    metadata,
    Column("schedule", String, primary_key=True),
    Column("last", Instant, nullable=False),
    Column("current", Instant),
    Column("cursor", String, nullable=False),
)

# The instant from which the next session through a gate keeps to its rate.
job_gate = Table(
    "job_gate",
    metadata,
    Column("gate", String, primary_key=True),
    Column("paced", Instant, nullable=False),
)
