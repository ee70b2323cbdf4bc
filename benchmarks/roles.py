"""A role of an installation as `amity serve` runs it, in a process of its own, with a clock that can be set.

Each line on standard input is an instant (ISO 8601): the role's clock is put there and goes on from there. The line is
answered when that is done, so that a benchmark can let days pass in seconds.
Run by the benchmarks: `python -m benchmarks.roles FOLDER ROLE INSTANT`.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from amity.runtime.folder import Folder
from amity.runtime.logs.lines import configure_logs
from amity.runtime.roles import loops
from amity.runtime.roles.serving import Role, serve_roles
from amity.runtime.system import SystemClock


class _Shift:
    """How far the role's clock is from that of the machine."""

    ahead = timedelta(0)

    @classmethod
    def put(cls, instant: datetime) -> None:
        cls.ahead = instant - datetime.now(UTC)


class RunningRole:
    """The process of a role as the one who measures holds it."""

    def __init__(self, child: subprocess.Popen[str], pid: int) -> None:
        self._child = child
        self.pid = pid

    def set(self, instant: datetime) -> None:
        """Put its clock there; returns when that is done."""
        assert self._child.stdin and self._child.stdout  # noqa: S101, PT018
        self._child.stdin.write(f"{instant.isoformat()}\n")
        self._child.stdin.flush()
        self._child.stdout.readline()

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the process so far, all its threads."""
        return cpu_of(self.pid)

    @property
    def resident_octets(self) -> int:
        """Memory that the process holds now."""
        return resident_of(self.pid)


def cpu_of(pid: int) -> float:
    """CPU seconds of any process, to the nanosecond: its clock's number is made of its id (clock_getcpuclockid(3))."""
    return time.clock_gettime(~pid << 3 | 2)


def resident_of(pid: int) -> int:
    """Octets of a process that are in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def running(folder: Path, role: Role, at: datetime) -> Iterator[RunningRole]:
    """Run a role while the block lasts; ended by its own process id. Its log goes to its folder."""
    command = [sys.executable, "-m", "benchmarks.roles", str(folder), role.value, at.isoformat()]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        (folder / "logs" / f"{role.value}.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(command, stderr=log, **pipes) as child,  # noqa: S603 - this file
    ):
        try:
            assert child.stdout  # noqa: S101
            yield RunningRole(child, json.loads(child.stdout.readline()))
        finally:
            child.terminate()


def _obey() -> None:
    """In a thread: each line sets the clock."""
    for line in sys.stdin:
        _Shift.put(datetime.fromisoformat(line.strip()))
        print(line, end="", flush=True)


def main() -> None:
    """Run one role."""
    folder, role = Folder(Path(sys.argv[1])), Role(sys.argv[2])
    _Shift.put(datetime.fromisoformat(sys.argv[3]))
    SystemClock.now = lambda _self: datetime.now(UTC) + _Shift.ahead  # type: ignore[method-assign]
    configure_logs()
    print(json.dumps(os.getpid()), flush=True)
    threading.Thread(target=_obey, daemon=True).start()
    loops.run(serve_roles(folder, [role], with_parent=False))


if __name__ == "__main__":
    main()
