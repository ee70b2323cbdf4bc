"""The statements by which jobs change hands, each for any number of rows at once and the same on both databases.

A job that is alive has no `finished_at`: the words `finished_at IS NULL` are those of a partial index, word for word,
because SQLite takes such an index for no others (https://sqlite.org/partialindex.html).
"""

from typing import Final

from amity.domain.jobs import JobKind, Priority
from amity.storage.ot.job_tables import NEVER
from amity.storage.row_sets import INTEGER, TEXT, Columns

METERS: Final[Columns] = (("meter_id", TEXT),)

_URGENT: Final = int(Priority.ON_DEMAND)

# The most pressing waiting job of a line: one that is not urgent waits until the meter has rested.
_MOST_PRESSING: Final = f"""
    (due_at, rank) = (
        SELECT coalesce(min(CASE WHEN priority <= {_URGENT} OR job.not_before > rested_until
                            THEN job.not_before ELSE rested_until END), {NEVER}),
               coalesce(min(CASE WHEN priority <= {_URGENT} OR job.rank > rested_until
                            THEN job.rank ELSE rested_until END), {NEVER})
        FROM job WHERE job.meter_id = job_line.meter_id AND job.finished_at IS NULL AND job.state = 'waiting')"""  # noqa: S608 - constants of our own

# ------------------------------------------------------------------ enqueue
LINES: Final[Columns] = (("meter_id", TEXT), ("collector", TEXT), ("cell", TEXT), ("network", TEXT))
# Who knows where a meter is knows all of it; who knows nothing leaves it where it is.
_NOWHERE: Final = "excluded.collector = '' AND excluded.cell = '' AND excluded.network = ''"
PUT_LINES: Final = f"""
    INSERT INTO job_line (meter_id, collector, cell, network, due_at, rank, worker, until, fence, tries, tries_day,
                          rested_until)
    SELECT meter_id, collector, cell, network, {NEVER}, {NEVER}, '', 0, 0, 0, 0, 0 FROM {{rows}} AS new
    WHERE true ORDER BY meter_id
    ON CONFLICT (meter_id) DO UPDATE
    SET collector = CASE WHEN {_NOWHERE} THEN job_line.collector ELSE excluded.collector END,
        cell = CASE WHEN {_NOWHERE} THEN job_line.cell ELSE excluded.cell END,
        network = CASE WHEN {_NOWHERE} THEN job_line.network ELSE excluded.network END"""  # noqa: S608 - constants of our own

KEYS: Final[Columns] = (("job_id", TEXT),)
KNOWN: Final = """
    SELECT job_id, coalesced_into FROM job WHERE job_id IN (SELECT job_id FROM {rows} AS wanted)"""

# What was put off until there is a way to its meter was begun and has spent no attempt.
PUT_OFF: Final = "attempts = 0 AND started_at IS NOT NULL AND not_before > :now AND state = 'waiting'"
IN_HAND: Final = f"""
    SELECT job_id FROM job
    WHERE finished_at IS NULL AND NOT ({PUT_OFF}) AND job_id IN (SELECT job_id FROM {{rows}} AS wanted)"""  # noqa: S608 - constants of our own

# A clock is set at its own time: until that has come it is not brought forward.
_BROUGHT_FORWARD: Final = f"{PUT_OFF} AND (kind <> '{JobKind.CLOCK_SET}' OR asked_at <= :now)"
OF_LINES: Final = f"""
    SELECT DISTINCT meter_id FROM job
    WHERE finished_at IS NULL AND {_BROUGHT_FORWARD} AND meter_id IN (SELECT meter_id FROM {{rows}} AS wanted)
    LIMIT :limit"""  # noqa: S608 - constants of our own
COLLECTORS: Final[Columns] = (("collector", TEXT),)
OF_COLLECTORS: Final = f"""
    SELECT DISTINCT meter_id FROM job
    WHERE finished_at IS NULL AND {_BROUGHT_FORWARD} AND meter_id IN (
        SELECT meter_id FROM job_line WHERE collector IN (SELECT collector FROM {{rows}} AS wanted))
    LIMIT :limit"""  # noqa: S608 - constants of our own

WAITING: Final = """
    SELECT meter_id, kind, span_start, span_end, job_id FROM job
    WHERE finished_at IS NULL AND state = 'waiting' AND meter_id IN (SELECT meter_id FROM {rows} AS wanted)"""

JOBS: Final[Columns] = (
    ("job_id", TEXT), ("meter_id", TEXT), ("kind", TEXT), ("priority", INTEGER), ("state", TEXT), ("rank", INTEGER),
    ("not_before", INTEGER), ("created_at", INTEGER), ("deadline", INTEGER), ("requested_by", TEXT), ("reason", TEXT),
    ("correlation_id", TEXT), ("span_start", INTEGER), ("span_end", INTEGER), ("finished_at", INTEGER),
    ("coalesced_into", TEXT), ("asked_at", INTEGER), ("asked_as", INTEGER),
)  # fmt: skip
_JOB_NAMES: Final = ", ".join(name for name, _ in JOBS)
PUT_JOBS: Final = f"""
    INSERT INTO job ({_JOB_NAMES}, attempts, worker, told, remedy)
    SELECT {_JOB_NAMES}, 0, '', '', '' FROM {{rows}} AS new WHERE true
    ON CONFLICT (job_id) DO NOTHING"""  # noqa: S608 - constants of our own

