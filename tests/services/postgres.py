"""A PostgreSQL server of Debian's package for one test run: a unix socket in a folder of its own, ended by its pid.

It is set up as `deploy/postgres/amity.conf` has it.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_DEBIAN = Path("/usr/lib/postgresql")
_USER = "postgres"
_CONFIG = Path(__file__).resolve().parents[2] / "deploy/postgres/amity.conf"


def why_missing() -> str:
    """Why no server can be started here; empty when one can."""
    if _program("initdb") is None or _program("postgres") is None:
        return "PostgreSQL is not installed: apt-get install postgresql"
    if os.geteuid() == 0 and _USER not in {entry.pw_name for entry in pwd.getpwall()}:
        return "PostgreSQL does not run as root, and there is no user postgres: apt-get install postgresql"
    return ""


class Server:
    """One that runs; `url` is that of its database `postgres`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes]
        self.url = f"postgresql://amity@/postgres?host={folder}"

    @property
    def pid(self) -> int:
        """Of the process that all others of the server are children of."""
        return self._process.pid

    def start(self) -> None:
        """Run it, and wait until it takes connections."""
        self._process = _start(self._folder)
        _wait_until_ready(self._folder, self._process)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Fast (SIGINT), or at once and without a word (SIGQUIT): the next start recovers from the log."""
        self._process.send_signal(how)
        self._process.wait(30)


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """A fresh database cluster."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _USER, _USER)
        _run("initdb", "--pgdata", str(folder / "data"), "--auth=trust", "--username=amity", "--encoding=UTF8")
        with (folder / "data/postgresql.conf").open("a") as settings:
            settings.write(_CONFIG.read_text())
        running = Server(folder)
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path) -> subprocess.Popen[bytes]:
    arguments = [_program("postgres"), "-D", str(folder / "data"), "-k", str(folder), "-c", "listen_addresses="]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(arguments, stdout=log, stderr=log, **_as_nobody_special())  # noqa: S603 - a server of Debian's package


def _wait_until_ready(folder: Path, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if subprocess.run([_program("pg_isready"), "-h", str(folder), "-q"], check=False).returncode == 0:  # noqa: S603 - a server of Debian's package
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError((folder / "log").read_text())


def _run(program: str, *arguments: str) -> None:
    subprocess.run([_program(program), *arguments], check=True, stdout=subprocess.DEVNULL, **_as_nobody_special())  # noqa: S603 - a server of Debian's package


def _as_nobody_special() -> dict[str, object]:
    """PostgreSQL refuses to run as root."""
    return {"user": _USER, "group": _USER, "cwd": "/"} if os.geteuid() == 0 else {}


def _program(name: str) -> str | None:
    """The newest of Debian's versions, which are not on PATH, else what is."""
    versions = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(versions[-1]) if versions else shutil.which(name)
