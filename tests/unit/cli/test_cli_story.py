"""`amity story WORD`: job, session, frames, log lines, delivery and commit of one word, by time, and of no other."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from amity.domain.collection import Delivery, Exchange, Outcome
from amity.domain.jobs import JobState
from amity.headend.message_id import identified
from amity.headend.ports import Endpoint, Progress
from amity.headend.routes import over_tcp
from amity.kernel.errors import NotFoundError
from amity.messaging.codec import ProtobufCodec
from amity.storage.it.database import open_database as open_it_database
from amity.storage.ot.database import open_database
from tests.unit.cli.test_cli_jobs import amity, end
from tests.unit.headend.jobs.requests import NOW, request

SECOND = timedelta(seconds=1)
WIDE = ("--days", 36_500)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part in ("ot", "it", "logs"):
        (tmp_path / part).mkdir()
    return tmp_path


def happen(folder: Path) -> str:
    """A job of two words in one session, a log line of ours and one of another's; gives the message's name."""
    exchanges = (Exchange(NOW, b"\1\2", b"\3", b""), Exchange(NOW + SECOND, b"\4", b"", b""))
    delivery = identified(
        Delivery(
            "",
            "M1",
            "s1",
            NOW + 2 * SECOND,
            Outcome.COMPLETE,
            exchanges=exchanges,
            duration_ms=2500,
            correlation_id="w1,other",
        )
    )
    body = ProtobufCodec().encode(delivery)
    database = open_database(folder / "ot" / "ot.sqlite")
    database.endpoints.put([Endpoint("M1", over_tcp("127.0.0.1", 4059), 1, 1, "none", "quillon_q5", b"")])
    database.jobs.enqueue([request("M1", correlation_id="w1"), request("M1", key="b", correlation_id="w2")], NOW)
    end(database, JobState.DONE)
    database.collection.save(delivery, "amity", body, progress=Progress())
    database.collection.sent([one.sequence for one in database.collection.queued(9)])
    database.close()
    it = open_it_database(folder / "it" / "it.sqlite")
    it.deliveries.record(delivery, body, received_at=NOW + 3 * SECOND)
    it.close()
    at = "timestamp=2026-11-20T06:17:44Z level=info"
    (folder / "logs" / "ingest.log").write_text(
        f'{at} event="session complete" correlation=w1,other meter=M1\n'
        f"{at} event=frame correlation=w1,other octets=00\n"
        f"{at} event=nobody correlation=w11 meter=M9\nno line of ours w1\n"
    )
    return delivery.message_id


def test_one_word_tells_job_session_frames_log_delivery_and_commit(folder: Path) -> None:
    message_id = happen(folder)
    told = json.loads(amity("story", "w1", "--dir", folder, "--json", *WIDE))
    parts = [one["part"] for one in told]
    assert {part: parts.count(part) for part in parts} == {
        "job": 3, "session": 2, "frame": 2, "ingest.log": 1, "delivery": 1, "mdm": 1,
    }  # fmt: skip
    assert [one["at"] for one in told] == sorted(one["at"] for one in told)
    assert f"message {message_id} committed" in [one["told"] for one in told]
    assert "the broker has it" in next(one["told"] for one in told if one["part"] == "delivery")
    assert "2 octets to the meter, 1 back" in amity("story", "w1", "--dir", folder, *WIDE)
    assert "to meter 0102 from meter 03" in amity("story", "w1", "--dir", folder, "--frames", *WIDE)


def test_the_word_of_somebody_who_only_came_along_finds_the_session(folder: Path) -> None:
    happen(folder)
    told = json.loads(amity("story", "other", "--dir", folder, "--json", *WIDE))
    assert {one["part"] for one in told} == {"session", "frame", "ingest.log", "delivery", "mdm"}


def test_a_word_that_nothing_bears_is_said_to_be_unknown(folder: Path) -> None:
    happen(folder)
    with pytest.raises(NotFoundError):
        amity("story", "w", "--dir", folder, *WIDE)
