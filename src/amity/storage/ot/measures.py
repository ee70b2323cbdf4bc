"""How much waits in the OT database, for whoever measures: the outbox by lane, jobs by priority, leases."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select

from amity.domain.jobs import JobState, Priority
from amity.headend.urgency import Urgency
from amity.kernel.time import EPOCH
from amity.storage.columns import MICROSECOND
from amity.storage.ot.job_rows import rests_then
from amity.storage.ot.job_tables import job, job_line
from amity.storage.ot.tables import delivery
from amity.storage.transactions import Transactions


class OutboxLane(NamedTuple):
    """Deliveries of one lane that the broker does not have yet; the oldest was collected at `oldest`."""

    urgency: Urgency
    waiting: int
    oldest: datetime


class JobQueue(NamedTuple):
    """Jobs of one priority: how many wait, how many of these might begin, and how many might but for a meter's rest."""

    priority: Priority
    waiting: int
    due: int
    resting: int


class Leases(NamedTuple):
    """How many meters are held; when the oldest session with one of them began, and the first lease to end ends."""

    held: int
    oldest: datetime | None
    first_end: datetime | None


class SqlMeasures:
    """Counts; each call is one statement over an index."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def outbox(self) -> Sequence[OutboxLane]:
        """The lanes in which something waits, the fastest first."""
        columns = delivery.c
        wanted = (
            select(columns.urgency, func.count(), func.min(columns.collected_at))
            .where(columns.sent == 0)
            .group_by(columns.urgency)
            .order_by(columns.urgency)
        )
        with self._transactions.read() as connection:
            return [OutboxLane(Urgency(lane), waiting, oldest) for lane, waiting, oldest in connection.execute(wanted)]

    def job_queues(self, now: datetime) -> Sequence[JobQueue]:
        """The priorities of which jobs wait, the most urgent first."""
        columns = job.c
        come, rests = columns.not_before <= now, rests_then(now)
        wanted = (
            select(columns.priority, func.count(), func.count().filter(come, ~rests), func.count().filter(come, rests))
            .where(columns.finished_at.is_(None), columns.state == JobState.WAITING)
            .group_by(columns.priority)
            .order_by(columns.priority)
        )
        with self._transactions.read() as connection:
            return [JobQueue(Priority(one), *counts) for one, *counts in connection.execute(wanted)]

    def leases(self) -> Leases:
        """Meters that workers hold, and how long the oldest has been held without an end."""
        line, begun = job_line.c, job.c
        held = select(func.count(), func.min(line.until)).where(line.worker != "")
        oldest = (
            select(func.min(begun.started_at))
            .select_from(job_line.join(job, begun.meter_id == line.meter_id))
            .where(line.worker != "", begun.finished_at.is_(None), begun.state == JobState.LEASED)
        )
        with self._transactions.read() as connection:
            count, until = connection.execute(held).one()
            ends = None if until is None else EPOCH + until * MICROSECOND
            return Leases(count, connection.execute(oldest).scalar_one(), ends)

    def dead_letters(self) -> int:
        """Jobs that were given up and wait for a person."""
        with self._transactions.read() as connection:
            return connection.execute(select(func.count()).where(job.c.state == JobState.DEAD)).scalar_one()
