import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from amity.cli.main import app
from amity.devices.profiles import field_keys
from amity.kernel.errors import ConfigurationError
from tests.unit.devices.invented import INVENTED


def run(*argv: str) -> Result:
    return CliRunner().invoke(app, ["profile", *argv], catch_exceptions=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "quetzal.toml").write_text(INVENTED, "utf-8")
    (tmp_path / "child.toml").write_text('inherit = "quetzal"\nmodel = "QZ-2"\n[association]\nclient = "x"\n', "utf-8")
    return tmp_path


def test_a_sound_file_is_summed_up_in_a_sentence(folder: Path):
    result = run("check", str(folder / "quetzal.toml"))
    assert result.exit_code == 0
    assert "Quetzal Contadores QZ-1: client 3 to server 1, hls-gmac" in result.stdout


def test_mistakes_come_with_line_and_status(folder: Path):
    result = run("check", str(folder / "child.toml"))
    assert result.exit_code == 2
    assert result.stdout.startswith("child.toml:4: association.client: must be a whole number")


def test_mistakes_as_json(folder: Path):
    (mistake,) = json.loads(run("check", str(folder / "child.toml"), "--json").stdout)
    assert (mistake["line"], mistake["key"]) == (4, "association.client")


def test_the_list_has_ours_and_the_own_ones(folder: Path):
    (folder / "child.toml").unlink()
    listed = {facts["profile"]: facts for facts in json.loads(run("list", "--profiles", str(folder), "--json").stdout)}
    assert set(listed) == {*field_keys(), "quetzal"}
    assert listed["quetzal"]["basis"] == "invented"
    assert "kaifa" in run("list").stdout


def test_a_profile_is_shown_as_it_is_written():
    assert run("show", "kaifa").stdout.startswith("# Kaifa")


@pytest.mark.parametrize("argv", [("check", "/nowhere/x.toml"), ("list", "--profiles", "/nowhere"), ("show", "../x")])
def test_what_is_not_there_is_refused(argv: tuple[str, ...]):
    with pytest.raises(ConfigurationError):
        run(*argv)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path):
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="cannot be read as text"):
        run("check", str(tmp_path / "x.toml"))


@pytest.mark.parametrize("spoilt", [b"\xff\xfe\x00", b"#" * (300 << 10), b"= nonsense", b'inherit = "nosuch"'])
def test_a_spoilt_neighbour_is_named_and_spoils_no_other(folder: Path, spoilt: bytes):
    (folder / "child.toml").write_bytes(spoilt)
    assert run("check", str(folder / "quetzal.toml")).exit_code == 0
    listing = run("list", "--profiles", str(folder), "--json")
    assert {facts["profile"] for facts in json.loads(listing.stdout)} == {*field_keys(), "quetzal"}
    (named,) = listing.stderr.splitlines()
    assert named.startswith("not usable: ")
    assert "child.toml" in named
    assert listing.exit_code == 2


@pytest.mark.parametrize("spoilt", [b"\xff\xfe\x00", b"= nonsense", b'inherit = "nosuch"', b'inherit = "child"'])
def test_profiles_that_cannot_be_used_are_not_among_those_known(folder: Path, spoilt: bytes):
    (folder / "child.toml").write_bytes(spoilt)
    with pytest.raises(ConfigurationError) as caught:
        run("show", "nosuch", "--profiles", str(folder))
    known = str(caught.value.next_step).removeprefix("known profiles: ").split(", ")
    assert set(known) == {*field_keys(), "quetzal"}


def test_a_file_that_does_not_end_as_profiles_do_is_said_to(folder: Path):
    (folder / "x.txt").write_text(INVENTED, "utf-8")
    with pytest.raises(ConfigurationError, match=r"x\.txt is no device profile by its name"):
        run("check", str(folder / "x.txt"))
