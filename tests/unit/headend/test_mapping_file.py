"""The mapping reloads while the head-end runs; a bad edit changes nothing but the refusal that everybody can read."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from amity.headend.mapping import packaged_mapping
from amity.headend.mapping_file import MappingFile
from amity.kernel.errors import ConfigurationError, StorageError

GOOD = '{"version": "%s", "rules": [{"kind": "register", "class": 3, "obis": "1.0.1.8.0.255"}]}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mapping.json"


def edit(path: Path, text: str) -> None:
    """Write and make sure that the stamp differs, also on a disk that counts whole seconds."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 2_000_000_000,) * 2)


def no_room(_self: Path, _target: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def called(file: MappingFile) -> str:
    """What the file in force calls itself."""
    return file.mapping.version.partition("+")[0]


def test_a_new_folder_gets_the_packaged_mapping_to_edit(path: Path) -> None:
    assert MappingFile(path).mapping.version == packaged_mapping().version
    assert path.exists()


def test_what_is_written_is_its_owners_alone(path: Path) -> None:
    MappingFile(path)
    (path.parent / "mapping.last-good.json").chmod(0o644)  # as an older Amity left it
    edit(path, GOOD % 2)
    assert MappingFile(path).refusal is None
    path.unlink()
    MappingFile(path)
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()} == {
        "mapping.json": "0o600", "mapping.last-good.json": "0o600",
    }  # fmt: skip


@pytest.mark.parametrize("other", [os.mkfifo, Path.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_refused_at_once_and_changes_nothing(path: Path, other: Callable[[Path], None]) -> None:
    edit(path, GOOD % 1)
    file = MappingFile(path)
    path.unlink()
    other(path)
    assert not file.poll()
    assert "no regular file" in str(file.refusal)
    again = MappingFile(path)  # a restart in the midst of it
    assert (called(file), called(again)) == ("1", "1")
    path.rmdir() if path.is_dir() else path.unlink()
    edit(path, GOOD % 2)
    assert file.poll()
    assert (called(file), file.refusal) == ("2", None)


def test_an_edit_comes_into_force_at_the_next_poll(path: Path) -> None:
    edit(path, GOOD % 1)
    file = MappingFile(path)
    assert not file.poll()
    edit(path, GOOD % 2)
    assert file.poll()
    assert (called(file), file.refusal) == ("2", None)
    assert not file.poll()


def test_a_bad_edit_is_refused_and_the_old_mapping_stays_in_force(path: Path) -> None:
    edit(path, GOOD % 1)
    file = MappingFile(path)
    edit(path, (GOOD % 2).replace('"register"', '\n"registre"'))
    assert not file.poll()
    assert called(file) == "1"
    assert file.refusal is not None
    assert "mapping.json, line 2" in file.refusal.what
    edit(path, GOOD % 3)
    assert file.poll()
    assert (called(file), file.refusal) == ("3", None)


def test_a_restart_during_a_bad_edit_goes_on_with_the_last_good_mapping(path: Path) -> None:
    edit(path, GOOD % 1)
    MappingFile(path)
    edit(path, "{")
    restarted = MappingFile(path)
    assert called(restarted) == "1"
    assert restarted.refusal is not None


def test_a_bad_mapping_without_any_good_one_before_does_not_start(path: Path) -> None:
    edit(path, "{")
    with pytest.raises(ConfigurationError, match="line 1"):
        MappingFile(path)


def test_a_file_that_vanishes_leaves_the_mapping_in_force(path: Path) -> None:
    edit(path, GOOD % 1)
    file = MappingFile(path)
    path.unlink()
    assert not file.poll()
    assert called(file) == "1"
    assert "mapping.json is gone" in str(file.refusal)
    edit(path, GOOD % 1)
    assert not file.poll()  # nothing else is in force
    assert file.refusal is None


def test_a_full_disk_does_not_make_a_good_edit_forgotten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(path, GOOD % 1)
    file = MappingFile(path)
    edit(path, GOOD % 2)
    with monkeypatch.context() as full:
        full.setattr(Path, "replace", no_room)
        assert not file.poll()
        assert isinstance(file.refusal, StorageError)
    assert file.poll()
    assert (called(file), file.refusal) == ("2", None)


def test_octets_that_are_no_text_are_refused(path: Path) -> None:
    edit(path, GOOD % 1)
    file = MappingFile(path)
    path.write_bytes(b"\xff\xfe\x00")
    assert not file.poll()
    assert "UTF-8" in str(file.refusal)


def test_a_folder_that_takes_no_file_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        MappingFile(tmp_path / "nowhere" / "mapping.json")