PRESSED: Final[Columns] = (
    ("job_id", TEXT), ("priority", INTEGER), ("rank", INTEGER), ("not_before", INTEGER), ("deadline", INTEGER),
)  # fmt: skip
# A job that was begun before waits for the end of its break: only somebody who waits cuts that short.
_CUT_SHORT: Final = f"(job.started_at IS NULL OR new.priority <= {_URGENT})"
_RANK: Final = f"CASE WHEN {_CUT_SHORT} THEN new.rank ELSE job.not_before + new.rank - new.not_before END"
PRESS_JOBS: Final = f"""
    UPDATE job SET
        priority = CASE WHEN new.priority < job.priority THEN new.priority ELSE job.priority END,
        rank = CASE WHEN {_RANK} < job.rank THEN {_RANK} ELSE job.rank END,
        not_before = CASE WHEN {_CUT_SHORT} AND new.not_before < job.not_before
                     THEN new.not_before ELSE job.not_before END,
        deadline = CASE WHEN new.deadline > job.deadline THEN new.deadline
                        WHEN new.deadline IS NULL THEN NULL ELSE job.deadline END
    FROM {{rows}} AS new WHERE job.job_id = new.job_id"""  # noqa: S608 - constants of our own

FREE_LINES_DUE_ANEW: Final = f"""
    UPDATE job_line SET {_MOST_PRESSING}
    WHERE worker = '' AND meter_id IN (SELECT meter_id FROM {{rows}} AS wanted)"""  # noqa: S608 - constants of our own

# ------------------------------------------------------------------ lease
TAKE_LINES: Final = f"""
    UPDATE job_line SET worker = :worker, until = :until, lasts = :lasts, silent = 0, due_at = {NEVER}, rank = {NEVER},
        fence = fence + 1, tries = CASE WHEN tries_day = :day THEN tries + 1 ELSE 1 END, tries_day = :day
    WHERE meter_id IN (SELECT meter_id FROM {{rows}} AS wanted)
    RETURNING meter_id, fence, tries"""  # noqa: S608 - constants of our own

EXPIRE_OF_LINES: Final = """
    UPDATE job SET state = 'expired', finished_at = :now, worker = ''
    WHERE finished_at IS NULL AND deadline <= :now
        AND meter_id IN (SELECT meter_id FROM {rows} AS wanted)"""

TAKE_JOBS: Final = """
    UPDATE job SET state = 'leased', started_at = :now, worker = :worker, attempts = attempts + 1
    WHERE finished_at IS NULL AND not_before <= :along
        AND meter_id IN (SELECT meter_id FROM {rows} AS wanted)
    RETURNING *"""

RESTS: Final = """
    SELECT meter_id, rested_until, tries FROM job_line
    WHERE rested_until > :now AND meter_id IN (SELECT meter_id FROM {rows} AS wanted)"""

# ------------------------------------------------------------------ renew, revoke and finish
LOCK_LINES: Final = """
    SELECT meter_id, fence, worker, until FROM job_line
    WHERE meter_id IN (SELECT meter_id FROM {rows} AS wanted) ORDER BY meter_id"""

RENEW_LINES: Final = """
    UPDATE job_line SET until = :now + lasts, silent = 0 WHERE meter_id IN (SELECT meter_id FROM {rows} AS wanted)"""

LEASES: Final = "SELECT meter_id, worker, fence, until, tries, lasts, silent FROM job_line WHERE worker <> ''"

SILENCES: Final[Columns] = (("meter_id", TEXT), ("silent", INTEGER))
NOTE_SILENCE: Final = """
    UPDATE job_line SET silent = new.silent
    FROM {rows} AS new WHERE job_line.meter_id = new.meter_id AND job_line.silent < new.silent"""

JOBS_WAIT_AGAIN: Final = """
    UPDATE job SET state = 'waiting'
    WHERE finished_at IS NULL AND state = 'leased' AND meter_id IN (SELECT meter_id FROM {rows} AS wanted)"""

OUTCOMES: Final[Columns] = (
    ("job_id", TEXT), ("state", TEXT), ("not_before", INTEGER), ("told", TEXT), ("remedy", TEXT), ("afresh", INTEGER),
    ("lacking", TEXT),
)  # fmt: skip
END_JOBS: Final = """
    UPDATE job SET state = new.state, told = new.told, remedy = new.remedy, lacking = new.lacking,
        rank = job.rank + coalesce(new.not_before, job.not_before) - job.not_before,
        not_before = coalesce(new.not_before, job.not_before),
        attempts = CASE WHEN new.afresh = 1 THEN 0 ELSE job.attempts END,
        finished_at = CASE WHEN new.state = 'waiting' THEN NULL ELSE CAST(:now AS bigint) END
    FROM {rows} AS new WHERE job.job_id = new.job_id AND job.state = 'leased'"""

# What was done, or was given up anew, needs nobody's look at the dead letter of an earlier try.
SETTLE_DEAD: Final = """
    UPDATE job SET state = 'coalesced', coalesced_into = newer.job_id FROM job AS newer
    WHERE newer.job_id IN (SELECT job_id FROM {rows} AS ended) AND newer.state IN ('done', 'dead')
        AND job.state = 'dead' AND job.meter_id = newer.meter_id AND job.kind = newer.kind
        AND coalesce(job.span_start, 0) = coalesce(newer.span_start, 0)
        AND coalesce(job.span_end, 0) = coalesce(newer.span_end, 0) AND job.job_id <> newer.job_id"""

BUDGETS: Final[Columns] = (("meter_id", TEXT), ("tries", INTEGER), ("rested_until", INTEGER))
KEEP_BUDGETS: Final = """
    UPDATE job_line SET tries = new.tries, rested_until = new.rested_until
    FROM {rows} AS new WHERE job_line.meter_id = new.meter_id"""

FREE_LINES: Final = f"""
    UPDATE job_line SET worker = '', until = 0, {_MOST_PRESSING}
    WHERE meter_id IN (SELECT meter_id FROM {{rows}} AS wanted)"""  # noqa: S608 - constants of our own
