"""`amity pushes` and `amity collector list` say whether what they show is of now, and that nobody is there."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from amity.cli.main import app
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import isoformat
from amity.runtime.folder import Folder
from tests.unit.cli.test_cli_jobs import amity

LISTS = [("pushes", "parked"), ("pushes", "lines"), ("collector", "list")]
STOPPED = "note: the head-end of this machine does not run (last sign of it:"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "ot").mkdir()
    return Folder(tmp_path)


def last_written(folder: Folder, ago: timedelta) -> str:
    """As the head-end writes it every few seconds; when it did so last."""
    at = isoformat(datetime.now(UTC) - ago)
    nothing = {"taken": 0, "parked": {}, "senders": {}, "turned_away": 0, "dropped": 0, "newest": [], "on_line": {}}
    folder.calls.write_text(json.dumps({"at": at, **nothing}))
    return at


@pytest.mark.parametrize("command", LISTS)
def test_what_a_head_end_that_has_stopped_left_behind_is_said_to_be_old(folder: Folder, command: tuple[str, str]):
    at = last_written(folder, timedelta(minutes=3))
    assert f"{STOPPED} {at})" in amity(*command, "--dir", folder.root)
    told = CliRunner().invoke(app, [*command, "--dir", str(folder.root), "--json"])
    json.loads(told.stdout)
    assert STOPPED in told.stderr
    assert f"amity serve --dir {folder.root}" in told.stderr


@pytest.mark.parametrize("command", LISTS)
def test_of_a_head_end_that_runs_nothing_is_said(folder: Folder, command: tuple[str, str]):
    last_written(folder, timedelta(seconds=6))
    assert "does not run" not in amity(*command, "--dir", folder.root)


def test_that_no_collector_ever_called_is_said(folder: Folder):
    told = amity("collector", "list", "--dir", folder.root)
    assert "no collector has called here yet" in told
    assert f"{STOPPED} none)" in told
    assert json.loads(CliRunner().invoke(app, ["collector", "list", "--dir", str(folder.root), "--json"]).stdout) == []


@pytest.mark.parametrize("command", LISTS[:2])
def test_where_no_head_end_ever_ran_there_is_nothing_to_show(folder: Folder, command: tuple[str, str]):
    with pytest.raises(ConfigurationError, match="has not run here yet") as refused:
        amity(*command, "--dir", folder.root)
    assert refused.value.next_step == f"amity serve --dir {folder.root}"
