"""The head-end reads simulated meters over every way there is, from the fleet document to the outbox."""

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from amity.devices.profiles import Framing
from amity.devices.server import MeterServer
from amity.domain.collection import Delivery, Outcome
from amity.domain.jobs import JobKind, JobRequest, JobState, Priority
from amity.headend.jobs.clock_policy import ClockBands
from amity.headend.jobs.meter_sessions import MeterSessions
from amity.headend.jobs.ports import JobQuery, LeaseTerms
from amity.headend.jobs.worker import Worker
from amity.headend.mapping_file import MappingFile
from amity.headend.plan import ReadingRules
from amity.headend.ports import MeterSecrets
from amity.headend.provisioning import read_fleet_document
from amity.headend.surroundings import SessionRules, Surroundings
from amity.kernel.backoff import Backoff
from amity.messaging.codec import ProtobufCodec
from amity.protocols.dlms import apdu
from amity.protocols.dlms.apdu import GeneralBlockTransfer
from amity.protocols.gateway.prefix import Prefixed, decode
from amity.protocols.gateway.prefix import encode as prefixed
from amity.protocols.iec62056_21.messages import Identification
from amity.protocols.iec62056_21.meter_sign_on import MeterSignOnSettings
from amity.protocols.wrapper.frame import Reader, encode
from amity.simulation.awkward import serve_awkward
from amity.simulation.carriers import Carried
from amity.simulation.counters import reservation_by_time
from amity.simulation.device import meter_server
from amity.simulation.fleet import Fleet as SimulatedFleet
from amity.simulation.fleet import FleetSettings, build_fleet, document_entry
from amity.simulation.serving import serve_fleet
from amity.storage.ot.database import OtDatabase, open_database
from amity.transports.hdlc_listener import HdlcPlace, serve_meter_on_pty
from amity.transports.meter_connector import MeterConnector
from tests.unit.headend.rounds import Rounds

T = TypeVar("T")
Document = list[dict[str, Any]]
ANCHOR = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
NETWORK, DEVICE = 3, b"\x00\x2a"


class StandingClock:
    def now(self) -> datetime:
        return ANCHOR + timedelta(minutes=17)


@dataclass
class Keys:
    by_meter: dict[str, MeterSecrets]

    def secrets(self, meter_id: str) -> MeterSecrets:
        return self.by_meter[meter_id]


async def at_once(work: Callable[[], T]) -> T:
    return work()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[OtDatabase]:
    opened = open_database(tmp_path / "ot.sqlite")
    yield opened
    opened.close()


def simulated(**settings: Any) -> SimulatedFleet:
    return build_fleet(FleetSettings(**{"meters": 3, "seed": 5, "anchor": ANCHOR, "auth": "hls-gmac", **settings}))


def provisioned(database: OtDatabase, document: Document) -> Surroundings:
    """From the document as it is printed."""
    provision = read_fleet_document(json.loads(json.dumps(document)))
    database.endpoints.put(provision.endpoints)
    assert sorted(database.endpoints.all(), key=lambda one: one.meter_id) == sorted(
        provision.endpoints, key=lambda one: one.meter_id
    )
    folder = Path(database._engine.url.database).parent
    return Surroundings(
        clock=StandingClock(), chance=random.random, random_octets=os.urandom, system_title=b"AMYHEAD1",
        connector=MeterConnector(), disk=at_once, endpoints=database.endpoints, keys=Keys(dict(provision.secrets)),
        counters=database.counters, collection=database.collection, codec=ProtobufCodec(),
        mappings=MappingFile(folder / "mapping.json"), subject="amity.ot.deliveries",
        reading=ReadingRules(first_read=timedelta(hours=6)),
        session=SessionRules(connect_timeout_s=2, request_timeout_s=5, backoff=Backoff(0.01, 0.01)),
    )  # fmt: skip


async def read(database: OtDatabase, document: Document) -> list[Delivery]:
    """Provision, read every meter once, give what waits in the outbox."""
    surroundings = provisioned(database, document)
    await Rounds(surroundings, database, concurrent_sessions=3).read_fleet_once()
    return [ProtobufCodec().decode(one.body) for one in database.collection.queued(100)]


