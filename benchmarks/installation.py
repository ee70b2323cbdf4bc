"""An installation that reads the workload's meters by its real roles, each a process of its own, with clocks to set."""

import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from amity.headend.provisioning import read_fleet_document
from amity.runtime.fleet.provisioning import provision_fleet
from amity.runtime.folder import Folder
from amity.runtime.roles.serving import Role
from amity.runtime.settings import BrokerSettings, HeadendSettings, Settings, dump
from benchmarks import meters, workload
from benchmarks.roles import RunningRole, cpu_of, running

MODEL = "benchmark"
CAPTURED = 5
"""The clock and four channels."""
_PROFILE = """\
inherit = "base"
manufacturer = "Benchmark"
basis = "invented"

[association]
authentication = "hls-gmac"
ciphering = "glo"
protection = "authenticated-encrypted"

[load_profile]
stamp = "start"
columns = ["clock", "import_total", "export_total", "reactive_total", "reactive_export_total"]

[objects.reactive_export_total]
class_id = 3
obis = "1.0.4.8.0.255"
quantity = "reactive-import"
form = "total"
type = "double-long-unsigned"
scaler = 0
unit = "varh"
"""
_STARTED_S = 60.0
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Installation:
    """The folder, the processes by role, and the broker's own server."""

    folder: Folder
    roles: dict[Role, RunningRole]
    nats_pid: int

    def put_clocks(self, instant: datetime) -> None:
        """Those of the roles; the meters' are set by who serves them."""
        for role in self.roles.values():
            role.set(instant)

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far by role; the broker's are those of the nats-server and of the process that watches it."""
        spent = {role.value: one.cpu_s for role, one in self.roles.items()}
        spent[Role.BROKER.value] += cpu_of(self.nats_pid)
        return spent


def lay_down(root: Path, ports: list[int], *, concurrency: int, timeout_s: float = 5.0) -> Folder:
    """Settings, profile, fleet and keys."""
    folder = Folder(root)
    folder.create()
    folder.profiles.mkdir()
    (folder.profiles / f"{MODEL}.toml").write_text(_PROFILE, encoding="utf-8")
    settings = Settings(
        headend=HeadendSettings(
            concurrency=concurrency, poll_interval_s=_DAY_S, backfill_days=1, push_port=free_port(), lease_s=300,
            request_timeout_s=timeout_s, connect_timeout_s=timeout_s,
        ),
        broker=BrokerSettings(port=free_port()),
    )  # fmt: skip
    folder.settings.write_text(dump(settings), encoding="utf-8")
    entries = [_entry(number, port) for number, port in enumerate(ports)]
    provision_fleet(folder, settings.headend, read_fleet_document(entries))
    return folder


def _entry(number: int, port: int) -> dict[str, object]:
    return {
        "logical_device_name": meters.name_of(number), "profile": MODEL, "host": "127.0.0.1", "port": port,
        "framing": "wrapper", "client": workload.CLIENT, "server": workload.SERVER, "auth": "hls-gmac",
        "system_title": workload.METER_TITLE.hex(), "guek": workload.GUEK.hex(), "gak": workload.GAK.hex(),
    }  # fmt: skip


@contextmanager
def served(folder: Folder, at: datetime) -> Iterator[Installation]:
    """Broker, MDM and head-end, in that order, while the block lasts."""
    with ExitStack() as stack:
        roles = {Role.BROKER: stack.enter_context(running(folder.root, Role.BROKER, at))}
        pid_file = folder.broker / "nats-server.pid"
        wait_for(lambda: pid_file.exists() and (folder.broker / "ot.secret").exists(), "the broker", _STARTED_S)
        wait_for(lambda: _stands(folder), "the stream", _STARTED_S)
        roles[Role.MDM] = stack.enter_context(running(folder.root, Role.MDM, at))
        wait_for(folder.it_database.exists, "the IT zone's database", _STARTED_S)
        roles[Role.HEADEND] = stack.enter_context(running(folder.root, Role.HEADEND, at))
        yield Installation(folder, roles, int(pid_file.read_text(encoding="ascii")))


def _stands(folder: Folder) -> bool:
    with suppress(OSError):  # the server is making these folders
        return any((folder.broker / "jetstream").rglob("meta.inf"))
    return False


def wait_for(condition: object, what: str, limit_s: float) -> None:
    """Look until it holds; raise SystemExit when it does not in time."""
    assert callable(condition)  # noqa: S101
    until = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"waited {limit_s:g} s for {what}")
        time.sleep(0.05)


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def look(path: Path, query: str, *values: object) -> list[tuple[object, ...]]:
    """Rows of a database that another process writes; none while it has no such table."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(query, values).fetchall()
    except sqlite3.OperationalError:
        return []
