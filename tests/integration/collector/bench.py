"""A head-end in this process and a collector in one of its own, joined by a real link; simulated meters around it."""

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from amity.domain.collection import Delivery
from amity.headend.collectors.connected import CollectorRules, ConnectedCollector, Office
from amity.headend.collectors.ports import Admission, Presented
from amity.headend.collectors.registry import Collectors, ReachConnector
from amity.headend.mapping_file import MappingFile
from amity.headend.plan import ReadingRules
from amity.headend.ports import MeterSecrets
from amity.headend.provisioning import read_fleet_document
from amity.headend.pushes.desk import PushDesk
from amity.headend.surroundings import SessionRules, Surroundings
from amity.kernel.backoff import Backoff
from amity.messaging.codec import ProtobufCodec
from amity.runtime.files.relay import RelayFiles, relay_files
from amity.runtime.folder import Folder
from amity.runtime.settings import CollectorSettings, Settings, dump
from amity.runtime.system import SystemClock
from amity.storage.ot.database import OtDatabase, open_database
from amity.transports.meter_connector import MeterConnector
from amity.transports.relay_listener import RelayListener
from amity.transports.relay_peer import PeerRules, RelayPeer
from amity.transports.relay_tls import COLLECTOR, Identity, TlsFiles, identity_in, server_context
from tests.relay_certificates import HEADEND_URI, Authority, collector_uri
from tests.unit.headend.rounds import Rounds

T = TypeVar("T")
ANCHOR = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
PATIENCE_S = 180.0
AT_ONCE = Backoff(0.0, 0.0)
"""On a clock that stands nothing that waits is ever due again."""


class StandingClock:
    def now(self) -> datetime:
        return ANCHOR + timedelta(minutes=17)


async def at_once(work: Callable[[], T], /) -> T:
    return work()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.02)


@dataclass
class Keys:
    by_meter: dict[str, MeterSecrets]

    def secrets(self, meter_id: str) -> MeterSecrets:
        return self.by_meter.get(meter_id, MeterSecrets())


class Headend:
    """What the head-end's role joins, without its broker."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.root = Folder(folder)
        self.root.create()
        authority.issue(self.root.certificates, HEADEND_URI)
        self.database: OtDatabase = open_database(self.root.ot_database)
        self.keys = Keys({})
        self.news: list[str] = []
        self.called: list[tuple[str, str]] = []
        self.port = 0
        self.surroundings = Surroundings(
            clock=StandingClock(), chance=random.random, random_octets=os.urandom, system_title=b"AMYHEAD1",
            connector=ReachConnector(MeterConnector(), self._serving), disk=at_once,
            endpoints=self.database.endpoints, keys=self.keys, counters=self.database.counters,
            collection=self.database.collection, codec=ProtobufCodec(),
            mappings=MappingFile(folder / "mapping.json"), subject="amity.ot.deliveries",
            reading=ReadingRules(first_read=timedelta(hours=6)),
            session=SessionRules(connect_timeout_s=5, request_timeout_s=10, backoff=AT_ONCE),
        )  # fmt: skip
        self.pushes = PushDesk(self.surroundings, self.database.push_counters)
        self._open()

    def _open(self) -> None:
        office = Office(
            "node-1", self.database.collectors, self.database.forwarded_pushes, self.pushes.take_forwarded,
            self.surroundings.clock, at_once, CollectorRules(look_every_s=0.1),
            called_in=lambda collector, name: self.called.append((collector, name)),
        )  # fmt: skip
        self.collectors = Collectors(office, lambda what, who: self.news.append(f"{what} {who.name}"))

        def greet(peer: RelayPeer, identity: Identity) -> ConnectedCollector:
            return self.collectors.greet(peer, Presented(identity.name, identity.fingerprint, peer.address))

        self.listener = RelayListener(server_context(relay_files(self.root)), greet, rules=PeerRules(0.2))

        def use(files: TlsFiles) -> None:
            self.listener.use(server_context(files))

        watch = RelayFiles(self.root, SystemClock(), use, lambda: self.listener.peers).watch(0.05)
        self._watching = asyncio.create_task(watch.run())

    def _serving(self, name: str) -> ConnectedCollector:
        return self.collectors.serving(name)

    async def start(self) -> None:
        self.port = await self.listener.start("127.0.0.1", self.port)

    async def stop(self) -> None:
        self._watching.cancel()
        await self.collectors.close()
        await self.listener.close()

    async def restart(self) -> None:
        await self.stop()
        self._open()
        await self.start()

    async def accept(self, name: str) -> None:
        """As a person does once it is listed."""
        await until(lambda: any(one.name == name for one in self.database.collectors.all()))
        self.database.collectors.decide(name, "", Admission.ACCEPTED)

    def accept_beforehand(self, name: str, certificates: Path) -> None:
        """As a person did long ago: the test need not wait until a parked collector comes again."""
        certificate = x509.load_pem_x509_certificate((certificates / "ami_service.crt").read_bytes())
        identity = identity_in(certificate.public_bytes(Encoding.DER), COLLECTOR)
        self.database.collectors.seen(Presented(name, identity.fingerprint, ""), ANCHOR)
        self.database.collectors.decide(name, "", Admission.ACCEPTED)

    async def linked(self, name: str) -> None:
        await until(lambda: any(one.presented.name == name for one in self.collectors.all))

    def provision(self, document: list[dict[str, Any]], collector: str) -> None:
        provision = read_fleet_document([{**entry, "collector": collector} for entry in document])
        self.database.endpoints.put(provision.endpoints)
        self.keys.by_meter.update(provision.secrets)

    async def read(self) -> None:
        await Rounds(self.surroundings, self.database, concurrent_sessions=4).read_fleet_once()

    @property
    def deliveries(self) -> list[Delivery]:
        return [ProtobufCodec().decode(one.body) for one in self.database.collection.queued(10_000)]


class CollectorProcess:
    """`amity serve --roles collector` in a folder of its own."""

    def __init__(self, folder: Path, name: str, authority: Authority, **settings: Any) -> None:
        self.folder = Folder(folder)
        self.folder.create()
        self.name = name
        authority.issue(self.folder.certificates, collector_uri(name))
        rules = {
            "meters": ("127.0.0.0/8",), "callers_allowed": ("127.0.0.0/8",), "push_port": 0, "ping_every_s": 0.2,
            "report_every_s": 0.2, **settings,
        }  # fmt: skip
        self.folder.settings.write_text(dump(Settings(collector=CollectorSettings(**rules))))
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        status = self.folder.collector / "status.json"
        status.unlink(missing_ok=True)
        log = (self.folder.root / "log").open("ab")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "amity.cli", "serve", "--roles", "collector", "--dir", str(self.folder.root),
            "--with-parent", stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
        )  # fmt: skip
        log.close()
        await until(status.exists)

    @property
    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder.collector / "status.json").read_text())
        return document

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def kill(self) -> None:
        """As a power cut does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()


@asynccontextmanager
async def joined(folder: Path, **settings: Any) -> AsyncIterator[tuple[Headend, CollectorProcess]]:
    """A head-end and a collector that it has accepted, linked."""
    authority = Authority()
    headend = Headend(folder / "headend", authority)
    await headend.start()
    collector = CollectorProcess(folder / "dc7", "DC7", authority, headends=(f"127.0.0.1:{headend.port}",), **settings)
    headend.accept_beforehand("DC7", collector.folder.certificates)
    try:
        await collector.start()
        await headend.linked("DC7")
        yield headend, collector
    finally:
        await collector.stop()
        await headend.stop()
        headend.database.close()
