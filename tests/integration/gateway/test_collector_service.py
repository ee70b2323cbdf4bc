"""The unit's ExecStart run by hand, with a test in the place of systemd."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from amity.cli.main import app
from amity.runtime.processes.service_user import become_owner_of
from amity.runtime.system import SystemClock
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.simulation.serving import serve_fleet
from tests.unit.cli.in_a_thread import serving
from tests.unit.runtime.installed import edit, lay_down

pytestmark = pytest.mark.slow
PATIENCE_S = 60.0
SOURCES = Path(__file__).resolve().parents[3] / "src"


class Systemd:
    """Listens on NOTIFY_SOCKET and remembers what was said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(0.1)
        self.said: list[str] = []

    def listen(self) -> None:
        """Take what there is."""
        try:
            while True:
                self.said += self.socket.recv(4096).decode().splitlines()
        except TimeoutError:
            return

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, self.said
            self.listen()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    listening = Systemd(tmp_path / "notify")
    yield listening
    listening.socket.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    configuration = lay_down(tmp_path)
    edit(configuration, "port: 4059", f"port: {free_port()}")
    edit(configuration, "port: 4222", f"port: {free_port()}")
    edit(configuration, "poll_interval: 60", "poll_interval: 5")
    return configuration


def exec_start(configuration: Path) -> list[str]:
    """As the unit has it, with the program of this checkout and the folder of this test."""
    unit = (configuration.parent / "systemd/system/ami-collector.service").read_text()
    (line,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    program, *words = shlex.split(line.removeprefix("ExecStart="))
    assert program == "/opt/amity/bin/amity"
    return [sys.executable, "-m", "amity.cli", *(str(configuration) if "/etc/" in word else word for word in words)]


@contextmanager
def started(configuration: Path, systemd: Systemd, **environment: str) -> Iterator[subprocess.Popen[str]]:
    words = {"NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": "600000", "PYTHONPATH": str(SOURCES), **environment}
    process = subprocess.Popen(  # noqa: S603 - our own program
        exec_start(configuration), env={**os.environ, **words}, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def test_it_says_when_it_is_ready_alive_and_stopping_and_ends_with_status_0(configuration: Path, systemd: Systemd):
    with started(configuration, systemd) as process:
        systemd.until(lambda: "READY=1" in systemd.said)
        assert "STATUS=serving broker, headend" in systemd.said
        systemd.until(lambda: systemd.said.count("WATCHDOG=1") > 3)
        process.send_signal(signal.SIGHUP)
        fed = systemd.said.count("WATCHDOG=1")
        systemd.until(lambda: systemd.said.count("WATCHDOG=1") > fed + 1)
        assert process.poll() is None
        process.terminate()
        systemd.until(lambda: "STOPPING=1" in systemd.said)
        assert process.wait(PATIENCE_S) == 0


def test_the_watchdog_hears_nothing_of_a_process_that_hangs(configuration: Path, systemd: Systemd):
    with started(configuration, systemd) as process:
        systemd.until(lambda: "READY=1" in systemd.said)
        process.send_signal(signal.SIGSTOP)
        systemd.until(lambda: state_of(process.pid) == "T")
        systemd.listen()
        fed = systemd.said.count("WATCHDOG=1")
        time.sleep(0.6)
        systemd.listen()
        assert systemd.said.count("WATCHDOG=1") == fed


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("trouble", ["mode", "key", "mapping", "private key"])
def test_a_configuration_that_a_person_must_mend_ends_it_with_status_2(
    configuration: Path, systemd: Systemd, trouble: str
):
    """The unit has RestartPreventExitStatus=2."""
    open_to_others = {"mode": "dlms_config.yaml", "mapping": "mapping.json", "private key": "certs/ami_service.key"}
    if trouble in open_to_others:
        path = configuration / open_to_others[trouble]
        path.touch()
        path.chmod(0o644)
    else:
        edit(configuration, "client_address: 1", "client_adress: 1")
    with started(configuration, systemd) as process:
        _, complaint = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 2
    assert ("did you mean client_address?" if trouble == "key" else f"chmod 600 {path}") in complaint.replace("\n", "")
    systemd.listen()
    assert systemd.said == []


def test_a_round_of_the_service_is_in_ingest_log_and_its_own_errors_in_error_log(
    configuration: Path, systemd: Systemd, tmp_path: Path
):
    fleet = build_fleet(FleetSettings(meters=2, seed=3, anchor=SystemClock().now()))
    ingest = tmp_path / "var/log/ami/ingest.log"
    with serving(lambda: serve_fleet(fleet, clock=SystemClock())) as document:
        file = tmp_path / "fleet.json"
        file.write_text(json.dumps(document))
        add = ["meter", "add", "--fleet", str(file), "--config", str(configuration)]
        assert CliRunner().invoke(app, add, catch_exceptions=False).exit_code == 0
        with started(configuration, systemd) as process:
            systemd.until(lambda: ingest.exists() and ingest.read_text().count("OBIS Code 1.0.1.8.0.255") >= 2)
            (configuration / "mapping.json").write_text("{")
            errors = tmp_path / "var/log/ami/error.log"
            systemd.until(lambda: "mapping refused" in errors.read_text())
            process.terminate()
            process.communicate(timeout=PATIENCE_S)
    assert "correlation=" in ingest.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("belongs", ["configuration", "state", "both"])
def test_root_goes_on_as_the_owner_of_the_installation_for_good(tmp_path: Path, belongs: str):
    """What somebody else wrote into the configuration is never done as root."""
    configuration, state = tmp_path / "dlms_config.yaml", tmp_path / "state"
    configuration.touch()
    state.mkdir()
    for path, uid in ((configuration, 12345), (state, 12345 if belongs == "state" else 54321)):
        if belongs in {"both", path.stem} or (belongs == "configuration" and path == configuration):
            os.chown(path, uid, uid)
    child = os.fork()
    if child == 0:
        become_owner_of(configuration, state)
        try:
            os.setuid(0)
        except PermissionError:
            os._exit(0 if (os.geteuid(), os.getegid()) == (12345, 12345) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
