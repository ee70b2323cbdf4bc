"""A cluster of real programs on this machine: PostgreSQL, three nats-servers, head-end nodes, the MDM side, HAProxy.

Every process is started here and ended by its own process id; they share nothing but sockets on 127.0.0.1. All links
to and between the brokers are of TLS. Before each meter stands a tap.
"""

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from zstandard import ZstdDecompressor

from amity.domain.collection import Delivery
from amity.domain.jobs import JobKind, JobRequest, JobState, Priority
from amity.headend.jobs.ports import JobQuery
from amity.headend.provisioning import Provision, read_fleet_document
from amity.kernel.time import epoch_s, isoformat
from amity.messaging.access import CLUSTER, load_or_create_password, load_or_create_passwords
from amity.messaging.codec import ProtobufCodec
from amity.runtime.folder import Folder
from amity.runtime.settings import BrokerSettings, HeadendSettings, Settings, WebSettings, dump
from amity.runtime.system import SystemClock
from amity.simulation.faults import FaultKind
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.storage.it.database import ItDatabase
from amity.storage.it.database import open_database as open_it
from amity.storage.ot.database import OtDatabase, open_shared_database
from amity.storage.ot.keys import KeyFile
from tests.relay_certificates import Authority
from tests.services.callers import Callers
from tests.services.taps import Taps
from tests.services.truth import differences

HOST = "127.0.0.1"
BROKERS = ("broker1", "broker2", "broker3")
READINGS = (JobKind.REGISTERS, JobKind.PROFILES, JobKind.EVENTS)
LEASE_S = 15
_CALLERS = 12
_LINES_SHOWN = 15
_PORTS = range(15_000, 32_000)
_SEED = 1
_READ_BACK = timedelta(hours=23, minutes=30)
_NEVER = '[[schedule]]\nname = "never"\ncron = "0 0 29 2 *"\nread = ["ping"]\n'
_CONFIG = Path(__file__).resolve().parents[2] / "deploy/haproxy/haproxy.cfg"


def why_missing() -> str:
    """Why there can be no HAProxy here; empty when there can."""
    return "" if haproxy() else "HAProxy is not installed: apt-get install haproxy"


def haproxy() -> str | None:
    """Debian puts it where users do not look."""
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


def free_ports(count: int) -> list[int]:
    """So many different ones, below those that the system gives to whoever asks for any: they are bound much later."""
    found = filter(_is_free, random.sample(_PORTS, len(_PORTS)))
    return list(itertools.islice(found, count))


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind((HOST, port))
        return True
    return False


def listens(port: int) -> bool:
    """True when somebody takes connections there."""
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex((HOST, port)) == 0


def until(true: Callable[[], bool], what: str, limit_s: float = 90.0) -> None:
    """Wait; fail with these words when it does not come true."""
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, f"{what}: not within {limit_s:g} s"
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Shape:
    """How much there is of what; `slow` is the share of meters that take a while for each answer.

    `spares` are nodes that could be started. Without a tap the simulated meters are reached at once.
    """

    meters: int = 24
    slow: float = 0.5
    nodes: tuple[str, ...] = ("node1", "node2")
    spares: tuple[str, ...] = ()
    concurrency: int = 4
    tapped: bool = True


