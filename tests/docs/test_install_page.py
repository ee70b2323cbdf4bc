"""docs/install.md: its keys, paths, options and messages are the real ones, and its walk through a folder runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from amity.cli.main import app
from amity.runtime.gateway.file import GatewayFile, WorkerPool
from amity.runtime.install.layout import Place, pieces
from amity.runtime.logs.remedies import REMEDIES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "install.md").read_text("utf-8")
HANGS_AFTER_S = 600
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_key_of_the_configuration_stands_on_the_page_and_in_the_file():
    (file,) = (piece for piece in pieces(Place()) if piece.path.endswith("dlms_config.yaml"))
    for key in (*GatewayFile.model_fields, *WorkerPool.model_fields):
        assert f"`{key}`" in PAGE or f"`{key}:" in PAGE
        assert re.search(rf"^\s*#?\s*{key}:", file.text, re.MULTILINE), key


def test_every_path_that_is_laid_down_stands_on_the_page():
    assert [piece.path for piece in pieces(Place()) if piece.path.rpartition("/")[2] not in PAGE] == []


def test_the_four_messages_stand_on_the_page():
    assert [words for words in REMEDIES if f"`{words}`" not in PAGE] == []


def test_every_command_of_the_page_exists_with_its_options():
    program = typer.main.get_command(app)
    commands = [line.split() for block in BLOCKS for line in re.findall(r"(?:^|\s)amity ([^|&#\n]+)", block)]
    assert len(commands) > 10
    for words in commands:
        command = program
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        known = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, words


@pytest.mark.slow
def test_the_walk_through_a_folder_runs_as_it_stands(tmp_path: Path):
    (walk,) = (block for block in BLOCKS if "--root gateway" in block)
    program = tmp_path / "bin" / "amity"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m amity.cli "$@"\n')
    program.chmod(0o755)
    places = {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}
    told = subprocess.run(  # noqa: S603 - our own page
        ["/bin/sh", "-e", "-c", walk], cwd=tmp_path, env={**os.environ, **places}, capture_output=True, text=True,
        check=False, timeout=HANGS_AFTER_S,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert any(line.startswith("OBIS Code 1.0.1.8.0.255") for line in lines)
    assert "1" in lines  # grep's count
    assert any(line.startswith("removed ") for line in lines)
