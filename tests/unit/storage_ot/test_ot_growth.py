"""No table of the OT zone grows without bound: each is kept small by something, and what is pruned is tried."""

from datetime import UTC, datetime, timedelta

from amity.domain.jobs import JobOutcome, JobState
from amity.headend.heard_counters import KEYS_MAX, WINDOW
from amity.headend.jobs.ports import Finished, LeaseTerms
from amity.headend.ports import PushClaim
from amity.storage.ot.database import OtDatabase
from amity.storage.ot.tables import metadata
from tests.unit.headend.jobs.requests import request

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
BOUND_BY = {
    "endpoint": "meters", "invocation_counter": "meters", "standing": "meters",
    "push_counter": "meters, KEYS_MAX of each", "job_line": "meters",
    "job_gate": "collectors, cells and networks of the meters",
    "job": "jobs_kept_days; a dead letter for each meter, kind and stretch that may still be read",
    "delivery": "frames_kept_days, once the broker has it",
    "forwarded_push": "the time for which collectors hold pushes",
    "collector": "certificates that our CA gave to collectors",
    "schedule_firing": "names of schedules", "head_end": "one row", "start_mark": "nodes",
}  # fmt: skip


def test_it_is_known_of_every_table_what_bounds_it() -> None:
    assert BOUND_BY.keys() == metadata.tables.keys()


def test_a_meter_that_never_answers_leaves_one_dead_letter_and_what_is_kept_of_its_history(
    database: OtDatabase,
) -> None:
    """Ninety days of a schedule that asks it every six hours."""
    terms, kept = LeaseTerms("w1"), timedelta(days=7)
    for hour in range(0, 90 * 24, 6):
        now = NOW + timedelta(hours=hour)
        database.jobs.enqueue([request("M1", key=f"s/{hour}", not_before=now)], now)
        (bundle,) = database.jobs.lease(terms, 1, now)
        outcomes = tuple(JobOutcome(one.job_id, JobState.DEAD) for one in bundle.jobs)
        database.jobs.finish([Finished(bundle.lease, outcomes, 0, None)], now)
        database.jobs.prune(now - kept)
    states = database.job_book.counts(now).by_state
    assert states[JobState.DEAD] == 1
    assert sum(states.values()) <= 7 * 4 + 2
    with database._engine.connect() as connection:
        for table in ("job_line", "job_gate"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() <= 1  # noqa: S608 - ours


def test_what_meters_push_leaves_one_row_for_each_key(database: OtDatabase) -> None:
    for counter in range(1, 10 * WINDOW, 37):  # most are late, or never come
        database.push_counters.move_all([PushClaim("M1", b"K", counter, authenticated=True, heard_s=0, late=True)])
    with database._engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT length(missing) FROM push_counter").scalars().all()
    assert len(rows) == 1
    assert rows[0] <= WINDOW // 8


def test_keys_of_which_a_meter_got_ever_new_ones_are_few_rows(database: OtDatabase) -> None:
    for number in range(50):
        key = number.to_bytes(8, "big")
        assert database.push_counters.move_all([PushClaim("M1", key, 1, authenticated=True, heard_s=number)]) == [None]
    with database._engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM push_counter").scalar_one() == KEYS_MAX


def test_marks_of_starts_are_one_for_each_node(database: OtDatabase) -> None:
    for number in range(50):
        database.identity.mark(f"{number}", f"{number - 1}" if number else None)
    assert database.identity.begin(b"AMI12345") == b"AMI12345"
    found = database.identity.load()
    assert found is not None
    assert found.start_marks == {"49"}