async def clocks_told(database: OtDatabase, document: Document) -> list[str]:
    """Provision, have every clock set that is not ours to the second, give what the jobs say of it."""
    surroundings, now = provisioned(database, document), StandingClock().now()
    asked = [one["logical_device_name"] for one in document]
    database.jobs.enqueue([JobRequest(one, JobKind.CLOCK_CHECK, Priority.BULK, now, one) for one in asked], now)
    strict = ClockBands(fine=timedelta(0), adjust=timedelta(0))
    sessions = MeterSessions(surroundings, database.meter_states, database.counters, bands=lambda: strict)
    terms = LeaseTerms("w1", look_every=timedelta(milliseconds=20))
    worker = Worker(
        database.jobs, sessions, terms=lambda: terms, concurrency=3, clock=surroundings.clock, disk=at_once,
        chance=random.random,
    )  # fmt: skip
    await worker.drain()
    return [job.told for job in database.job_book.find(JobQuery(states=frozenset({JobState.DONE})))]


def moved(told: list[str], meters: int = 3) -> bool:
    assert len(told) == meters
    return all("ours: set, now " in one and one.endswith((" +0 s", " -0 s", "+1 s", "-1 s")) for one in told)


def read_completely(deliveries: list[Delivery], meters: int = 3) -> bool:
    assert [(one.outcome, one.detail) for one in deliveries] == [(Outcome.COMPLETE, ())] * meters
    return all(len(series.starts) == 24 for one in deliveries for series in one.intervals)


@pytest.mark.parametrize(
    "carried", [Carried(), Carried(udp=True), Carried(Framing.HDLC), Carried(Framing.HDLC, pty=True)]
)
async def test_a_fleet_as_the_simulator_serves_it(database: OtDatabase, carried: Carried) -> None:
    async with serve_fleet(simulated(), clock=StandingClock(), carried=carried) as document:
        deliveries = await read(database, document)
    assert read_completely(deliveries)


@pytest.mark.parametrize("auth", ["none", "lls", "hls-gmac"])
@pytest.mark.parametrize(
    "carried", [Carried(), Carried(udp=True), Carried(Framing.HDLC), Carried(Framing.HDLC, pty=True)]
)
async def test_clocks_are_set_by_another_client_on_the_same_way(
    database: OtDatabase, carried: Carried, auth: str
) -> None:
    async with serve_fleet(simulated(auth=auth), clock=StandingClock(), carried=carried) as document:
        assert moved(await clocks_told(database, document))


async def test_what_is_kept_of_an_hdlc_session_are_its_apdus(database: OtDatabase) -> None:
    async with serve_fleet(simulated(auth="lls"), clock=StandingClock(), carried=Carried(Framing.HDLC)) as document:
        (first, *_) = await read(database, document)
    assert isinstance(apdu.decode(first.exchanges[1].request), apdu.GetRequestWithList)


# ------------------------------------------------------------------ an optical head
@pytest.mark.parametrize("line_address", ["", "4711"])
async def test_a_serial_line_that_signs_on_in_mode_e(database: OtDatabase, line_address: str) -> None:
    fleet = simulated(meters=1)
    place = HdlcPlace(
        sign_on=MeterSignOnSettings(
            Identification("AMY", 9600, offers_hdlc=True, text="E450"), address=line_address, parity_by_hand=True
        )
    )
    end = await serve_meter_on_pty(served(fleet), clock=StandingClock(), place=place)
    serial = {"framing": "hdlc", "physical": 17, "device": end.device, "sign_on": "mode-e", "parity_by_hand": True}
    deliveries = await read(database, [entry(fleet) | serial | {"line_address": line_address}])
    end.close()
    assert read_completely(deliveries, 1)


async def test_two_meters_on_one_serial_line_wait_for_each_other(database: OtDatabase) -> None:
    fleet = simulated(meters=2, auth="none")
    end = await serve_meter_on_pty(served(fleet), clock=StandingClock(), place=HdlcPlace())
    serial = {"framing": "hdlc", "physical": 17, "device": end.device}
    document = [document_entry(meter, "", 0) | serial for meter in fleet.meters]
    deliveries = {one.meter_id: one for one in await read(database, document)}
    end.close()
    here, elsewhere = (deliveries[meter.meter_id] for meter in fleet.meters)
    assert here.outcome is Outcome.COMPLETE
    assert "answers where" in elsewhere.detail[0]  # its turn came, and the line was free


