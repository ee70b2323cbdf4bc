"""An empty Debian with systemd as its first process: what a newcomer has who begins with a fresh virtual machine.

The system is made once by debootstrap and kept in .cache; each machine writes into a layer of its own over it. It has
no network but its loopback: what pip installs comes from a folder of wheels, also kept in .cache.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = ROOT / ".cache" / "machine"
PATIENCE_S: Final = 120.0
SUITE: Final = "bookworm"
USER: Final = "newcomer"
SOURCES: Final = "/mnt/amity"
WHEELS: Final = "/mnt/wheels"
PACKAGES: Final = ("systemd", "systemd-sysv", "dbus", "sudo", "logrotate", "iproute2", "procps")
"""What every fresh machine has."""
FETCHED: Final = ("git", "openssl", "python3.11", "python3.11-venv")
"""What the page has installed by apt-get: it lies in the machine's package cache, for there is no network."""

_NEEDED: Final = ("debootstrap", "systemd-nspawn", "nsenter", "unshare", "git")
_BOOT: Final = """set -e
lower=$1 layer=$2 group=$3; shift 3
mkdir -p "$layer/up" "$layer/work" "$layer/root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$layer/up,workdir=$layer/work" "$layer/root"
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
  umount -lR /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
ulimit -n 1048576 2> /dev/null || true  # as a host's systemd has it, where this root may
mkdir -p "/sys/fs/cgroup/$group"
echo $$ > "/sys/fs/cgroup/$group/cgroup.procs"
exec systemd-nspawn --quiet --boot --directory="$layer/root" --register=no --keep-unit --private-network \
  --console=pipe --machine="$group" "$@"
"""
"""In a mount namespace of its own, so that nothing of it outlives the machine."""
_WANTS_TO_BE_STARTED_AGAIN: Final = 133
"""How systemd-nspawn ends whose machine reboots."""


class Machine:
    """One that runs; commands are given to it as the newcomer, who may use sudo."""

    def __init__(self, layer: Path, source: Path) -> None:
        """Switch it on; what it writes goes into `layer`."""
        self._layer = layer
        self._group = f"amity-{os.getpid()}"
        binds = (f"--bind-ro={source}:{SOURCES}", f"--bind-ro={_wheels(source)}:{WHEELS}")
        own_namespace = ("unshare", "--mount", "--propagation=private", "sh", "-c", _BOOT, "sh")
        self._command = [*own_namespace, str(_debian()), str(layer), self._group, *binds]
        self._switch_on()

    def run(self, script: str, *, check: bool = True, patience_s: float = PATIENCE_S) -> str:
        """Run a shell script as the newcomer, in his home; both of its outputs.

        Raise AssertionError with them when it fails.
        """
        with tempfile.TemporaryFile("w+") as said:  # a pipe would be held open by what the script leaves running
            done = subprocess.run(  # noqa: S603 - our own script
                [*self._inside(), "runuser", "--login", USER, "--command", script],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False, timeout=patience_s,
            )  # fmt: skip
            said.seek(0)
            told = said.read()
        assert not check or done.returncode == 0, f"{script}\n{told}"
        return told

    def until(self, condition: str, *, patience_s: float = PATIENCE_S) -> str:
        """Wait for a script to succeed; what it said then."""
        deadline = time.monotonic() + patience_s
        while True:
            told = subprocess.run(  # noqa: S603 - our own script
                [*self._inside(), "sh", "-c", condition], capture_output=True, text=True, check=False
            )
            if told.returncode == 0:
                return told.stdout
            assert time.monotonic() < deadline, f"never: {condition}\n{told.stdout}{told.stderr}"
            time.sleep(0.2)

    def property_of(self, unit: str, name: str) -> str:
        """What `systemctl show` says of a unit."""
        return self.run(f"systemctl show {unit} --property={name} --value").strip()

    def reboot(self) -> None:
        """Restart it, and wait until it is up again."""
        self.run("sudo systemctl reboot", check=False)
        assert self._process.wait(PATIENCE_S) == _WANTS_TO_BE_STARTED_AGAIN, self.console
        self._switch_on()
        self.wait_until_up()

    def switch_off(self) -> None:
        """Have it powered off, and leave nothing."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._layer, ignore_errors=True)
        for group in (Path("/sys/fs/cgroup") / self._group, Path("/sys/fs/cgroup/unified") / self._group):
            for below in sorted(group.glob("**/"), reverse=True):
                below.rmdir()

    def wait_until_up(self) -> None:
        """Return when all units that belong to a start were started, well or not."""
        _wait(lambda: self.ended or self._leader() is not None, "no first process")
        self.until("systemctl is-system-running | grep -Eqx 'running|degraded'")

    @property
    def ended(self) -> bool:
        """True when nspawn is gone."""
        return self._process.poll() is not None

    @property
    def console(self) -> str:
        """The last that was said while it started."""
        return (self._layer / "console").read_text(errors="replace")[-400:]

    def _switch_on(self) -> None:
        with (self._layer / "console").open("wb") as console:
            self._process = subprocess.Popen(  # noqa: S603 - our own script
                self._command, stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )

    def _inside(self) -> list[str]:
        return [
            "nsenter",
            f"--target={self._leader()}",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--root",
            "--wd",
        ]

    def _leader(self) -> int | None:
        """The machine's first process; None while there is none."""
        assert not self.ended, f"the machine ended: {self.console}"
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0]) if children else None