class Cluster:
    """The processes by name, and both databases."""

    def __init__(self, folder: Path, database_url: str, shape: Shape) -> None:
        self.folder = folder
        self.shape = shape
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._url = database_url
        names = (
            *BROKERS,
            *(f"{name}-routes" for name in BROKERS),
            *shape.nodes,
            *shape.spares,
            "web",
            "meters-bind",
            "mqtt-bind",
            "api-bind",
            "stats",
        )
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.ot: OtDatabase = open_shared_database(database_url)
        self.it: ItDatabase
        self.fleet: Provision
        self.callers = Callers(_CALLERS)
        self.taps = Taps()
        self.authority = Authority("brokers")
        self._began = SystemClock().now().replace(microsecond=0)
        self._open = contextlib.ExitStack()

    # -------------------------------------------------------------- starting
    def start(self) -> None:
        """Everything, and wait until it stands."""
        for name in (*BROKERS, *self._all_nodes, "mdm"):
            self._lay_down(name)
        self.it = open_it(self.of("mdm").it_database)
        self._start_meters()
        self.know(self.callers.provision)
        for name in BROKERS:
            self.start_role(name, "broker")
        self.start_role("mdm", "mdm,web")
        for name in self.shape.nodes:
            self.start_role(name, "headend")
        self.start_proxy()
        for name in (*self.shape.nodes, "meters-bind"):
            until(lambda name=name: listens(self.ports[name]), f"{name} listens")  # type: ignore[misc]

    @property
    def _all_nodes(self) -> tuple[str, ...]:
        return (*self.shape.nodes, *self.shape.spares)

    def of(self, name: str) -> Folder:
        """The folder of one installation."""
        return Folder(self.folder / name)

    def start_role(self, name: str, roles: str) -> None:
        """`amity serve` for one installation."""
        argv = [sys.executable, "-m", "amity.cli", "serve", "--dir", str(self.folder / name), "--roles", roles]
        self._start(name, argv)

    def start_proxy(self) -> None:
        """HAProxy with the configuration of `deploy/`, moved to our ports by its environment."""
        ports, nowhere = self.ports, f"{HOST}:9"
        places = {
            "AMITY_METERS_BIND": f"{HOST}:{ports['meters-bind']}",
            "AMITY_MQTT_BIND": f"{HOST}:{ports['mqtt-bind']}",
            **{f"AMITY_MQTT{number}": nowhere for number in (1, 2, 3)},
            "AMITY_API_BIND": f"{HOST}:{ports['api-bind']}",
            "AMITY_STATS_BIND": f"{HOST}:{ports['stats']}",
            "AMITY_NODE1": f"{HOST}:{ports['node1']}",
            "AMITY_NODE2": f"{HOST}:{ports['node2']}" if "node2" in ports else nowhere,
            "AMITY_NODE3": f"{HOST}:{ports['node3']}" if "node3" in ports else nowhere,
            "AMITY_WEB1": f"{HOST}:{ports['web']}",
            "AMITY_WEB2": nowhere,
        }
        self._start("haproxy", [str(haproxy()), "-db", "-f", str(_CONFIG)], places)

    def _lay_down(self, name: str) -> None:
        folder = self.of(name)
        folder.create()
        folder.settings.write_text(dump(self._settings(name)))
        folder.schedules.write_text(_NEVER)
        self.authority.issue(folder.certificates, None)
        if name != BROKERS[0]:
            for secret in self.of(BROKERS[0]).broker.glob("*.secret"):
                shutil.copy(secret, folder.broker)
        else:
            load_or_create_passwords(folder.broker)
            load_or_create_password(folder.broker, CLUSTER)

    def _settings(self, name: str) -> Settings:
        ports = self.ports
        servers = tuple(f"{HOST}:{ports[one]}" for one in BROKERS)
        broker = BrokerSettings(servers=servers, tls=True)
        if name in BROKERS:
            others = tuple(f"{HOST}:{ports[f'{one}-routes']}" for one in BROKERS if one != name)
            broker = BrokerSettings(
                port=ports[name], node=name, cluster_port=ports[f"{name}-routes"], cluster_others=others, tls=True
            )
        headend = HeadendSettings(
            database_url=self._url,
            push_port=0 if name in BROKERS else ports.get(name, 0),
            proxies=(f"{HOST}/32",),
            concurrency=self.shape.concurrency,
            lease_s=LEASE_S,
            attempts=10,
            backfill_days=1,
        )
        return Settings(headend=headend, broker=broker, web=WebSettings(port=ports["web"]))

    def _start_meters(self) -> None:
        argv = [sys.executable, "-m", "amity.cli", "simulate", "--meters", str(self.shape.meters), "--json"]
        argv += ["--fault", f"slow={self.shape.slow}", "--seed", str(_SEED), "--anchor", isoformat(self._began)]
        self._start("meters", [*argv, "--strict-counters", "--state", str(self.folder / "counters")])
        log = self.folder / "meters.log"
        until(lambda: log.read_bytes().rstrip().endswith(b"]"), "the meters listen")
        document = json.loads(log.read_text())
        if self.shape.tapped:
            self.taps, document = self._open.enter_context(Taps.before(document))
        self.fleet = read_fleet_document(document)
        self.know(self.fleet)

    def know(self, fleet: Provision) -> None:
        """Make meters known to the cluster, and their keys to each node."""
        self.ot.endpoints.put(fleet.endpoints)
        for name in self._all_nodes:
            KeyFile(self.of(name).keys).put(fleet.secrets)

    def _start(self, name: str, argv: list[str], more: dict[str, str] | None = None) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(  # noqa: S603 - programs of our own and of Debian
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(more or {})}
            )

    # -------------------------------------------------------------- killing
    def kill(self, name: str) -> None:
        """`kill -9` of a process that was started here."""
        process = self._processes.pop(name)
        process.kill()
        process.wait(10)

    def leave(self, name: str) -> int:
        """Ask a process to end, as `systemctl stop` does; its exit status."""
        process = self._processes.pop(name)
        process.terminate()
        return process.wait(30)

    def hang(self, name: str) -> None:
        """Nothing moves in it any more, and its connections stand (SIGSTOP)."""
        self._processes[name].send_signal(signal.SIGSTOP)

    def wake(self, name: str) -> None:
        """It goes on where it hung, as if no time had passed (SIGCONT)."""
        self._processes[name].send_signal(signal.SIGCONT)

    def is_dead(self, name: str) -> bool:
        """True for what was killed and is not started again."""
        return name not in self._processes

    def kill_broker(self, name: str) -> None:
        """The nats-server itself; the role that watched it then ends by itself."""
        os.kill(int((self.of(name).broker / "nats-server.pid").read_text()), signal.SIGKILL)
        self._processes.pop(name).wait(30)

    def stop(self) -> None:
        """End what is left, the newest first."""
        for process in reversed(self._processes.values()):
            process.terminate()
            process.send_signal(signal.SIGCONT)
        for process in self._processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        self._open.close()
        self.ot.close()
        self.it.close()

    # -------------------------------------------------------------- looking
    def read_all(self, word: str) -> list[str]:
        """Ask for all readings of all meters; the ids of the jobs."""
        now = SystemClock().now()
        wanted = [
            JobRequest(one.meter_id, kind, Priority.SCHEDULED, now, f"{word}/{one.meter_id}/{kind}")
            for one in self.fleet.endpoints
            for kind in READINGS
        ]
        return list(self.ot.jobs.enqueue(wanted, now))

    def nodes_at_work(self) -> set[str]:
        """Those that hold a lease now, by the process ids in their workers' names."""
        leased = self.ot.job_book.find(JobQuery(states=frozenset({JobState.LEASED}), limit=100_000))
        names = {str(process.pid): name for name, process in self._processes.items()}
        pids = {job.worker.rpartition("/")[2] for job in leased}
        return {names.get(pid, pid) for pid in pids}

    def pid(self, name: str) -> int:
        """The process id of an installation's roles."""
        return self._processes[name].pid

    def log(self, name: str) -> str:
        """All that a process has said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def untrue(self) -> list[str]:
        """What the MDM side holds otherwise than the simulated meters counted it, or lacks of their last day."""
        settings = FleetSettings(self.shape.meters, _SEED, self._began, faults={FaultKind.SLOW: self.shape.slow})
        meters = build_fleet(settings).meters
        read = differences(self.it, meters, self._began - _READ_BACK, self._began)
        return read + differences(self.it, self.callers.meters, self.callers.now, self.callers.now)

    def jobs(self, ids: list[str]) -> list[Any]:
        """The jobs as they are now."""
        wanted = set(ids)
        return [job for job in self.ot.job_book.find(JobQuery(limit=100_000)) if job.job_id in wanted]

    def nothing_left(self) -> bool:
        """True when no job of anybody waits or runs."""
        alive = self.ot.job_book.counts(SystemClock().now()).by_state
        return not {JobState.WAITING, JobState.LEASED} & alive.keys()

    def pids(self) -> dict[str, int]:
        """The process ids of all that was started."""
        return {name: process.pid for name, process in self._processes.items()}

    def all_ended(self, ids: list[str]) -> bool:
        """True when nothing more happens to these jobs."""
        return all(job.state.ended for job in self.jobs(ids))

    def sent(self) -> set[str]:
        """The ids of all deliveries that a node ever put into the outbox."""
        with self.ot._engine.connect() as connection:
            return {row[0] for row in connection.exec_driver_sql("SELECT message_id FROM delivery")}

    def unsent(self) -> int:
        """Deliveries that still wait there."""
        return len(self.ot.collection.queued(100_000))

    def stored(self) -> list[str]:
        """The ids of all deliveries that the MDM side took, one for each time it did."""
        with self.it._engine.connect() as connection:
            return [row[0] for row in connection.exec_driver_sql("SELECT message_id FROM delivery")]

    def answered(self) -> Counter[str]:
        """How often the MDM side took a whole session, by meter."""
        with self.it._engine.connect() as connection:
            meters = connection.exec_driver_sql("SELECT meter_id FROM delivery WHERE outcome = 'complete'")
            return Counter(meters.scalars())

    def pushed(self) -> Counter[tuple[str, int]]:
        """How often the MDM side took the push of one row, by meter and its stamp."""
        with self.it._engine.connect() as connection:
            bodies = connection.exec_driver_sql("SELECT body FROM delivery WHERE outcome = 'pushed'").scalars()
            deliveries = [ProtobufCodec().decode(ZstdDecompressor().decompress(body)) for body in bodies]
        return Counter((one.meter_id, _stamp_of(one)) for one in deliveries)

    def dead_letters(self) -> int:
        """What the MDM side could not take."""
        with self.it._engine.connect() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM dead_letter").scalar_one())


def _stamp_of(push: Delivery) -> int:
    """Of the one row in it; a meter that counts totals pushes them, the others what they counted in the interval."""
    (stamp, *_) = [*(int(one.starts[0]) for one in push.intervals), *(epoch_s(one.at) for one in push.registers)]
    return stamp


@contextlib.contextmanager
def running(folder: Path, database_url: str, shape: Shape = Shape()) -> Iterator[Cluster]:
    """A cluster that stands; its logs are shown when something goes wrong."""
    cluster = Cluster(folder, database_url, shape)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        for log in sorted(set(folder.glob("*.log")) - {folder / "meters.log"}):
            lines = log.read_text(errors="replace").splitlines()[-_LINES_SHOWN:]
            sys.stdout.write("\n".join([f"--- {log.name}", *lines, ""]))
