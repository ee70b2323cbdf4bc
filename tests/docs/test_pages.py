"""Pages about the software are read by a test: links lead somewhere, commands and targets exist."""

import re
from pathlib import Path

import pytest

from amity.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changes").glob("*.md")])
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    broken = [target for target in _LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert not broken


def test_the_readme_names_every_command_and_no_other() -> None:
    table = re.findall(r"^\| `amity ([a-z]+)", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    commands = {str(command.name or command.callback.__name__) for command in app.registered_commands}  # type: ignore[union-attr]
    groups = {str(group.name or group.typer_instance.info.name) for group in app.registered_groups}  # type: ignore[union-attr]
    assert sorted(table) == sorted(commands | groups)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", page.read_text()))
    assert named <= targets


def test_where_to_look_first_names_files_that_exist() -> None:
    table = (ROOT / "ARCHITECTURE.md").read_text().partition("## Where to look first")[2]
    places = [
        place
        for row in re.findall(r"^\|[^|]+\|([^|]+)\|", table, flags=re.MULTILINE)[2:]
        for place in re.findall(r"`([\w/.]+)`", row)
    ]
    assert len(places) > 5
    missing = [p for p in places if not ((ROOT / p).exists() or (ROOT / "src" / "amity" / p).exists())]
    assert not missing
