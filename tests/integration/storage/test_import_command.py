"""`amity import FILE --dir D` as a person runs it."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from amity.cli.import_readings import import_file
from amity.storage.it.database import open_database

ROWS = (
    "A,2012-10-12 00:30:00, 0.1 ",
    "A,2012-10-12 01:30:00, 0.3 ",
    "A,2012-10-12 01:30:00, 0.3 ",
    "A,2012-10-12 01:37:00,Null",
    "B,2012-10-12 00:30:00, 0 ",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "homes.csv"
    path.write_text("\n".join(("LCLid,DateTime,KWH/hh (per half hour)", *ROWS)))
    return path


def run(*arguments: object) -> Result:
    command = typer.Typer()
    command.command()(import_file)
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_json_tells_what_was_found(tmp_path: Path, file: Path) -> None:
    result = run(file, "--dir", tmp_path / "d", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["rows"], told["duplicates"], told["gaps"], told["missing"], told["interpolated"]) == (5, 1, 1, 1, 1)
    assert told["rejected"] == [{"row": 5, "reason": "no value at 2012-10-12 01:37:00: 'Null'"}]
    assert [
        (meter["meter_id"], meter["readings"], meter["ends_early"], meter["vacant"]) for meter in told["meters"]
    ] == [
        ("A", 2, False, False),
        ("B", 1, True, False),
    ]
    assert told["blocks_changed"] == 2
    assert json.loads(run(file, "--dir", tmp_path / "d", "--json").stdout)["blocks_changed"] == 0


def test_a_person_reads_totals_and_the_meters_that_need_a_look(tmp_path: Path, file: Path) -> None:
    result = run(file, "--dir", tmp_path / "d")
    assert result.exit_code == 0, result.output
    assert "5 rows, 1 duplicates, 1 rejected, 1 gaps" in " ".join(result.stdout.split())
    assert "row 5 rejected" in result.stdout
    assert [line for line in result.stdout.splitlines() if "ends early" in line and "B" in line]


def test_a_wrong_cell_stops_the_import_and_nothing_of_the_file_is_there(tmp_path: Path, file: Path) -> None:
    file.write_text(file.read_text() + "\nB,2012-10-12 01:00:00,much")
    result = run(file, "--dir", tmp_path / "d")
    assert result.exit_code == 2
    assert "row 7, column KWH/hh (per half hour): 'much' is not a number" in " ".join(result.stderr.split())
    assert "next" in result.stderr
    database = open_database(tmp_path / "d" / "it" / "it.sqlite")
    assert list(database.blocks.channels()) == []
    database.close()


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path, file: Path) -> None:
    (tmp_path / "d").touch()
    result = run(file, "--dir", tmp_path / "d", "--json")
    assert result.exit_code == 6
    assert "no database can be kept" in json.loads(result.stderr)["error"]


def test_a_person_is_told_where_to_look(tmp_path: Path, file: Path) -> None:
    said = " ".join(run(file, "--dir", tmp_path / "d").stdout.split())
    assert "/api/v1/meters/A" in said
    assert f"amity serve --dir {tmp_path / 'd'}" in said


@pytest.mark.parametrize("content", [None, ""])
def test_a_file_that_is_empty_or_not_there_ends_like_any_wrong_argument(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "none.csv").write_text(content)
    result = run(tmp_path / "none.csv", "--dir", tmp_path / "d", "--json")
    assert result.exit_code == 2
    assert "none.csv" in json.loads(result.stderr)["error"]
    assert not (tmp_path / "d").exists()
