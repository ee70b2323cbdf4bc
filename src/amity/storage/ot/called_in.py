"""Jobs that waited for a way to their meter: for a line that it opens, or for the collector that it is behind."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import or_, update

from amity.domain.jobs import JobKind, JobState
from amity.storage.columns import microseconds
from amity.storage.ot.job_statements import COLLECTORS, METERS, OF_COLLECTORS, OF_LINES
from amity.storage.ot.job_tables import job
from amity.storage.ot.jobs import due_anew
from amity.storage.row_sets import run
from amity.storage.transactions import Transactions


class SqlCalledIn:
    """The meter is on the line, or its collector is connected: who knows for how long."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def due_now(self, meter_id: str, now: datetime) -> None:
        """What waits for a way to this meter is due now.

        A break that follows a failure, and the rest of a meter that failed too often, last all the same: whoever calls
        may only have said its name. A clock is not set before its own time, and what was never due stays where it is.
        """
        columns = job.c
        waiting = update(job).where(
            columns.meter_id == meter_id,
            columns.state == JobState.WAITING,
            columns.started_at.is_not(None),
            columns.attempts == 0,
            columns.not_before > now,
            or_(columns.kind != JobKind.CLOCK_SET, columns.asked_at <= now),
        )
        with self._transactions.write() as connection:
            connection.execute(waiting.values(not_before=now))
            due_anew(connection, meter_id)

    def put_off(
        self, meter_ids: Collection[str], collectors: Collection[str], now: datetime, limit: int
    ) -> Sequence[str]:
        """At most so many of these meters, and of those behind these collectors, whose jobs wait for a way to them."""
        at = microseconds(now)
        with self._transactions.read() as connection:
            lines = run(connection, OF_LINES, METERS, [(one,) for one in meter_ids], now=at, limit=limit)
            behind = run(connection, OF_COLLECTORS, COLLECTORS, [(one,) for one in collectors], now=at, limit=limit)
            found = {meter_id for (meter_id,) in (*lines, *behind)}
        return sorted(found)[:limit]
