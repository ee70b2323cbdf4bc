import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from amity.runtime.processes.supervisor import Program, Supervisor

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
UNTIL_TOLD = """
import asyncio
from amity.runtime.processes.supervisor import until_told_to_stop
print("up", flush=True)
asyncio.run(until_told_to_stop(watch_stdin=True))
print("down", flush=True)
"""


def python(code: str, log: Path, *, restart: bool = True) -> Program:
    return Program("child", [sys.executable, "-c", code], log, restart=restart)


async def until(condition: object, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110 - what is waited for is a process, not ours to signal
            await asyncio.sleep(0.02)


async def test_a_killed_child_is_started_again_and_it_is_said(tmp_path: Path) -> None:
    said: list[tuple[str, str]] = []
    supervisor = Supervisor(lambda name, text: said.append((name, text)))
    await supervisor.start(python(SLEEPER, tmp_path / "log"))
    first = supervisor.pid("child")
    assert first
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.pid("child") not in {None, first})
    assert said
    assert "SIGKILL" in said[0][1]
    second = supervisor.pid("child")
    await supervisor.stop()
    assert second
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


async def test_a_child_that_ignores_sigterm_is_ended_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amity.runtime.processes.supervisor.STOP_GRACE_S", 0.2)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    supervisor = Supervisor(lambda *_: None)
    await supervisor.start(python(stubborn, tmp_path / "log"))
    await until(lambda: b"up" in (tmp_path / "log").read_bytes())
    pid = supervisor.pid("child")
    assert pid
    await supervisor.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_program_that_runs_once_gives_its_status(tmp_path: Path) -> None:
    supervisor = Supervisor(lambda *_: None)
    await supervisor.start(python("raise SystemExit(3)", tmp_path / "log", restart=False))
    assert await supervisor.wait("child") == 3
    await supervisor.stop()


def test_a_child_ends_by_itself_when_its_parent_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", UNTIL_TOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own interpreter
    assert child.stdin
    assert child.stdout
    assert child.stdout.readline() == b"up\n"
    child.stdin.close()
    assert child.stdout.read() == b"down\n"
    assert child.wait(10) == 0
    child.stdout.close()
