import os
from pathlib import Path

import pytest

from amity.kernel.errors import ConfigurationError
from amity.runtime.settings import HeadendSettings, Settings, dump, load


def test_a_missing_file_means_all_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "amity.toml") == Settings()


def test_what_is_dumped_is_loaded_again(tmp_path: Path) -> None:
    settings = Settings(headend=HeadendSettings(concurrency=7, push_host='odd"name\\'))
    path = tmp_path / "amity.toml"
    path.write_text(dump(settings))
    assert load(path) == settings


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[headend]\nconcurrency = 0\n", "headend.concurrency"),
        ("[headend]\nconcurency = 5\n", "headend.concurency"),
        ("[head\n", "cannot be read"),
        ("[web]\nport = 70000\n", "web.port"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "amity.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert named in caught.value.what
    assert caught.value.next_step


def test_a_password_is_not_for_all_to_read(tmp_path: Path) -> None:
    path = tmp_path / "amity.toml"
    for url in ("postgresql://amity:q@db.example/amity", "postgresql://amity@db.example/amity?password=q"):
        path.write_text(f'[headend]\ndatabase_url = "{url}"\n')
        path.chmod(0o644)
        with pytest.raises(ConfigurationError) as caught:
            load(path)
        assert caught.value.next_step == f"chmod 600 {path}"
        path.chmod(0o600)
        assert load(path).headend.database_url == url
    path.write_text('[headend]\ndatabase_url = "postgresql://amity@db.example/amity"\n')
    path.chmod(0o644)
    assert load(path).headend.database_url, "nothing to hide"


def test_two_keys_with_one_port_are_refused(tmp_path: Path) -> None:
    (tmp_path / "amity.toml").write_text("[headend]\npush_port = 4222\n")
    with pytest.raises(ConfigurationError, match=r"headend.push_port and broker.port are both 4222") as caught:
        load(tmp_path / "amity.toml")
    assert caught.value.next_step == "give broker.port a port of its own"
    (tmp_path / "amity.toml").write_text("[headend]\nmetrics_port = 0\n[mdm]\nmetrics_port = 0\n")
    assert load(tmp_path / "amity.toml") == Settings()


def test_what_is_nested_too_deeply_is_refused(tmp_path: Path):
    path = tmp_path / "amity.toml"
    path.write_text("a=" + "[" * 5000 + "]" * 5000)
    with pytest.raises(ConfigurationError) as refused:
        load(path)
    assert "nested too deeply" in (refused.value.answer or "")


def test_a_pipe_in_its_place_holds_nobody_up(tmp_path: Path):
    os.mkfifo(tmp_path / "amity.toml")
    with pytest.raises(ConfigurationError, match="no regular file"):
        load(tmp_path / "amity.toml")
