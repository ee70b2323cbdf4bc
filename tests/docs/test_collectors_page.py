"""docs/collectors.md: its settings are the real ones, and its walk from a CA to a read meter runs as it stands."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from amity.runtime.settings import CollectorSettings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "collectors.md").read_text("utf-8")
HANGS_AFTER_S = 900
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PORTS = ("14222", "14059", "14060", "14061", "14159", "14160")


def test_every_setting_stands_on_the_page() -> None:
    assert [name for name in CollectorSettings.model_fields if f"`{name}`" not in PAGE] == []


def free_ports(count: int) -> list[str]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    numbers = [str(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return numbers


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_walk_runs_as_it_stands(tmp_path: Path) -> None:
    walk = "".join(BLOCKS).replace("--port-base 14100", "--port-base 0")
    for written, free in zip(PORTS, free_ports(len(PORTS)), strict=True):
        walk = walk.replace(written, free)
    program = tmp_path / "bin" / "amity"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m amity.cli "$@"\n')
    program.chmod(0o755)
    places = {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}
    ended = "trap 'kill $COLLECTOR $HEADEND $METERS $WAN 2>/dev/null || true' EXIT\n"
    told = subprocess.run(  # noqa: S603 - our own page
        ["/bin/sh", "-e", "-c", ended + walk], cwd=tmp_path, env={**os.environ, **places}, capture_output=True,
        text=True, check=False, timeout=HANGS_AFTER_S,
    )  # fmt: skip
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert told.returncode in {0, 143}, told.stdout + told.stderr + logs
    assert "collector DC7 with key" in told.stdout
    assert re.search(r"meter 127\.0\.0\.1:\d+: [1-9]\d* exchanges", told.stdout), told.stdout
    assert re.search(r"meter self: [1-9]\d* exchanges", told.stdout), told.stdout
    assert "linked" in told.stdout
