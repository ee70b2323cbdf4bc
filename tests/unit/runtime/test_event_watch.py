"""Whoever edits a table of event codes reads in the log, within a second, what became of the edit."""

from pathlib import Path

from structlog.testing import capture_logs

from amity.headend.event_catalogue import EventTables
from amity.runtime.event_watch import EventTableWatch

GOOD = 'profiles = ["*"]\n[events]\n7 = { class = "other", severity = "info", text = "x" }\n'


def test_each_change_and_each_refusal_is_told_once(tmp_path: Path) -> None:
    watch = EventTableWatch(EventTables(tmp_path, tmp_path / "good"))

    def news() -> list[tuple[str, object]]:
        with capture_logs() as told:
            watch.look()
        return [(one["event"], one.get("files", one.get("file"))) for one in told]

    assert news() == []
    (tmp_path / "own.toml").write_text(GOOD)
    assert news() == [("event tables in force", ["own.toml"])]
    (tmp_path / "own.toml").write_text("nonsense")
    assert news() == [("event table refused", "own.toml")]
    assert news() == []
    (tmp_path / "own.toml").write_text(GOOD + "\n")
    assert news() == [("event tables in force", ["own.toml"])]