# ------------------------------------------------------------------ a gateway
class Gateway(asyncio.Protocol):
    """Strips the prefix and asks the meter behind."""

    def __init__(self, server: MeterServer) -> None:
        self._server = server
        self._reader = Reader()
        self._association: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for frame in self._reader.feed(data):
            request = decode(frame.payload)
            assert (request.network, request.device, request.is_request) == (NETWORK, DEVICE, True)
            self._association = self._association or self._server.open_association(frame.source)
            answer = self._association.receive(request.apdu, StandingClock().now())
            behind = prefixed(Prefixed(NETWORK, DEVICE, answer, is_request=False))
            self._transport.write(encode(frame.destination, frame.source, behind))


@asynccontextmanager
async def gateway_to(server: MeterServer) -> AsyncIterator[int]:
    listening = await asyncio.get_running_loop().create_server(lambda: Gateway(server), "127.0.0.1", 0)
    yield listening.sockets[0].getsockname()[1]
    listening.close()


async def test_the_clock_of_a_meter_behind_a_gateway(database: OtDatabase) -> None:
    async with serve_fleet(simulated(), clock=StandingClock(), behind_gateway=2) as document:
        assert [("gateway" in one) for one in document] == [False, True, True]
        assert moved(await clocks_told(database, document))


async def test_the_clock_behind_a_serial_line_that_signs_on_anew_for_another_client(database: OtDatabase) -> None:
    fleet = simulated(meters=1)
    offered = Identification("AMY", 9600, offers_hdlc=True, text="E450")
    place = HdlcPlace(sign_on=MeterSignOnSettings(offered, parity_by_hand=True))
    end = await serve_meter_on_pty(served(fleet), clock=StandingClock(), place=place)
    serial = {"framing": "hdlc", "physical": 17, "device": end.device, "sign_on": "mode-e", "parity_by_hand": True}
    told = await clocks_told(database, [entry(fleet) | serial])
    end.close()
    assert moved(told, 1)


async def test_a_meter_behind_a_gateway(database: OtDatabase) -> None:
    fleet = simulated(meters=1)
    async with gateway_to(served(fleet)) as port:
        behind = {"gateway": {"network": NETWORK, "device": DEVICE.hex()}}
        deliveries = await read(database, [entry(fleet, port) | behind])
    assert read_completely(deliveries, 1)
    (frame,) = Reader().feed(deliveries[0].exchanges[0].request)
    assert decode(frame.payload).device == DEVICE


# ------------------------------------------------------------------ what the association may be
async def test_general_block_transfer_is_proposed_where_the_endpoint_says_so(database: OtDatabase) -> None:
    async with serve_awkward("small-pdu", clock=StandingClock()) as document:
        deliveries = await read(database, [document[0] | {"general_blocks": True}])
    assert read_completely(deliveries, 1)
    (delivery,) = deliveries
    sent = [frame.payload[0] for one in delivery.exchanges for frame in Reader().feed(one.response)]
    assert sent.count(GeneralBlockTransfer.TAG) > len(delivery.exchanges)  # one exchange has several blocks
    evidence = {number for series in delivery.intervals for number in series.evidence}
    assert all(delivery.exchanges[number].plain for number in evidence)


async def test_signatures_of_suite_1(database: OtDatabase) -> None:
    fleet = simulated(meters=1, auth="hls-ecdsa", suite=1)
    async with serve_fleet(fleet, clock=StandingClock()) as document:
        assert read_completely(await read(database, document), 1)


@pytest.mark.parametrize("auth", ["hls2", "hls-md5", "hls-sha1"])
async def test_an_old_mechanism_only_where_it_is_allowed(database: OtDatabase, auth: str) -> None:
    async with serve_fleet(simulated(meters=1, auth=auth), clock=StandingClock()) as document:
        (refused,) = await read(database, document)
        assert refused.outcome is Outcome.REJECTED
        assert auth in refused.detail[0]
        deliveries = await read(database, [document[0] | {"legacy_allowed": True}])
    assert read_completely(deliveries[1:], 1)


def entry(fleet: SimulatedFleet, port: int = 0) -> dict[str, Any]:
    return document_entry(fleet.meters[0], "127.0.0.1", port)


def served(fleet: SimulatedFleet) -> MeterServer:
    clock = StandingClock()
    server, _ = meter_server(
        fleet.meters[0], started=clock.now(), reservation=reservation_by_time(clock.now()), random_octets=os.urandom
    )
    return server
