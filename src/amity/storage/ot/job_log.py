"""The job log as service levels read it."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import case, func, or_, select

from amity.domain.jobs import JobKind, JobState, Priority
from amity.domain.spans import TimeSpan
from amity.headend.sla.records import JobRecord
from amity.storage.ot.job_rows import spans_of
from amity.storage.ot.job_tables import job
from amity.storage.transactions import Transactions

_AT_ONCE: Final = 5_000


class SqlJobLog:
    """Implements `headend.sla.records.JobLog`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def since(self, start: datetime) -> Iterator[JobRecord]:
        """Those that are alive or ended at or after this instant, in no order."""
        mine, other = job.c, job.alias("other")
        did, coalesced = other.c, mine.state == JobState.COALESCED
        wanted = (
            select(
                mine.job_id, mine.meter_id, mine.kind, mine.asked_as, mine.asked_at, mine.span_start, mine.span_end,
                *(
                    case((coalesced, did[name]), else_=mine[name]).label(name)
                    for name in ("state", "started_at", "finished_at", "told", "lacking")
                ),
            )
            .select_from(job.outerjoin(other, (did.job_id == mine.coalesced_into) & coalesced))
            .where(or_(mine.finished_at.is_(None), mine.finished_at >= start))
        )  # fmt: skip
        with self._transactions.read() as connection:
            for row in connection.execute(wanted, execution_options={"yield_per": _AT_ONCE}).mappings():
                yield _record(row)

    def begins(self) -> datetime | None:
        """When the oldest job that is still kept was made; None when there is none."""
        with self._transactions.read() as connection:
            oldest: datetime | None = connection.execute(select(func.min(job.c.created_at))).scalar_one()
            return oldest


def _record(row: Mapping[Any, Any]) -> JobRecord:
    start, end = row["span_start"], row["span_end"]
    return JobRecord(
        row["job_id"],
        row["meter_id"],
        JobKind(row["kind"]),
        Priority(row["asked_as"]),
        JobState(row["state"] or JobState.COALESCED),
        row["asked_at"],
        row["started_at"],
        row["finished_at"],
        TimeSpan(start, end) if start is not None and end is not None else None,
        row["told"] or "",
        spans_of(row["lacking"] or ""),
    )
