from pathlib import Path

import pytest

from amity.kernel.errors import ConfigurationError
from amity.runtime.folder import Folder, refuse_if_others_can_read, write_private


def test_each_zone_has_a_folder_of_its_own_that_others_cannot_read(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "here")
    folder.create()
    folder.create()
    assert folder.ot_database.parent != folder.it_database.parent
    for path in (folder.ot_database.parent, folder.it_database.parent, folder.broker):
        assert path.stat().st_mode & 0o077 == 0


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("in the way")
    with pytest.raises(ConfigurationError, match="cannot be used") as caught:
        Folder(tmp_path / "here").create()
    assert "--dir" in (caught.value.next_step or "")


def test_secrets_open_to_others_are_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_private(path, "{}")
    refuse_if_others_can_read(path)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError) as caught:
        refuse_if_others_can_read(path)
    assert caught.value.next_step == f"chmod 600 {path}"
