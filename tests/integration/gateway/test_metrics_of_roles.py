"""Roles of a running installation, scraped as Prometheus does; without a port they serve none."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from amity.runtime.settings import BrokerSettings, HeadendSettings, MdmSettings, Settings, dump

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@contextmanager
def serving(folder: Path, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "amity.toml").write_text(dump(settings))
    command = [sys.executable, "-m", "amity.cli", "serve", "--dir", str(folder), "--roles", "broker,headend,mdm"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def page(port: int, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None, "the roles ended"
        assert time.monotonic() < deadline, "no metrics were served"
        try:
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                return str(answer.read().decode())
        except (URLError, ConnectionError):
            time.sleep(0.2)


def test_each_role_serves_its_own_page_on_loopback(tmp_path: Path) -> None:
    broker, push, headend, mdm = free_ports(4)
    settings = Settings(
        headend=HeadendSettings(metrics_port=headend, push_port=push),
        mdm=MdmSettings(metrics_port=mdm),
        broker=BrokerSettings(port=broker),
    )
    with serving(tmp_path, settings) as process:
        of_headend, of_mdm = page(headend, process), page(mdm, process)
    assert 'amity_jobs_waiting{priority="on-demand"} 0.0' in of_headend
    assert "amity_database_readable 1.0" in of_headend
    assert "amity_deliveries_known_total 0.0" in of_mdm
    assert "amity_jobs_waiting" not in of_mdm
    assert all("process_cpu_seconds_total" in text for text in (of_headend, of_mdm))
