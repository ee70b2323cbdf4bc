import os
from pathlib import Path

import pytest

from amity.headend.calls.lines import CalledLines
from amity.kernel.errors import ConfigurationError
from amity.runtime.doors.collectors import CollectorDoor
from amity.runtime.files.profiles import catalogue_of, text_of
from amity.runtime.folder import Folder
from amity.runtime.roles.headend import _surroundings
from amity.runtime.settings import HeadendSettings
from amity.storage.ot.database import open_database
from tests.unit.devices.invented import INVENTED


def test_a_pipe_among_the_profiles_holds_nobody_up(tmp_path: Path):
    os.mkfifo(tmp_path / "quetzal.toml")
    with pytest.raises(ConfigurationError, match="no regular file"):
        catalogue_of(tmp_path).profile("quetzal")


def test_the_head_end_reads_the_operators_own_profiles(tmp_path: Path):
    folder = Folder(tmp_path)
    folder.create()
    folder.profiles.mkdir()
    (folder.profiles / "quetzal.toml").write_text(INVENTED, "utf-8")
    database = open_database(folder.ot_database)
    try:
        ways = CollectorDoor(), CalledLines()
        profile_of = _surroundings(folder, HeadendSettings(), database, b"AMI\0\0\0\0\1", *ways).profile_of
    finally:
        database.close()
    assert profile_of("quetzal").manufacturer == "Quetzal Contadores"
    assert profile_of("quetzal") is profile_of("quetzal")
    assert profile_of("norrvik_n1").flag == "NQK"


def test_a_folder_that_is_none_is_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="is no folder of device profiles"):
        catalogue_of(tmp_path / "nowhere")


def test_a_file_that_is_no_profile_by_its_size_is_refused(tmp_path: Path):
    (tmp_path / "x.toml").write_text("#" * (300 << 10), "utf-8")
    with pytest.raises(ConfigurationError, match="is longer than 262144 octets"):
        text_of(tmp_path / "x.toml")
