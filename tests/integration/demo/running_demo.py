"""A real `amity demo` as a child process, its parts by process id, and what is true about its meters."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from amity.cli.demo.folder import Story
from amity.cli.demo.utility import fleet_of
from amity.simulation.fleet import Fleet

START_S_MAX = 60


@dataclass
class RunningDemo:
    """The demo's folder, process and first document."""

    folder: Path
    process: subprocess.Popen[str]
    document: dict[str, Any]

    def parts(self) -> dict[str, int]:
        """Process ids by what they are: broker, headend, mdm, web, simulator and nats-server."""
        found: dict[str, int] = {}
        for pid in _descendants(self.process.pid):
            words = _command(pid)
            if "--roles" in words:
                found[words[words.index("--roles") + 1]] = pid
            elif "simulate" in words:
                found["simulator"] = pid
            elif words and words[0].endswith("nats-server"):
                found["nats-server"] = pid
        return found

    def kill(self, part: str) -> int:
        """`kill -9`; return the process id that is gone."""
        pid = wait_for(lambda: self.parts().get(part), f"{part} to run")
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self) -> int:
        """Ctrl-C; return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    @property
    def fleet(self) -> Fleet:
        """The simulated truth, from what the folder remembers."""
        stored = json.loads((self.folder / "demo.json").read_text())
        return fleet_of(Story(**(stored | {"anchor": datetime.fromisoformat(stored["anchor"])})))


@contextmanager
def running_demo(folder: Path, *words: str) -> Iterator[RunningDemo]:
    """Start a demo in a folder; nothing of it is left afterwards, however the test ends."""
    command = [sys.executable, "-m", "amity.cli", "demo", "--dir", str(folder), "--json", *words]
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stderr
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield RunningDemo(folder, process, json.loads(line))
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()


def wait_for(look: Callable[[], Any], what: str, seconds: float = START_S_MAX) -> Any:
    """What `look` gives as soon as it is true; fail with the name of what did not come."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds:g} s for {what}")


def _descendants(pid: int) -> Iterator[int]:
    try:
        children = [
            int(word)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for word in (task / "children").read_text().split()
        ]
    except OSError:
        return
    for child in children:
        yield child
        yield from _descendants(child)


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    except OSError:
        return []
