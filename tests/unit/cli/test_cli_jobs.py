"""`amity jobs`, `amity schedules` and `amity meter read` on an installation in one folder."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from amity.cli.main import app
from amity.domain.jobs import JobOutcome, JobState
from amity.headend.jobs.ports import Finished, LeaseTerms
from amity.headend.ports import Endpoint
from amity.headend.routes import over_tcp
from amity.kernel.errors import ConfigurationError, NotFoundError
from amity.storage.ot.database import OtDatabase, open_database
from tests.unit.headend.jobs.requests import NOW, request

SCHEDULE = (
    '[[schedule]]\nname = "night"\ncron = "15 2 * * *"\nzone = "Europe/Berlin"\nread = ["profiles"]\njitter = "1 h"\n'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ot").mkdir()
    return tmp_path


@pytest.fixture
def database(folder: Path) -> Iterator[OtDatabase]:
    opened = open_database(folder / "ot" / "ot.sqlite")
    opened.endpoints.put([Endpoint("M1", over_tcp("127.0.0.1", 4059), 1, 1, "none", "quillon_q5", b"")])
    yield opened
    opened.close()


def amity(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.output


def end(database: OtDatabase, state: JobState, **outcome: str) -> None:
    (bundle,) = database.jobs.lease(LeaseTerms("w1"), 1, datetime.now(UTC))
    outcomes = tuple(JobOutcome(job.job_id, state, **outcome) for job in bundle.jobs)
    database.jobs.finish([Finished(bundle.lease, outcomes)], datetime.now(UTC))


def test_a_dead_letter_is_listed_shown_and_tried_again(folder: Path, database: OtDatabase) -> None:
    (job_id,) = database.jobs.enqueue([request("M1")], NOW)
    end(database, JobState.DEAD, told="wrong key", remedy="mend the key")
    listed = amity("jobs", "list", "--dir", folder)
    assert "wrong key" in listed
    assert "1 dead" in listed
    assert "mend the key" in amity("jobs", "show", job_id[:10], "--dir", folder)
    again = json.loads(amity("jobs", "retry", job_id[:10], "--dir", folder, "--json"))
    assert (again["state"], again["priority"]) == ("waiting", "on-demand")
    assert json.loads(amity("jobs", "list", "--state", "dead", "--dir", folder, "--json")) == []


def test_what_ended_is_history_and_what_is_discarded_says_by_whom(folder: Path, database: OtDatabase) -> None:
    ids = database.jobs.enqueue([request("M1"), request("M2")], NOW)
    amity("jobs", "discard", ids[0], "--dir", folder)
    (ended,) = json.loads(amity("jobs", "history", "--dir", folder, "--json"))
    assert (ended["job"], ended["state"]) == (ids[0], "cancelled")
    assert ended["told"].startswith("discarded by ")
    assert json.loads(amity("jobs", "history", "--meter", "M2", "--dir", folder, "--json")) == []


@pytest.mark.usefixtures("database")
def test_a_job_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(NotFoundError, match="no job"):
        amity("jobs", "show", "abc", "--dir", folder)


def test_a_meter_is_read_by_whoever_works_there(folder: Path, database: OtDatabase) -> None:
    def work() -> None:
        while database.job_book.counts(datetime.now(UTC)).due == 0:
            time.sleep(0.02)
        end(database, JobState.DONE)

    worker = threading.Thread(target=work)
    worker.start()
    job = json.loads(amity("meter", "read", "M1", "--reason", "complaint 7", "--dir", folder, "--json"))
    worker.join()
    assert (job["state"], job["meter"], job["kind"], job["reason"]) == ("done", "M1", "registers", "complaint 7")


def test_without_a_worker_it_stays_in_the_queue_and_says_so(folder: Path, database: OtDatabase) -> None:
    told = amity("meter", "read", "M1", "--wait", "0", "--dir", folder, status=3)
    assert "is `amity serve` running?" in told
    assert database.job_book.counts(datetime.now(UTC)).by_state == {JobState.WAITING: 1}


@pytest.mark.usefixtures("database")
def test_a_meter_that_is_not_known_is_not_queued(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="no meter is called 'M9'"):
        amity("meter", "read", "M9", "--dir", folder)


def test_schedules_are_listed_checked_and_looked_ahead(folder: Path) -> None:
    assert "default: every 0:01:00" in amity("schedules", "list", "--dir", folder)
    (folder / "ot" / "schedules.toml").write_text(SCHEDULE)
    assert "night: 15 2 * * * Europe/Berlin, profiles" in amity("schedules", "list", "--dir", folder)
    assert "is right: night" in amity("schedules", "check", "--dir", folder)
    start = "2026-03-28T12:00:00Z"
    fires = json.loads(
        amity("schedules", "next", "--count", 2, "--after", start, "--meter", "M1", "--dir", folder, "--json")
    )
    assert [one["fire"] for one in fires] == ["2026-03-29T01:00:00Z", "2026-03-30T00:15:00Z"]
    assert all(one["fire"] <= one["begin"] for one in fires)
    with pytest.raises(ConfigurationError, match="no schedule is called 'day'"):
        amity("schedules", "next", "day", "--dir", folder)


def test_a_wrong_file_is_told_with_line_and_key(tmp_path: Path) -> None:
    wrong = tmp_path / "new.toml"
    wrong.write_text(SCHEDULE.replace("1 h", "1 fortnight"))
    with pytest.raises(ConfigurationError, match=r"new.toml, line 6: schedule.jitter"):
        amity("schedules", "check", wrong)
