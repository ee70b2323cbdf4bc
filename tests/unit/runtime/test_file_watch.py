"""Whoever edits a file of the head-end reads in the log, within a second, what became of the edit."""

from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from amity.headend.event_catalogue import EventTables
from amity.headend.mapping_file import MappingFile
from amity.runtime.files.headend import look_at_event_tables, look_at_mapping, look_at_schedules
from amity.runtime.files.schedules import ScheduleFile
from amity.runtime.files.watch import FileWatch

GOOD = '{"version": "%s", "rules": [\n{"kind": "register", "class": %d, "obis": "1.0.1.8.0.255"}]}'
TABLE = 'profiles = ["*"]\n[events]\n7 = { class = "other", severity = "info", text = "x" }\n'
SCHEDULE = '[[schedule]]\nname = "night"\ncron = "15 2 * * *"\nread = ["profiles"]\n'


@pytest.fixture(autouse=True)
def _every_level_is_told() -> None:
    """A command that ran in this process before may have asked for quiet."""
    structlog.reset_defaults()


def news(watch: FileWatch) -> list[tuple[str, object]]:
    """What one look tells: the event, and what is in force."""
    with capture_logs() as told:
        watch.look()
    return [(one["event"], one["in_force"]) for one in told]


def versions(watch: FileWatch) -> list[tuple[str, str]]:
    return [(event, str(in_force).partition("+")[0]) for event, in_force in news(watch)]


def mapping_watch(file: MappingFile) -> FileWatch:
    return FileWatch("mapping", lambda: look_at_mapping(file))


def test_each_mapping_is_told_once_whoever_saw_the_edit_first(tmp_path: Path) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(GOOD % ("one", 3))
    file = MappingFile(path)
    watch = mapping_watch(file)
    assert versions(watch) == [("mapping in force", "one")]
    assert versions(watch) == []
    path.write_text(GOOD % ("two", 3))
    file.poll()
    assert versions(watch) == [("mapping in force", "two")]


def test_rules_that_changed_under_the_same_name_are_told(tmp_path: Path) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(GOOD % ("one", 3))
    watch = mapping_watch(MappingFile(path))
    versions(watch)
    path.write_text(GOOD % ("one", 4))
    assert versions(watch) == [("mapping in force", "one")]


def test_a_refusal_is_told_once_with_line_and_reason_and_when_it_is_over(tmp_path: Path) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(GOOD % ("one", 3))
    watch = mapping_watch(MappingFile(path))
    versions(watch)
    path.write_text((GOOD % ("two", 3)).replace("register", "registre"))
    with capture_logs() as told:
        watch.look()
    assert [(one["event"], one["log_level"], one["file"]) for one in told] == [
        ("mapping refused", "error", "mapping.json")
    ]
    assert "mapping.json, line 2: the kind is one of" in told[0]["reason"]
    assert told[0]["in_force"].startswith("one+")
    assert versions(watch) == []
    path.unlink()
    assert versions(watch) == [("mapping refused", "one")]
    path.write_text(GOOD % ("one", 3))
    assert versions(watch) == [("mapping in force", "one")]


def test_a_mapping_of_a_hundred_megabytes_is_refused_unread_and_the_old_one_holds(tmp_path: Path) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(GOOD % ("one", 3))
    file = MappingFile(path)
    with path.open("r+b") as grown:
        grown.truncate(100 << 20)
    file.poll()
    assert file.refusal is not None
    assert file.refusal.what == "mapping.json is longer than 8388608 octets"
    assert file.mapping.version.startswith("one")


def test_tables_of_event_codes_are_told_by_file(tmp_path: Path) -> None:
    tables = EventTables(tmp_path, tmp_path / "good")
    watch = FileWatch("event tables", lambda: look_at_event_tables(tables))
    assert news(watch) == []
    (tmp_path / "own.toml").write_text(TABLE)
    assert news(watch) == [("event tables in force", ["own.toml"])]
    (tmp_path / "own.toml").write_text("nonsense")
    assert news(watch) == [("event tables refused", ["own.toml"])]
    (tmp_path / "other.toml").write_text("nonsense too")
    assert news(watch) == [("event tables refused", ["own.toml"])]
    (tmp_path / "other.toml").unlink()
    (tmp_path / "own.toml").write_text(TABLE + "\n")
    assert news(watch) == [("event tables in force", ["own.toml"])]
    (tmp_path / "own.toml").unlink()
    assert news(watch) == [("event tables in force", [])]


def test_schedules_are_told_by_name_and_a_refused_edit_leaves_them_in_force(tmp_path: Path) -> None:
    path = tmp_path / "schedules.toml"
    file = ScheduleFile(path, tmp_path / "last-good.toml")
    watch = FileWatch("schedules", lambda: look_at_schedules(file, otherwise="default"))
    assert news(watch) == [("schedules in force", ["default"])]
    path.write_text(SCHEDULE)
    assert news(watch) == [("schedules in force", ["night"])]
    path.write_text(SCHEDULE.replace("15 2", "15 25"))
    assert news(watch) == [("schedules refused", ["night"])]
    assert news(watch) == []
