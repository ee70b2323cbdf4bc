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
