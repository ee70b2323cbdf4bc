import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from amity.cli.demo.folder import remembered_story, usual_directory
from amity.kernel.errors import ConfigurationError
from amity.runtime.folder import Folder

NOW = datetime(2026, 11, 20, 6, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    made = Folder(Path("amity-demo"))
    made.create()
    return made


def told(folder: Folder, **wanted: int | None) -> tuple[int, int]:
    options = {"meters": None, "seed": None, **wanted}
    story = remembered_story(folder, **options, now=NOW, tell=lambda _: None)  # type: ignore[arg-type]
    return story.meters, story.seed


def test_a_story_is_the_same_when_it_is_told_again(folder: Folder) -> None:
    assert told(folder, meters=3, seed=9) == (3, 9)
    assert told(folder) == (3, 9)
    with pytest.raises(ConfigurationError, match="--meters 3, not 4"):
        told(folder, meters=4)


def test_another_town_lives_beside_the_first(folder: Folder) -> None:
    assert usual_directory(50, None) == Path("amity-demo")
    told(folder, meters=200, seed=1)
    assert usual_directory(None, None) == usual_directory(200, 1) == Path("amity-demo")
    assert usual_directory(50, None) == Path("amity-demo-meters-50")
    assert usual_directory(50, 7) == Path("amity-demo-meters-50-seed-7")


@pytest.mark.parametrize("text", ["", "{}", "[1]", json.dumps({"meters": 3})])
def test_a_damaged_story_is_said_and_nothing_is_thrown_away(folder: Folder, text: str) -> None:
    (folder.root / "demo.json").write_text(text)
    with pytest.raises(ConfigurationError, match="damaged") as caught:
        told(folder)
    assert "delete" not in (caught.value.next_step or "")
    assert usual_directory(None, None) == Path("amity-demo")
