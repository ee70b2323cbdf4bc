"""`amity read --model`: what a device profile changes in the reading of a profile."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from amity.cli.main import app
from amity.kernel.errors import ConfigurationError
from amity.runtime.system import SystemClock
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.simulation.serving import serve_fleet
from tests.unit.cli.in_a_thread import serving

MODEL = "bergholm_b20"  # a password; times in local standard time (+60) without deviation, stamped at the start
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def papers() -> Iterator[dict[str, Any]]:
    fleet = build_fleet(FleetSettings(5, 5, datetime.now(UTC)))
    with serving(lambda: serve_fleet(fleet, clock=SystemClock())) as document:
        yield next(entry for entry in document if entry["profile"] == MODEL)


def first_row(papers: dict[str, Any], *more: str) -> timedelta:
    """How far the first row lies behind the instant that was asked for, two hours ago."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 2 * HOUR
    words = [
        "read", f"{papers['host']}:{papers['port']}", "--client", str(papers["client"]), "--auth", "lls",
        "--password", papers["password"], "--profile-from", start.isoformat(), "--json", *more,
    ]  # fmt: skip
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    profile = json.loads(result.stdout)["profile"]
    times = [datetime.fromisoformat(row[0]) for row in profile["rows"]]
    return times[0] - start


def test_local_times_are_read_as_the_model_writes_them(papers: dict[str, Any]):
    assert first_row(papers, "--model", MODEL) == timedelta(0)
    assert first_row(papers) == HOUR  # taken for UTC, the meter's local time is an hour ahead


def test_an_own_profile_serves_as_well(papers: dict[str, Any], tmp_path: Path):
    rules = 'inherit = "generic"\n[clock]\nstandard_offset_min = 60\ndeviation = "unspecified"\n'
    (tmp_path / "mine.toml").write_text(rules, "utf-8")
    assert first_row(papers, "--model", "mine", "--profiles", str(tmp_path)) == timedelta(0)


def test_a_model_nobody_knows_is_refused_before_anything_is_sent(papers: dict[str, Any]):
    with pytest.raises(ConfigurationError, match="no device profile named"):
        first_row(papers, "--model", "nobody")
