"""`amity capacity` prints a plan for the fleets that are asked for, and says where its costs are from."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from amity.cli.main import app
from amity.kernel.errors import ConfigurationError
from amity.usecases.capacity import packaged_costs


def printed(*words: str) -> str:
    told = CliRunner().invoke(app, ["capacity", *words], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return told.output


def test_without_a_size_it_is_the_plan_of_three() -> None:
    text = printed()
    for meters in ("10,000", "1,000,000", "10,000,000"):
        assert meters in text
    costs = packaged_costs()
    assert costs.measured_on in text
    assert costs.machine in text.replace("\n", " ")


def test_the_workload_is_what_was_asked_for() -> None:
    words = ["--meters", "5000", "--interval-minutes", "30", "--channels", "2", "--window-h", "2", "--json"]
    (made,) = json.loads(printed(*words, "--pushes-per-day", "24", "--session-s", "5"))["plans"]
    load = {"meters": 5000, "interval_minutes": 30, "channels": 2, "pushes_per_day": 24, "window_h": 2, "session_s": 5}
    assert made["load"] | load == made["load"]
    assert made["open_associations"] == 4  # 5000 in 7200 s, 5 s each
    hourly, daily = (json.loads(printed("--meters", "5000", "--window-h", hours, "--json")) for hours in ("1", "24"))
    assert hourly["plans"][0]["cores"]["headend"] == pytest.approx(24 * daily["plans"][0]["cores"]["headend"])


def test_the_page_shows_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    page = (Path(__file__).parents[3] / "docs" / "capacity.md").read_text(encoding="utf-8")
    assert f"```\namity capacity\n```\nprints, by the costs that come with it:\n```\n{printed()}```\n" in page


def test_a_warning_stands_before_the_figures() -> None:
    text = printed("--meters", "1000000", "--interval-minutes", "1", "--channels", "8")
    assert text.startswith("warning: 11,520 values of a meter a day lie outside what was measured (96 to 384)")
    assert "warning" not in printed()


def test_costs_may_come_from_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        printed("--costs", str(tmp_path / "none.toml"))
    (tmp_path / "bad.toml").write_text("measured_on = 1")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        printed("--costs", str(tmp_path / "bad.toml"))
