"""The demo is one machine: each of its programs can run, none waits for settings of somewhere else."""

from datetime import UTC, datetime
from pathlib import Path

from amity.cli.demo.display import Display
from amity.cli.demo.folder import Story
from amity.cli.demo.utility import Utility
from amity.runtime.folder import Folder
from amity.runtime.settings import load


def test_no_collector_is_started_that_has_no_head_end_to_call(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    story = Story(3, 1, datetime(2026, 11, 20, tzinfo=UTC), 20_000)
    display = Display.__new__(Display)  # nothing is shown here
    utility = Utility(folder, story, load(folder.settings), display, all_listen=lambda: None)
    assert [one.name for one in utility.programs()] == ["simulator", "broker", "headend", "mdm", "web"]
