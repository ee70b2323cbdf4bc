"""Jobs that waited for a meter to call in."""

from datetime import datetime

from sqlalchemy import update

from amity.domain.jobs import JobKind, JobState
from amity.storage.ot.job_tables import job, job_line
from amity.storage.ot.jobs import due_anew
from amity.storage.transactions import Transactions


class SqlCalledIn:
    """The meter is on the line: who knows for how long."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def due_now(self, meter_id: str, now: datetime) -> None:
        """What was due before and waits for another try is due now, and the meter rests no longer.

        A clock is set at its own time, and what was never due stays where it is.
        """
        columns = job.c
        waiting = update(job).where(
            columns.meter_id == meter_id,
            columns.state == JobState.WAITING,
            columns.started_at.is_not(None),
            columns.not_before > now,
            columns.kind != JobKind.CLOCK_SET,
        )
        with self._transactions.write() as connection:
            connection.execute(waiting.values(not_before=now))
            connection.execute(update(job_line).where(job_line.c.meter_id == meter_id).values(rested_until=0))
            due_anew(connection, meter_id)
