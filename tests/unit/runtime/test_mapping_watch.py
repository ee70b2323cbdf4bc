"""Whoever edits mapping.json reads in the log, within a second, what became of the edit."""

from pathlib import Path

from structlog.testing import capture_logs

from amity.headend.mapping_file import MappingFile
from amity.runtime.mapping_watch import MappingWatch

GOOD = '{"version": "%s", "rules": [\n{"kind": "register", "class": 3, "obis": "1.0.%s.8.0.255"}]}'


def news(watch: MappingWatch) -> list[tuple[str, str]]:
    """What one look tells: the event, and the version that is in force."""
    with capture_logs() as told:
        watch.look()
    return [(one["event"], str(one.get("version", one.get("in_force"))).partition("+")[0]) for one in told]


def test_each_mapping_is_told_once_whoever_saw_the_edit_first(tmp_path: Path) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(GOOD % ("one", 1))
    file = MappingFile(path)
    watch = MappingWatch(file)
    assert news(watch) == [("mapping in force", "one")]
    assert news(watch) == []
    path.write_text(GOOD % ("two", 1))
    file.poll()
    assert news(watch) == [("mapping in force", "two")]


def test_rules_that_changed_under_the_same_name_are_told(tmp_path: Path) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(GOOD % ("one", 1))
    watch = MappingWatch(MappingFile(path))
    news(watch)
    path.write_text(GOOD % ("one", 2))
    assert news(watch) == [("mapping in force", "one")]


def test_a_refusal_is_told_once_with_line_and_reason_and_when_it_is_over(tmp_path: Path) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(GOOD % ("one", 1))
    watch = MappingWatch(MappingFile(path))
    news(watch)
    path.write_text((GOOD % ("two", 1)).replace("register", "registre"))
    with capture_logs() as told:
        watch.look()
    assert [(one["event"], one["log_level"]) for one in told] == [("mapping refused", "error")]
    assert "mapping.json, line 2: the kind is one of" in told[0]["reason"]
    assert told[0]["in_force"].startswith("one+")
    assert news(watch) == []
    path.unlink()
    assert news(watch) == [("mapping refused", "one")]
    path.write_text(GOOD % ("one", 1))
    assert news(watch) == [("mapping in force", "one")]


def test_a_mapping_of_a_hundred_megabytes_is_refused_unread_and_the_old_one_holds(tmp_path: Path) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(GOOD % ("one", 1))
    file = MappingFile(path)
    with path.open("r+b") as grown:
        grown.truncate(100 << 20)
    file.poll()
    assert file.refusal is not None
    assert file.refusal.what == "mapping.json is longer than 8388608 octets"
    assert file.mapping.version.startswith("one")
