"""Jobs as rows."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, select, type_coerce

from amity.domain.jobs import Job, JobKind, JobRequest, JobState, Priority
from amity.domain.spans import TimeSpan
from amity.kernel.time import EPOCH
from amity.storage.columns import MICROSECOND, Instant, microseconds
from amity.storage.ot.job_tables import job, job_line

AS_STORED: Final = [
    type_coerce(column, BigInteger).label(column.name) if isinstance(column.type, Instant) else column
    for column in job.c
]
"""The columns of a job as `job_of` reads them."""


def sent(instant: datetime | None) -> int | None:
    """An instant as a parameter."""
    return None if instant is None else microseconds(instant)


def sent_spans(spans: Sequence[TimeSpan]) -> str:
    """Stretches as a parameter."""
    return json.dumps([[microseconds(one.start), microseconds(one.end)] for one in spans]) if spans else ""


def spans_of(stored: str) -> tuple[TimeSpan, ...]:
    """Stretches as they are stored."""
    return tuple(TimeSpan(*(EPOCH + at * MICROSECOND for at in pair)) for pair in json.loads(stored or "[]"))


def row_of_request(
    request: JobRequest, state: JobState, now: datetime, coalesced_into: str = ""
) -> tuple[str | int | None, ...]:
    """In the order of `job_statements.JOBS`."""
    start, end = request.span or (None, None)
    finished_at = now if state is JobState.COALESCED else None
    return (
        request.job_id, request.meter_id, request.kind, int(request.priority), state,
        sent(request.not_before + request.priority.patience), sent(request.not_before), sent(now),
        sent(request.deadline), request.requested_by, request.reason, request.correlation_id, sent(start), sent(end),
        sent(finished_at), coalesced_into, sent(max(now, request.not_before)), int(request.priority),
    )  # fmt: skip


def job_of(row: Mapping[Any, Any]) -> Job:
    """From a row of the table, instants as microseconds."""
    start, end = _instant(row["span_start"]), _instant(row["span_end"])
    return Job(
        job_id=row["job_id"],
        meter_id=row["meter_id"],
        kind=JobKind(row["kind"]),
        priority=Priority(row["priority"]),
        state=JobState(row["state"]),
        not_before=EPOCH + row["not_before"] * MICROSECOND,
        created_at=EPOCH + row["created_at"] * MICROSECOND,
        deadline=_instant(row["deadline"]),
        requested_by=row["requested_by"],
        reason=row["reason"],
        correlation_id=row["correlation_id"],
        span=TimeSpan(start, end) if start is not None and end is not None else None,
        attempts=row["attempts"],
        worker=row["worker"],
        started_at=_instant(row["started_at"]),
        finished_at=_instant(row["finished_at"]),
        told=row["told"],
        remedy=row["remedy"],
        coalesced_into=row["coalesced_into"],
        lacking=spans_of(row["lacking"]),
    )


def rests_then(now: datetime) -> ColumnElement[bool]:
    """Of a job: its meter rests then, and the job is none of those that are done all the same."""
    resting = select(job_line.c.meter_id).where(job_line.c.rested_until > microseconds(now))
    return (job.c.priority > Priority.ON_DEMAND) & job.c.meter_id.in_(resting)


def _instant(value: int | None) -> datetime | None:
    return None if value is None else EPOCH + value * MICROSECOND
