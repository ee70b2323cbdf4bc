from pathlib import Path

import pytest

from amity.kernel.errors import ConfigurationError
from amity.runtime.folder import Folder


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
