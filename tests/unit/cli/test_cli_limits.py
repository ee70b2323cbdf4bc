"""How many are shown: whatever number is written is one that the disk can be asked for, or refused."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from amity.cli.main import app


@pytest.mark.parametrize("limit", ["0", "-3", "1000001", "99999999999999999999"])
@pytest.mark.parametrize(
    "command",
    [["jobs", "list"], ["jobs", "history"], ["events", "list"], ["events", "outages"], ["pushes", "parked"]],
    ids=" ".join,
)
def test_a_limit_beyond_any_use_is_refused(tmp_path: Path, command: list[str], limit: str) -> None:
    told = CliRunner().invoke(app, [*command, "--limit", limit, "--dir", str(tmp_path)])
    assert told.exit_code == 2
    assert "Invalid value for '--limit'" in told.stderr
