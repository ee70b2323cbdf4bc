"""An operator's tables: in force as soon as they are saved, and a bad edit changes nothing."""

from pathlib import Path

import pytest

from amity.headend.event_catalogue import EventTables

CODE = 'profiles = ["*"]\n[events]\n{code} = {{ class = "other", severity = "info", text = "{text}" }}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "events").mkdir()
    return tmp_path / "events"


def tables(folder: Path) -> EventTables:
    return EventTables(folder, folder.parent / "good")


def text_of(tables: EventTables, code: int) -> str | None:
    meaning = tables.catalogue.meaning("norrvik_n1", "standard", code)
    return None if meaning is None else meaning.text


def test_without_a_folder_the_packaged_tables_hold(tmp_path: Path) -> None:
    assert text_of(EventTables(), 1) == "power lost"
    assert text_of(tables(tmp_path / "nowhere"), 1) == "power lost"


def test_a_table_is_in_force_when_it_comes_changes_and_goes(folder: Path) -> None:
    own = tables(folder)
    assert not own.poll()
    file = folder / "own.toml"
    for text in ("fan stands still", "fan stands still again"):
        file.write_text(CODE.format(code=7001, text=text))
        assert own.poll()
        assert text_of(own, 7001) == text
    file.unlink()
    assert own.poll()
    assert text_of(own, 7001) is None


def test_a_bad_edit_is_told_and_the_last_good_table_stays_also_over_a_restart(folder: Path) -> None:
    file = folder / "own.toml"
    file.write_text(CODE.format(code=7001, text="fan stands still"))
    own = tables(folder)
    file.write_text("profiles = [")
    assert not own.poll()
    assert "own.toml is no TOML" in own.refusals["own.toml"].what
    assert text_of(own, 7001) == "fan stands still"
    again = tables(folder)
    assert text_of(again, 7001) == "fan stands still"
    assert list(again.refusals) == ["own.toml"]
    file.write_text(CODE.format(code=7001, text="mended"))
    assert again.poll()
    assert (text_of(again, 7001), again.refusals) == ("mended", {})


def test_a_table_that_was_never_good_leaves_the_others_in_force(folder: Path) -> None:
    (folder / "a.toml").write_text("nonsense")
    (folder / "b.toml").write_text(CODE.format(code=7001, text="fan stands still"))
    own = tables(folder)
    assert text_of(own, 7001) == "fan stands still"
    assert list(own.refusals) == ["a.toml"]


def test_of_two_tables_the_first_by_name_decides(folder: Path) -> None:
    (folder / "20.toml").write_text(CODE.format(code=7001, text="second"))
    (folder / "10.toml").write_text(CODE.format(code=7001, text="first"))
    assert text_of(tables(folder), 7001) == "first"