def _wait(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)


@contextmanager
def booted(layer: Path, source: Path) -> Iterator[Machine]:
    """A machine with the sources at /mnt/amity and wheels for pip; skip with the reason where there can be none."""
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        why = f"missing: {', '.join(missing)}" if missing else "not root"
        pytest.skip(f"a machine needs root and apt-get install debootstrap systemd-container; {why}")
    machine = Machine(layer, source)
    try:
        _first_words(machine)
        yield machine
    finally:
        machine.switch_off()


def _first_words(machine: Machine) -> None:
    try:
        machine.wait_until_up()
    except AssertionError:
        if not machine.ended:
            raise
        pytest.skip(f"systemd-nspawn does not boot here: {machine.console}")


# ------------------------------------------------------------------ what is kept in .cache
def _debian() -> Path:
    """The system, made anew when it is to consist of something else."""
    wanted = json.dumps([SUITE, PACKAGES, FETCHED])
    place, mark = CACHE / SUITE, CACHE / f"{SUITE}.json"
    if mark.exists() and mark.read_text() == wanted:
        return place
    shutil.rmtree(place, ignore_errors=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    made = _ran("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, place)
    if "Failed getting release file" in made.stdout:
        pytest.skip("debootstrap reaches no Debian mirror")
    assert made.returncode == 0, made.stdout
    _settle(place)
    mark.write_text(wanted)
    return place


def _settle(place: Path) -> None:
    """A person who may use sudo, packages at hand, and pip told where wheels are."""
    assert _ran("chroot", place, "useradd", "--create-home", "--shell", "/bin/sh", USER).returncode == 0
    fetched = _ran("chroot", place, "apt-get", "install", "--yes", "--download-only", *FETCHED)
    assert fetched.returncode == 0, fetched.stdout
    for path, text in (
        ("etc/sudoers.d/newcomer", f"{USER} ALL=(ALL) NOPASSWD: ALL\n"),
        ("etc/gitconfig", "[safe]\n\tdirectory = *\n"),
        ("etc/pip.conf", f"[global]\nno-index = true\nfind-links = {WHEELS}\ndisable-pip-version-check = true\n"),
        ("etc/hostname", "gateway\n"),
        ("etc/hosts", "127.0.0.1 localhost gateway\n::1 localhost\n"),
    ):
        (place / path).write_text(text)


def _wheels(source: Path) -> Path:
    """What is pinned for building and running, fetched once for each lock."""
    locks = [source / "requirements" / name for name in ("build.txt", "runtime.txt")]
    place = CACHE / f"wheels-{hashlib.sha256(b''.join(map(Path.read_bytes, locks))).hexdigest()[:12]}"
    if not place.exists():
        unfinished = place.with_suffix(".unfinished")
        wanted = [word for lock in locks for word in ("-r", lock)]
        fetch = (sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes")
        fetched = _ran(*fetch, *wanted, "--dest", unfinished)
        if fetched.returncode != 0:
            pytest.skip(f"wheels cannot be fetched: {fetched.stdout[-400:]}")
        unfinished.replace(place)
    return place


def sources_as_a_repository(place: Path) -> Path:
    """This checkout as it is now, edits and all, as a git repository with one commit."""
    listed = _ran("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    assert listed.returncode == 0, listed.stdout
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place / name)
    who = ("-c", "user.name=newcomer", "-c", "user.email=newcomer@localhost")
    for words in (("init", "--quiet"), ("add", "--all"), (*who, "commit", "--quiet", "--message", "as it is now")):
        done = _ran("git", "-C", place, *words)
        assert done.returncode == 0, done.stdout
    return place


def _ran(program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own words
        [shutil.which(program) or program, *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
