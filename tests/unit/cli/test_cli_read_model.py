"""`amity read --model`: what a device profile changes in the reading of a profile."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from amity.cli.main import app
from amity.cli.reading.profile import ProfileRequest
from amity.devices.profiles import packaged_profile
from amity.kernel.errors import ConfigurationError
from amity.runtime.system import SystemClock
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.simulation.serving import serve_fleet
from tests.unit.cli.in_a_thread import serving

MODEL = "bergholm_b20"  # a password; times in local standard time (+60) without deviation, stamped at the start
HOUR = timedelta(hours=1)
LOAD_PROFILE = str(packaged_profile(MODEL).load_profile.obis)
NOW = datetime(2026, 11, 20, tzinfo=UTC)


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
    assert first_row(papers) == timedelta(0)  # its name tells the model
    assert first_row(papers, "--model", "generic") == HOUR  # taken for UTC, the meter's local time is an hour ahead


def test_a_meter_whose_name_tells_no_model_is_asked_for_its_time_zone(
    papers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("amity.cli.reading.command.fictional_keys", tuple)
    assert first_row(papers, "--profile", LOAD_PROFILE) == timedelta(0)


def test_a_name_that_fits_more_than_one_model_tells_none():
    known = tuple(map(packaged_profile, ("landis_gyr", "landis_gyr_e450", "kaifa")))
    wanted = ProfileRequest(None, NOW, NOW, NOW, known)
    assert wanted.model_of("LGZ0000000000001") is None
    assert wanted.model_of("KFM0000000000001") is known[2]
    assert wanted.model_of("") is None
    assert replace(wanted, models=known[:1]).model_of("KFM0000000000001") is known[0]  # who names one is believed


def test_an_own_profile_serves_as_well(papers: dict[str, Any], tmp_path: Path):
    rules = 'inherit = "generic"\n[clock]\nstandard_offset_min = 60\ndeviation = "unspecified"\n'
    (tmp_path / "mine.toml").write_text(rules, "utf-8")
    assert first_row(papers, "--model", "mine", "--profiles", str(tmp_path)) == timedelta(0)


def test_a_model_nobody_knows_is_refused_before_anything_is_sent(papers: dict[str, Any]):
    with pytest.raises(ConfigurationError, match="no device profile named"):
        first_row(papers, "--model", "nobody")
