"""`amity jobs`, `amity schedules` and `amity meter read` on an installation in one folder."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from amity.cli.job_selection import change_all
from amity.cli.main import app
from amity.domain.jobs import JobOutcome, JobState
from amity.headend.jobs.ports import Finished, JobQuery, LeaseTerms
from amity.headend.ports import Endpoint
from amity.headend.routes import over_tcp
from amity.kernel.errors import ConfigurationError, NotFoundError
from amity.kernel.time import isoformat
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


def amity(*arguments: object, status: int = 0, typed: str = "") -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments], input=typed)
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


def test_a_job_whose_meter_rests_says_until_when_and_why(folder: Path, database: OtDatabase) -> None:
    now = datetime.now(UTC)
    (job_id,) = database.jobs.enqueue([request("M1")], NOW)
    (bundle,) = database.jobs.lease(LeaseTerms("w1"), 1, now)
    again = JobOutcome(job_id, JobState.WAITING, now, told="no answer")
    until = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    database.jobs.finish([Finished(bundle.lease, (again,), 2, until)], now)
    rests = f"rests until {isoformat(until)} (2 tries today without an answer)"
    listed = amity("jobs", "list", "--dir", folder)
    assert f"{rests}; no answer" in listed
    assert "1 waiting; 0 due, 1 rests" in listed
    assert rests in amity("jobs", "show", job_id, "--dir", folder)
    shown = json.loads(amity("jobs", "show", job_id, "--dir", folder, "--json"))
    (row,) = json.loads(amity("jobs", "list", "--dir", folder, "--json"))
    assert shown["rests_until"] == row["rests_until"] == isoformat(until)
    assert shown["tries_today"] == row["tries_today"] == 2


def dead_letters(database: OtDatabase, *meters: str) -> None:
    database.jobs.enqueue([request(meter) for meter in meters], NOW)
    for _ in meters:
        end(database, JobState.DEAD, told="wrong key", remedy="mend the key")


def states(database: OtDatabase) -> dict[str, JobState]:
    return {job.meter_id: job.state for job in database.job_book.find(JobQuery(limit=None))}


def test_the_dead_letters_of_one_meter_are_tried_again(folder: Path, database: OtDatabase) -> None:
    dead_letters(database, "M1", "M2")
    told = amity("jobs", "retry", "--meter", "M1", "--yes", "--dir", folder)
    assert told == "1 of 1 jobs wait again\n"
    assert states(database) == {"M1": JobState.WAITING, "M2": JobState.DEAD}


@pytest.mark.parametrize("selection", [("--all",), ("--state", "dead")])
def test_all_dead_letters_are_changed_after_a_question_with_their_number(
    folder: Path, database: OtDatabase, selection: tuple[str, ...]
) -> None:
    dead_letters(database, "M1", "M2", "M3")
    database.jobs.enqueue([request("M4")], NOW)
    question = "Discard 3 jobs of 3 meters (3 dead)?"
    refused = amity("jobs", "discard", *selection, "--dir", folder, typed="n\n", status=1)
    assert question in refused
    assert "nothing was changed" in refused
    assert set(states(database).values()) == {JobState.DEAD, JobState.WAITING}
    assert "3 of 3 jobs are discarded" in amity("jobs", "discard", *selection, "--dir", folder, typed="y\n")
    assert states(database) == dict.fromkeys(["M1", "M2", "M3"], JobState.FAILED) | {"M4": JobState.WAITING}


def test_many_jobs_are_changed_by_a_program_only_with_its_word(folder: Path, database: OtDatabase) -> None:
    dead_letters(database, "M1", "M2")
    with pytest.raises(ConfigurationError, match="nobody is asked"):
        amity("jobs", "retry", "--all", "--json", "--dir", folder)
    done = json.loads(amity("jobs", "retry", "--all", "--yes", "--json", "--dir", folder))
    assert done == {"found": 2, "changed": 2}
    assert json.loads(amity("jobs", "retry", "--all", "--yes", "--json", "--dir", folder)) == {"found": 0, "changed": 0}
    assert amity("jobs", "retry", "--all", "--dir", folder) == "no dead letters: nothing to do\n"


def test_what_waits_is_discarded_only_when_that_is_said(folder: Path, database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1"), request("M2")], NOW)
    assert "nothing to do" in amity("jobs", "discard", "--meter", "M1", "--yes", "--dir", folder)
    amity("jobs", "discard", "--meter", "M1", "--state", "waiting", "--yes", "--dir", folder)
    assert states(database) == {"M1": JobState.CANCELLED, "M2": JobState.WAITING}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("retry",), "which job"),
        (("retry", "abc", "--all"), "one JOB or many"),
        (("discard", "abc", "--meter", "M1"), "one JOB or many"),
        (("retry", "--state", "waiting"), "waiting"),
        (("discard", "--state", "done"), "done"),
    ],
)
@pytest.mark.usefixtures("database")
def test_a_selection_that_means_nothing_is_refused(folder: Path, arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        amity("jobs", *arguments, "--dir", folder)


def test_what_was_mended_in_the_meantime_is_left_alone(database: OtDatabase) -> None:
    """Somebody else tried one of them again while the question stood there."""
    dead_letters(database, "M1", "M2")
    found = database.job_book.find(JobQuery())
    database.job_book.retry(found[0].job_id, NOW)
    assert change_all(database.jobs, found, lambda job_id: database.job_book.retry(job_id, NOW)) == 1
    assert states(database) == {"M1": JobState.WAITING, "M2": JobState.WAITING}


def test_a_list_that_is_cut_off_says_so(folder: Path, database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1"), request("M2"), request("M3")], NOW)
    assert "there are more" not in amity("jobs", "list", "--limit", 3, "--dir", folder)
    cut = amity("jobs", "list", "--limit", 2, "--dir", folder)
    assert "there are more than these 2: --limit, --meter" in cut
    assert cut.count("registers") == 2
    told = CliRunner().invoke(app, ["jobs", "list", "--limit", "2", "--dir", str(folder), "--json"])
    assert len(json.loads(told.stdout)) == 2
    assert "there are more" in told.stderr


def test_a_job_that_is_discarded_tells_no_longer_what_to_mend(folder: Path, database: OtDatabase) -> None:
    dead_letters(database, "M1")
    amity("jobs", "discard", "--all", "--yes", "--dir", folder)
    (job,) = json.loads(amity("jobs", "history", "--dir", folder, "--json"))
    assert job["next"] == ""
    assert job["told"].endswith("before: wrong key")


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


@pytest.mark.usefixtures("database")
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


def schedules(folder: Path, *texts: str) -> None:
    (folder / "ot" / "schedules.toml").write_text("".join(texts))


@pytest.mark.usefixtures("database")
def test_a_meter_begins_only_in_schedules_that_select_it(folder: Path) -> None:
    others = SCHEDULE.replace('"night"', '"others"') + 'meters = ["X*"]\n'
    far = SCHEDULE.replace('"night"', '"far"') + 'networks = ["10.0.0.0/8"]\n'
    schedules(folder, SCHEDULE, others, far)
    told = amity("schedules", "next", "--count", 2, "--meter", "M1", "--dir", folder).splitlines()
    assert ["begins" in line for line in told] == [True, True, False, False]
    assert told[2:] == ["others  M1 is not of this schedule", "far  M1 is not of this schedule"]
    lines = json.loads(amity("schedules", "next", "--count", 1, "--meter", "M1", "--dir", folder, "--json"))
    assert [(one["schedule"], one["begin"] is None) for one in lines] == [
        ("night", False), ("others", True), ("far", True),
    ]  # fmt: skip
    with pytest.raises(ConfigurationError, match="no meter is called 'M9'"):
        amity("schedules", "next", "--meter", "M9", "--dir", folder)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("more", [(), ("--meter", "M1")])
def test_what_comes_next_stands_first_whatever_its_schedule(folder: Path, more: tuple[str, ...]) -> None:
    schedules(folder, SCHEDULE, SCHEDULE.replace('"night"', '"utc"').replace("Europe/Berlin", "UTC"))
    asked = ("schedules", "next", "--after", "2026-03-28T12:00:00Z", "--count", 3, "--dir", folder, *more)
    fires = json.loads(amity(*asked, "--json"))
    times = [one.get("begin", one["fire"]) for one in fires]
    assert times == sorted(times)
    assert {one["schedule"] for one in fires[:2]} == {"night", "utc"}
    assert [line.split()[0] for line in amity(*asked).splitlines()] == [one["schedule"] for one in fires]


@pytest.mark.usefixtures("database")
def test_a_schedule_with_a_zone_is_told_in_its_local_time_too(folder: Path) -> None:
    schedules(folder, SCHEDULE, SCHEDULE.replace('"night"', '"utc"').replace("Europe/Berlin", "UTC"))
    after = ("--after", "2026-03-28T12:00:00Z", "--count", 1, "--dir", folder)
    night, utc = amity("schedules", "next", *after).splitlines()
    assert night == "night  2026-03-29T01:00:00Z (2026-03-29T03:00:00+02:00 Europe/Berlin)"
    assert utc == "utc  2026-03-29T02:15:00Z"
    (line,) = json.loads(amity("schedules", "next", "night", "--meter", "M1", *after, "--json"))
    assert (line["local"], line["zone"]) == ("2026-03-29T03:00:00+02:00", "Europe/Berlin")
    begin, local = (datetime.fromisoformat(line[key]) for key in ("begin", "begin_local"))
    assert (begin, local.utcoffset()) == (local, timedelta(hours=2))
    told = amity("schedules", "next", "night", "--meter", "M1", *after)
    assert told.endswith(f"  begins {line['begin']} ({line['begin_local']} Europe/Berlin)\n")
    listed = amity("schedules", "list", "--dir", folder).splitlines()
    assert [" Europe/Berlin)" in line for line in listed] == [True, False]


def test_a_check_can_be_read_by_programs(tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    file.write_text(SCHEDULE)
    assert json.loads(amity("schedules", "check", file, "--json")) == {"file": str(file), "schedules": ["night"]}


def test_a_wrong_file_is_told_with_line_and_key(tmp_path: Path) -> None:
    wrong = tmp_path / "new.toml"
    wrong.write_text(SCHEDULE.replace("1 h", "1 fortnight"))
    with pytest.raises(ConfigurationError, match=r"new.toml, line 6: jitter of schedule 'night': "):
        amity("schedules", "check", wrong)


def test_a_worker_that_is_gone_is_named_and_its_meters_are_freed(folder: Path, database: OtDatabase) -> None:
    database.jobs.enqueue([request("M1"), request("M2")], NOW)
    assert "no worker holds a meter" in amity("jobs", "leases", "--dir", folder)
    database.jobs.lease(LeaseTerms("host/1", duration=timedelta(hours=1)), 9, NOW)
    (held,) = json.loads(amity("jobs", "leases", "--dir", folder, "--json"))
    assert held == {
        "worker": "host/1", "meters": ["M1", "M2"], "renewed_until": isoformat(NOW + timedelta(hours=1)),
        "silent_s": 0, "lasts_s": 3600,
    }  # fmt: skip
    assert "host/1: 2 meters" in amity("jobs", "leases", "--dir", folder)
    with pytest.raises(NotFoundError, match="host/2"):
        amity("jobs", "release", "host/2", "--dir", folder)
    with pytest.raises(ConfigurationError, match="nobody is asked"):
        amity("jobs", "release", "host/1", "--dir", folder, "--json")
    amity("jobs", "release", "host/1", "--dir", folder, typed="n\n", status=1)
    assert len(database.jobs.leases()) == 2
    assert "2 meters are free" in amity("jobs", "release", "host/1", "--dir", folder, typed="y\n")
    assert len(database.jobs.lease(LeaseTerms("host/3"), 9, NOW)) == 2
