"""`amity meter list`: whose names other commands take."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from amity.cli.main import app
from amity.domain.collection import Delivery, Outcome
from amity.headend.ports import Endpoint, Progress
from amity.headend.routes import over_tcp
from amity.storage.ot.database import OtDatabase, open_database
from tests.unit.headend.jobs.requests import NOW

HOUR = timedelta(hours=1)
NOWHERE = Progress()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ot").mkdir()
    return tmp_path


@pytest.fixture
def database(folder: Path) -> Iterator[OtDatabase]:
    opened = open_database(folder / "ot" / "ot.sqlite")
    route = over_tcp("10.0.0.7", 4059)
    ways = {"M1": route, "M2": route, "M3": replace(route, collector="DC7"), "X9": route}
    opened.endpoints.put(Endpoint(name, way, 1, 1, "none", "quillon_q5", b"") for name, way in ways.items())
    yield opened
    opened.close()


def amity(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("database")
def test_a_meter_that_nobody_tried_has_a_way_and_no_answer(folder: Path) -> None:
    found = json.loads(amity("meter", "list", "--dir", folder, "--json"))
    assert [one["meter"] for one in found] == ["M1", "M2", "M3", "X9"]
    assert found[0] == {
        "meter": "M1", "profile": "quillon_q5", "route": "10.0.0.7:4059", "collector": "", "management": None,
        "answered": None, "attempted": None, "outcome": None, "failures_in_a_row": 0, "standing": "never tried",
    }  # fmt: skip


def test_one_that_was_tried_says_when_it_last_answered_and_how_it_stands(folder: Path, database: OtDatabase) -> None:
    def tried(meter_id: str, outcome: Outcome, hour: int, progress: Progress = NOWHERE) -> None:
        one = Delivery(f"{meter_id}/{hour}", meter_id, "quillon_q5", NOW + hour * HOUR, outcome)
        database.collection.save(one, "subject", b"", progress=progress)

    tried("M2", Outcome.COMPLETE, 0)
    tried("M3", Outcome.COMPLETE, 0, Progress(intervals_until=NOW - HOUR, registers_until=NOW))
    tried("M3", Outcome.SILENT, 1)
    tried("M3", Outcome.SILENT, 2)
    lines = amity("meter", "list", "--name", "M*", "--dir", folder).splitlines()
    assert [line.split()[0] for line in lines] == ["meter", "M1", "M2", "M3"]
    assert lines[2].split()[-2:] == ["2026-11-20T06:17:42Z", "complete"]
    assert lines[3].endswith("  silent, 2 times in a row")
    assert lines[3].split()[2:7] == ["10.0.0.7:4059", "via", "DC7", "DC7", "2026-11-20T06:17:42Z"]
