"""Jobs as people see and change them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, func, select, update

from amity.domain.jobs import Job, JobCounts, JobState, Priority, Rest
from amity.headend.jobs.ports import JobQuery
from amity.kernel.errors import NotFoundError, RequestError
from amity.kernel.time import EPOCH
from amity.storage.columns import MICROSECOND, microseconds
from amity.storage.ot.job_rows import AS_STORED, job_of, rests_then, sent
from amity.storage.ot.job_statements import IN_HAND, KEYS, METERS, RESTS
from amity.storage.ot.job_tables import job
from amity.storage.ot.jobs import due_anew, locked
from amity.storage.row_sets import run
from amity.storage.transactions import Transactions


class SqlJobBook:
    """Implements `headend.jobs.ports.JobBook`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def find(self, query: JobQuery) -> Sequence[Job]:
        """The jobs of a query, the newest first."""
        columns = job.c
        wanted: list[ColumnElement[bool]] = []
        if query.meter_id:
            wanted.append(columns.meter_id == query.meter_id)
        if query.correlation_id:
            wanted.append(columns.correlation_id == query.correlation_id)
        if query.states:
            wanted.append(columns.state.in_(sorted(query.states)))
        newest = func.coalesce(columns.finished_at, columns.created_at).desc()
        ended_first = case((columns.finished_at.is_(None), 1), else_=0)
        with self._transactions.read() as connection:
            return _jobs(connection, *wanted, order=(ended_first, newest, columns.job_id), limit=query.limit)

    def job(self, job_id: str) -> Job:
        """By its id or a beginning of it that only it has; raise NotFoundError otherwise."""
        with self._transactions.read() as connection:
            return _one(connection, job_id)

    def counts(self, now: datetime) -> JobCounts:
        """How many there are."""
        columns = job.c
        come, rests = (columns.state == JobState.WAITING) & (columns.not_before <= now), rests_then(now)
        due = select(func.count(), func.min(columns.not_before)).where(come, ~rests)
        with self._transactions.read() as connection:
            by_state = connection.execute(select(columns.state, func.count()).group_by(columns.state))
            count, oldest = connection.execute(due).one()
            resting = connection.execute(select(func.count()).where(come, rests)).scalar_one()
            return JobCounts({JobState(state): number for state, number in by_state}, count, resting, oldest)

    def rests(self, meter_ids: Collection[str], now: datetime) -> Mapping[str, Rest]:
        """Of these meters those that rest."""
        with self._transactions.read() as connection:
            found = run(connection, RESTS, METERS, [(one,) for one in meter_ids], now=microseconds(now))
            return {meter: Rest(EPOCH + until * MICROSECOND, tries) for meter, until, tries in found}

    def in_hand(self, job_ids: Collection[str], now: datetime) -> frozenset[str]:
        """Those of them that are alive, but for what waits until there is a way to its meter."""
        with self._transactions.read() as connection:
            found = run(connection, IN_HAND, KEYS, [(one,) for one in job_ids], now=microseconds(now))
            return frozenset(job_id for (job_id,) in found)

    def retry(self, job_id: str, now: datetime) -> Job:
        """Let a job that ended wait again, with all its attempts and no deadline; raise RequestError if it is alive."""
        with self._transactions.write() as connection:
            found = _locked_job(connection, job_id)
            if not found.state.ended:
                raise RequestError(f"job {found.job_id} is {found.state} already", next_step="wait for it to end")
            again = {
                "state": JobState.WAITING,
                "priority": Priority.ON_DEMAND,
                "not_before": now,
                "rank": sent(now + Priority.ON_DEMAND.patience),
                "deadline": None,
                "attempts": 0,
                "finished_at": None,
                "coalesced_into": "",
            }
            connection.execute(update(job).where(job.c.job_id == found.job_id).values(again))
            due_anew(connection, found.meter_id)
            return _one(connection, found.job_id)

    def discard(self, job_id: str, by: str, now: datetime) -> Job:
        """End a job that is alive or dead, for good; raise RequestError when it ended otherwise."""
        with self._transactions.write() as connection:
            found = _locked_job(connection, job_id)
            if found.state.ended and found.state is not JobState.DEAD:
                raise RequestError(f"job {found.job_id} is {found.state}: there is nothing to discard")
            told = f"discarded by {by}" + (f"; before: {found.told}" if found.told else "")
            ended = {"state": _put_aside(found, now), "finished_at": now, "told": told, "remedy": ""}
            connection.execute(update(job).where(job.c.job_id == found.job_id).values(ended))
            due_anew(connection, found.meter_id)
            return _one(connection, found.job_id)


def _put_aside(found: Job, now: datetime) -> JobState:
    """What a job is that a person wants no more: whether it had failed before is not theirs to undo."""
    if found.state is JobState.DEAD:
        return JobState.FAILED
    return JobState.EXPIRED if found.deadline is not None and found.deadline <= now else JobState.CANCELLED


def _locked_job(connection: Connection, job_id: str) -> Job:
    """The job as it is once nobody else can change it."""
    found = _one(connection, job_id)
    locked(connection, [found.meter_id])
    return _one(connection, found.job_id)


def _one(connection: Connection, beginning: str) -> Job:
    columns = job.c
    found = _jobs(connection, columns.job_id.startswith(beginning, autoescape=True), order=(columns.job_id,), limit=2)
    if len(found) != 1 or not beginning:
        several = "several jobs begin" if len(found) > 1 else "no job begins"
        raise NotFoundError(
            f"{several} with {beginning!r}", next_step="see `amity jobs list` or `amity jobs history` for their ids"
        )
    return found[0]


def _jobs(
    connection: Connection, *wanted: ColumnElement[bool], order: Sequence[ColumnElement[object]], limit: int | None
) -> Sequence[Job]:
    query = select(*AS_STORED).where(*wanted).order_by(*order).limit(limit)
    return [job_of(row) for row in connection.execute(query).mappings()]
