"""An installation below a folder, as `amity install --root` lays it down, and edits of its configuration."""

from pathlib import Path

from amity.runtime.install.carry_out import put_down
from amity.runtime.install.layout import Place, pieces
from amity.runtime.install.survey import read_memory, survey


def lay_down(root: Path) -> Path:
    """Put everything but the key down; the configuration folder."""
    place = Place(root, Path("/opt/amity/bin/amity"))
    put_down(place, survey(place, pieces(place), read_memory(place)))
    return place.configuration


def edit(configuration: Path, before: str, after: str) -> None:
    """Replace one text in dlms_config.yaml, which must be there."""
    path = configuration / "dlms_config.yaml"
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
