"""README names the commands without `--json`; all others have it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from amity.cli.main import app

README = Path(__file__).parents[3] / "README.md"


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def test_readme_is_right_about_who_prints_json() -> None:
    without = {
        name
        for name, command in commands(typer.main.get_command(app))
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    (told,) = re.findall(r"All have `--json` but for (.*?)\.\s", README.read_text(encoding="utf-8"))
    assert set(re.findall(r"`(.*?)`", told)) == without
