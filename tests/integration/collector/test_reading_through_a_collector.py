"""Simulated meters are read through a real collector process, over TLS, as if there were nothing in between."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from amity.devices.profiles import Framing
from amity.domain.collection import Outcome
from amity.headend.collectors.failures import BeyondCollectorError, CollectorGoneError, CollectorNotConnectedError
from amity.headend.collectors.ports import Admission
from amity.headend.outcomes import worth_retrying
from amity.simulation.carriers import Carried
from amity.simulation.dialling import DialIn
from amity.simulation.faults import FaultKind
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet
from amity.simulation.network.medium import ways
from amity.simulation.network.presets import preset
from amity.simulation.network.proxy import ShapingProxy, Target
from amity.simulation.serving import serve_fleet
from tests.integration.collector.bench import (
    ANCHOR,
    CollectorProcess,
    Headend,
    StandingClock,
    joined,
    until,
)
from tests.relay_certificates import Authority

pytestmark = pytest.mark.slow


def fleet_of(meters: int, **settings: Any) -> Fleet:
    return build_fleet(FleetSettings(meters=meters, seed=5, anchor=ANCHOR, **{"auth": "hls-gmac", **settings}))


@pytest.mark.parametrize(
    "carried", [Carried(), Carried(udp=True), Carried(Framing.HDLC), Carried(Framing.HDLC, pty=True)]
)
async def test_ciphered_meters_are_read_completely_over_every_way(tmp_path: Path, carried: Carried) -> None:
    async with serve_fleet(fleet_of(2), clock=StandingClock(), carried=carried) as document:
        devices = tuple(entry["device"] for entry in document if "device" in entry)
        async with joined(tmp_path, devices=devices) as (headend, collector):
            headend.provision(document, "DC7")
            await headend.read()
            deliveries = headend.deliveries
            assert [(one.outcome, one.detail) for one in deliveries] == [(Outcome.COMPLETE, ())] * 2
            assert all(len(series.starts) == 24 for one in deliveries for series in one.intervals)
            await until(lambda: len(collector.status["meters"]) == 2)
            await until(lambda: '"exchanges"' in headend.database.collectors.all()[0].quality)


async def test_meters_behind_a_gateway_are_read_through_the_collector_that_reaches_it(tmp_path: Path) -> None:
    """Meters relay for meters: the collector calls the first, and a prefix says to whom each APDU goes."""
    async with (
        serve_fleet(fleet_of(3), clock=StandingClock(), behind_gateway=2) as document,
        joined(tmp_path) as (headend, _),
    ):
        assert [("gateway" in entry) for entry in document] == [False, True, True]
        headend.provision(document, "DC7")
        await headend.read()
        assert [(one.outcome, one.detail) for one in headend.deliveries] == [(Outcome.COMPLETE, ())] * 3


@pytest.mark.parametrize("framing", list(Framing))
async def test_a_meter_that_calls_the_collector_is_read_on_the_line_it_opened(tmp_path: Path, framing: Framing) -> None:
    async with joined(tmp_path) as (headend, collector):
        dial = DialIn("127.0.0.1", collector.status["ports"]["pushes"], framing=framing)
        fleet = fleet_of(1)
        async with serve_fleet(fleet, clock=StandingClock(), dial_in=dial) as document:
            headend.provision(document, "DC7")
            await until(lambda: headend.called == [("DC7", fleet.meters[0].meter_id)])
            await headend.read()
            assert [(one.outcome, one.detail) for one in headend.deliveries] == [(Outcome.COMPLETE, ())]
            await headend.restart()
            await until(lambda: len(headend.called) == 2)  # a new link is told who is on the line


async def test_one_that_has_not_called_is_silent_and_no_password_goes_to_whoever_says_a_name(tmp_path: Path) -> None:
    async with joined(tmp_path) as (headend, collector):
        dial = DialIn("127.0.0.1", collector.status["ports"]["pushes"])
        async with serve_fleet(fleet_of(1, auth="lls"), clock=StandingClock(), dial_in=dial) as document:
            document[0].pop("host")
            headend.provision(document, "DC7")
            await headend.read()
            assert "nothing to prove itself by" in headend.deliveries[0].detail[0]
            headend.provision([{**document[0], "host": "127.0.0.1"}], "DC7")
            await headend.read()
            assert headend.deliveries[1].outcome is Outcome.COMPLETE
            headend.provision([{**document[0], "host": "127.0.0.2"}], "DC7")
            (elsewhere,) = headend.database.endpoints.all()
            with pytest.raises(BeyondCollectorError, match="Meter Has Not Called In") as told:
                await headend.surroundings.connector.connect(elsewhere, 5)
            assert told.value.outcome is Outcome.SILENT


async def test_no_octet_of_a_key_is_in_the_collector_s_folder_or_memory(tmp_path: Path) -> None:
    async with joined(tmp_path) as (headend, collector):
        async with serve_fleet(fleet_of(1), clock=StandingClock()) as document:
            headend.provision(document, "DC7")
            await headend.read()
        assert [one.outcome for one in headend.deliveries] == [Outcome.COMPLETE]
        secrets = [bytes.fromhex(document[0][name]) for name in ("guek", "gak")]
        assert all(len(secret) == 16 for secret in secrets)
        folder = b"".join(path.read_bytes() for path in collector.folder.root.rglob("*") if path.is_file())
        memory = memory_of(collector.pid)
        assert b"ami_service" in memory  # the canary sings: it is this process's memory that is searched
        forms = [*secrets, *(form.encode() for secret in secrets for form in (secret.hex(), secret.hex().upper()))]
        assert [form for form in forms if form in folder or form in memory] == []


def memory_of(pid: int) -> bytes:
    """Every page that the process may write."""
    pages = []
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            place, rights, *_ = line.split()
            if "w" in rights and "[v" not in line:
                start, end = (int(text, 16) for text in place.split("-"))
                memory.seek(start)
                pages.append(memory.read(end - start))
    return b"".join(pages)


async def test_a_collector_that_is_not_there_is_told_and_worth_retrying(tmp_path: Path) -> None:
    headend = Headend(tmp_path, Authority())
    async with serve_fleet(fleet_of(1), clock=StandingClock()) as document:
        headend.provision(document, "DC7")
        await headend.read()
    (delivery,) = headend.deliveries
    assert delivery.outcome is Outcome.SILENT
    assert "Collector Not Connected" in delivery.detail[0]
    assert worth_retrying(CollectorNotConnectedError("DC7"))
    assert worth_retrying(CollectorGoneError("DC7"))
    headend.database.close()


async def test_where_the_collector_may_not_go_it_does_not_go(tmp_path: Path) -> None:
    async with (
        joined(tmp_path, meters=("192.0.2.0/24",)) as (headend, _),
        serve_fleet(fleet_of(1), clock=StandingClock()) as document,
    ):
        headend.provision(document, "DC7")
        await headend.read()
        (delivery,) = headend.deliveries
    assert delivery.outcome is Outcome.REJECTED
    assert "Not Allowed by the Collector" in delivery.detail[0]


async def test_a_meter_that_does_not_listen_is_refused_in_the_words_of_the_field(tmp_path: Path) -> None:
    async with (
        joined(tmp_path) as (headend, _),
        serve_fleet(fleet_of(1, faults={FaultKind.REFUSED: 1.0}), clock=StandingClock()) as document,
    ):
        headend.provision(document, "DC7")
        await headend.read()
        told = headend.deliveries
    assert [one.outcome for one in told] == [Outcome.REFUSED] * headend.surroundings.session.attempts_max
    assert all("Connection Refused (Error 111)" in one.detail[0] for one in told)
    assert all(any("from collector DC7" in line for line in one.detail) for one in told)


# ------------------------------------------------------------------ when things go
async def test_killed_in_mid_session_it_is_gone_and_back_all_is_read(tmp_path: Path) -> None:
    fleet = fleet_of(1, faults={FaultKind.SLOW: 1.0})
    async with joined(tmp_path) as (headend, collector), serve_fleet(fleet, clock=StandingClock()) as document:
        headend.provision(document, "DC7")
        (endpoint,) = headend.database.endpoints.all()
        channel = await headend.surroundings.connector.connect(endpoint, 5)
        asking = asyncio.create_task(channel.exchange(bytes.fromhex("6000"), 30))
        await asyncio.sleep(0.05)
        await collector.kill()
        with pytest.raises(CollectorGoneError):
            await asking
        await channel.close()
        await until(lambda: headend.collectors.all == ())
        await collector.start()
        await headend.linked("DC7")
        await headend.read()
        assert headend.deliveries[-1].outcome is Outcome.COMPLETE


async def test_a_wan_that_dies_without_a_word_is_noticed_and_a_new_one_used(tmp_path: Path) -> None:
    authority = Authority()
    headend = Headend(tmp_path / "headend", authority)
    await headend.start()
    wan = ShapingProxy(Target("127.0.0.1", headend.port), ways(preset("lte"), random.Random(1)))
    port = await wan.start()
    collector = CollectorProcess(tmp_path / "dc7", "DC7", authority, headends=(f"127.0.0.1:{port}",))
    headend.accept_beforehand("DC7", collector.folder.certificates)
    try:
        await collector.start()
        await headend.linked("DC7")
        async with serve_fleet(fleet_of(1), clock=StandingClock()) as document:
            headend.provision(document, "DC7")
            (endpoint,) = headend.database.endpoints.all()
            channel = await headend.surroundings.connector.connect(endpoint, 5)
            wan.cut()
            with pytest.raises(CollectorGoneError):
                await channel.exchange(bytes.fromhex("6000"), 30)
            await until(lambda: headend.collectors.all == ())
            wan.mend()
            await headend.linked("DC7")
            await headend.read()
            assert headend.deliveries[-1].outcome is Outcome.COMPLETE
    finally:
        await collector.stop()
        await wan.close()
        await headend.stop()
        headend.database.close()


async def test_a_head_end_that_restarts_is_found_again(tmp_path: Path) -> None:
    async with joined(tmp_path) as (headend, _):
        await headend.restart()
        await headend.linked("DC7")


# ------------------------------------------------------------------ who may
async def test_nobody_serves_before_a_person_accepted_the_key_and_none_whose_key_was_refused(tmp_path: Path) -> None:
    authority = Authority()
    headend = Headend(tmp_path / "headend", authority)
    await headend.start()
    collector = CollectorProcess(tmp_path / "dc7", "DC7", authority, headends=(f"127.0.0.1:{headend.port}",))
    try:
        await collector.start()
        await until(lambda: "parked DC7" in headend.news)
        (known,) = headend.database.collectors.all()
        assert known.admission is Admission.PARKED
        assert headend.collectors.all == ()
        await until(lambda: "parked at the head-end" in str(collector.status["headends"]))
        await headend.accept("DC7")
        await collector.stop()
        await collector.start()  # it would come by itself in half a minute
        await headend.linked("DC7")
        headend.database.collectors.decide("DC7", "", Admission.REFUSED)
        await until(lambda: headend.collectors.all == ())
    finally:
        await collector.stop()
        await headend.stop()
        headend.database.close()
