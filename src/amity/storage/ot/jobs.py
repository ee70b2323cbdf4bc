"""Jobs in the OT database: taken in, leased by meter, given back.

Every change of a meter's jobs is made by who holds the row of its line: PostgreSQL locks that row (in the order of
meter ids, so that nobody waits in a circle), SQLite lets one writer in at a time (BEGIN IMMEDIATE).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, or_, text, update

from amity.domain.jobs import Bundle, Job, JobOutcome, JobRequest, JobState, Lease
from amity.headend.jobs.ports import Finished, LeaseTerms
from amity.headend.jobs.retry import given_up_by_workers
from amity.kernel.time import EPOCH, epoch_s, utc_day
from amity.storage.columns import MICROSECOND, microseconds
from amity.storage.ot import job_statements as sql
from amity.storage.ot.job_candidates import candidates
from amity.storage.ot.job_rows import job_of, row_of_request, sent, sent_spans
from amity.storage.ot.job_tables import job
from amity.storage.row_sets import run
from amity.storage.transactions import Transactions


class SqlJobs:
    """Implements `headend.jobs.ports.JobStore`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def transaction(self) -> AbstractContextManager[object]:
        """All calls within are committed together, also those of the other stores of this database."""
        return self._transactions.write()

    def enqueue(self, requests: Sequence[JobRequest], now: datetime) -> Sequence[str]:
        """Take requests; return for each the id of the job that does it."""
        if not requests:
            return []
        with self._transactions.write() as connection:
            places = {one.meter_id: one.place for one in requests}
            run(connection, sql.PUT_LINES, sql.LINES, [(meter, *place) for meter, place in sorted(places.items())])
            intake = _Intake(_known(connection, requests), _waiting(connection, places))
            for request in requests:
                intake.take(request)
            run(connection, sql.PUT_JOBS, sql.JOBS, intake.rows(now))
            run(connection, sql.PRESS_JOBS, sql.PRESSED, intake.pressed())
            run(connection, sql.FREE_LINES_DUE_ANEW, sql.METERS, _column(places))
            return intake.done_by

    def lease(self, terms: LeaseTerms, limit: int, now: datetime) -> Sequence[Bundle]:
        """At most `limit` meters with everything that is due for them, most pressing first."""
        with self._transactions.write() as connection:
            meter_ids = candidates(connection, terms, limit, now)
            if not meter_ids:
                return []
            leases = _take_lines(connection, meter_ids, terms, now)
            jobs = _take_jobs(connection, meter_ids, terms, now)
            ruined = [one for one in chain.from_iterable(jobs.values()) if one.attempts > terms.retry.attempts_max]
            _end_jobs(connection, map(given_up_by_workers, ruined), now)
            bundles = [_bundle(lease, jobs[lease.meter_id], set(ruined)) for lease in leases]
            _free(connection, [one.meter_id for one in bundles if not one.jobs], untried=True)
        return [one for one in bundles if one.jobs]

    def renew(self, leases: Collection[Lease], now: datetime) -> frozenset[Lease]:
        """Hold on to leases for as long again as they last; those that are still ours."""
        with self._transactions.write() as connection:
            held = _held(connection, leases)
            meters = _column(lease.meter_id for lease in held)
            run(connection, sql.RENEW_LINES, sql.METERS, meters, now=microseconds(now))
            return held

    def leases(self) -> Collection[Lease]:
        """All that are held, by whichever worker, as they were last renewed."""
        with self._transactions.read() as connection:
            return [_lease(*row) for row in connection.execute(text(sql.LEASES))]

    def note_silence(self, silences: Mapping[Lease, timedelta]) -> None:
        """For so long these were seen unrenewed: kept for those who look after us, until the lease is renewed."""
        with self._transactions.write() as connection:
            still = _unrenewed(connection, silences)
            rows = [(one.meter_id, silences[one] // MICROSECOND) for one in still]
            run(connection, sql.NOTE_SILENCE, sql.SILENCES, rows)

    def revoke(self, leases: Collection[Lease]) -> frozenset[Lease]:
        """Take leases from workers that are gone; those that were not renewed meanwhile. Their jobs wait again."""
        with self._transactions.write() as connection:
            lost = _unrenewed(connection, leases)
            meter_ids = [lease.meter_id for lease in lost]
            run(connection, sql.JOBS_WAIT_AGAIN, sql.METERS, _column(meter_ids))
            _free(connection, meter_ids)
            return lost

    def finish(self, finished: Collection[Finished], now: datetime) -> frozenset[Lease]:
        """Give leases back; those that were still ours."""
        with self._transactions.write() as connection:
            held = _held(connection, [one.lease for one in finished])
            ours = [one for one in finished if one.lease in held]
            _end_jobs(connection, chain.from_iterable(one.outcomes for one in ours), now)
            budgets = [(one.lease.meter_id, one.tries, sent(one.rests_until) or 0) for one in ours]
            run(connection, sql.KEEP_BUDGETS, sql.BUDGETS, budgets)
            _free(connection, [one.lease.meter_id for one in ours])
            return held

    def expire(self, now: datetime) -> int:
        """End the waiting jobs whose deadline has passed; return how many."""
        columns = job.c
        with self._transactions.write() as connection:
            return connection.execute(
                update(job)
                .where(columns.state == JobState.WAITING, columns.deadline <= now)
                .values(state=JobState.EXPIRED, finished_at=now)
            ).rowcount

    def prune(self, before: datetime) -> int:
        """Forget the jobs that ended before this; return how many.

        Dead letters stay, one for each meter, kind and stretch, unless their deadline was before this too.
        """
        columns = job.c
        with self._transactions.write() as connection:
            done_with = or_(columns.state != JobState.DEAD, columns.deadline < before)
            old = delete(job).where(columns.finished_at < before, done_with)
            return connection.execute(old).rowcount


def due_anew(connection: Connection, meter_id: str) -> None:
    """The line of a meter whose waiting jobs were changed by hand follows them, unless a worker holds it."""
    run(connection, sql.FREE_LINES_DUE_ANEW, sql.METERS, [(meter_id,)])


class Line(NamedTuple):
    """Who has a meter, if anybody, and until when (microseconds) as last renewed."""

    fence: int
    worker: str
    until: int


def locked(connection: Connection, meter_ids: Iterable[str]) -> Mapping[str, Line]:
    """These lines, which are this transaction's from here on."""
    lock = sql.LOCK_LINES + (" FOR UPDATE" if connection.dialect.name == "postgresql" else "")
    found = run(connection, lock, sql.METERS, _column(meter_ids))
    return {meter_id: Line(*line) for meter_id, *line in found}


class _Intake:
    """Sorts requests: new jobs, those that a waiting one does, and those that were made before.

    `known` gives the id of the job that does it by the request's own, `waiting` ids of waiting jobs by what they do.
    """

    def __init__(self, known: dict[str, str], waiting: dict[tuple[Any, ...], str]) -> None:
        self._known = known
        self._waiting = waiting
        self._new: dict[str, JobRequest] = {}
        self._into: dict[str, tuple[JobRequest, str]] = {}
        self.done_by: list[str] = []

    def take(self, request: JobRequest) -> None:
        """Place the next request."""
        job_id = request.job_id
        done_by = self._known.get(job_id)
        if done_by is None:
            done_by = self._known[job_id] = self._waiting.setdefault(_does(request), job_id)
            if done_by == job_id:
                self._new[job_id] = request
            else:
                self._into[job_id] = (request, done_by)
        self.done_by.append(done_by)

    def rows(self, now: datetime) -> list[tuple[Any, ...]]:
        """New jobs, and for the record the requests that others do."""
        fresh = [row_of_request(one, JobState.WAITING, now) for one in self._new.values()]
        return fresh + [row_of_request(one, JobState.COALESCED, now, twin) for one, twin in self._into.values()]

    def pressed(self) -> list[tuple[Any, ...]]:
        """What the requests ask of the jobs that do them."""
        return [
            (twin, one.priority, sent(one.not_before + one.priority.patience), sent(one.not_before), sent(one.deadline))
            for one, twin in self._into.values()
        ]


def _does(request: JobRequest) -> tuple[Any, ...]:
    start, end = request.span or (None, None)
    return request.meter_id, request.kind, sent(start), sent(end)


def _known(connection: Connection, requests: Iterable[JobRequest]) -> dict[str, str]:
    found = run(connection, sql.KNOWN, sql.KEYS, sorted({(one.job_id,) for one in requests}))
    return {job_id: coalesced_into or job_id for job_id, coalesced_into in found}


def _waiting(connection: Connection, meter_ids: Iterable[str]) -> dict[tuple[Any, ...], str]:
    found = run(connection, sql.WAITING, sql.METERS, _column(meter_ids))
    return {(meter_id, kind, start, end): job_id for meter_id, kind, start, end, job_id in found}


def _column(meter_ids: Iterable[str]) -> list[tuple[str]]:
    return [(meter_id,) for meter_id in sorted(meter_ids)]


# ------------------------------------------------------------------ lease, step by step
def _take_lines(connection: Connection, meter_ids: Sequence[str], terms: LeaseTerms, now: datetime) -> Sequence[Lease]:
    until = now + terms.duration
    taken = run(
        connection, sql.TAKE_LINES, sql.METERS, _column(meter_ids),
        worker=terms.worker, until=microseconds(until), lasts=terms.duration // MICROSECOND,
        day=utc_day(epoch_s(now)),
    )  # fmt: skip
    leases = {
        meter_id: Lease(meter_id, terms.worker, fence, until, tries, terms.duration) for meter_id, fence, tries in taken
    }
    return [leases[meter_id] for meter_id in meter_ids]


def _take_jobs(
    connection: Connection, meter_ids: Sequence[str], terms: LeaseTerms, now: datetime
) -> Mapping[str, list[Job]]:
    meters, at = _column(meter_ids), microseconds(now)
    run(connection, sql.EXPIRE_OF_LINES, sql.METERS, meters, now=at)
    along = microseconds(now + terms.take_along)
    taken = run(connection, sql.TAKE_JOBS, sql.METERS, meters, now=at, along=along, worker=terms.worker)
    jobs: dict[str, list[Job]] = defaultdict(list)
    for row in taken.mappings():
        one = job_of(row)
        jobs[one.meter_id].append(one)
    return jobs


def _bundle(lease: Lease, jobs: Iterable[Job], ruined: Collection[Job]) -> Bundle:
    wanted = (one for one in jobs if one not in ruined)
    return Bundle(lease, tuple(sorted(wanted, key=lambda one: (one.priority, one.not_before, one.job_id))))


# ------------------------------------------------------------------ giving back
def _held(connection: Connection, leases: Collection[Lease]) -> frozenset[Lease]:
    """Those that nobody took since; their lines are locked."""
    lines = locked(connection, (lease.meter_id for lease in leases))
    return frozenset(lease for lease in leases if lines.get(lease.meter_id, ())[:2] == (lease.fence, lease.worker))


def _unrenewed(connection: Connection, leases: Collection[Lease]) -> frozenset[Lease]:
    """Those that stand as they were seen; their lines are locked."""
    lines = locked(connection, (lease.meter_id for lease in leases))
    as_seen = {lease: (lease.fence, lease.worker, microseconds(lease.until)) for lease in leases}
    return frozenset(lease for lease, line in as_seen.items() if lines.get(lease.meter_id) == line)


def _lease(meter_id: str, worker: str, fence: int, until: int, tries: int, *spans: int) -> Lease:
    lasts, silent = (span * MICROSECOND for span in spans)
    return Lease(meter_id, worker, fence, EPOCH + until * MICROSECOND, tries, lasts, silent)


def _end_jobs(connection: Connection, outcomes: Iterable[JobOutcome], now: datetime) -> None:
    rows = [
        (
            one.job_id, one.state, sent(one.not_before), one.told, one.remedy, int(one.afresh),
            sent_spans(one.lacking),
        )
        for one in outcomes
    ]  # fmt: skip
    run(connection, sql.END_JOBS, sql.OUTCOMES, rows, now=microseconds(now))
    run(connection, sql.SETTLE_DEAD, sql.KEYS, [(job_id,) for job_id, *_ in rows])


_UNTRY: Final = """
    UPDATE job_line SET tries = tries - 1 WHERE meter_id IN (SELECT meter_id FROM {rows} AS wanted)"""


def _free(connection: Connection, meter_ids: Sequence[str], *, untried: bool = False) -> None:
    if untried:
        run(connection, _UNTRY, sql.METERS, _column(meter_ids))
    run(connection, sql.FREE_LINES, sql.METERS, _column(meter_ids))
