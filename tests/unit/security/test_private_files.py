import os
from pathlib import Path

import pytest

from amity.kernel.errors import ConfigurationError, StorageError
from amity.security.private_files import check_private, read_private, write_private


def test_what_is_written_is_for_the_owner_only_and_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_private(path, "old")
    write_private(path, "new")
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_private(path, missing="-") == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["keys.json"]


def test_a_file_open_to_others_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_private(path, "{}")
    path.chmod(0o640)
    with pytest.raises(ConfigurationError) as caught:
        read_private(path, missing="-")
    assert caught.value.next_step == f"chmod 600 {path}"


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_private(tmp_path / "none", missing="start the broker first")
    assert caught.value.next_step == "start the broker first"


def test_a_folder_that_takes_no_file_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        write_private(tmp_path / "no folder" / "keys.json", "{}")


def test_a_symbolic_link_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    write_private(tmp_path / "elsewhere.json", "secret")
    (tmp_path / "keys.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ConfigurationError, match="symbolic link") as refused:
        read_private(tmp_path / "keys.json", missing="provision")
    assert "cp --remove-destination" in (refused.value.next_step or "")


def test_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keys.json", 0o600)
    for look in (read_private, check_private):
        with pytest.raises(ConfigurationError, match="no regular file"):
            look(tmp_path / "keys.json", missing="provision")
