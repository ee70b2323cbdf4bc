"""Pushes through a collector: kept while the WAN is gone, across `kill -9`, and taken once however often sent."""

import asyncio
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from amity.domain.collection import Outcome
from amity.domain.events import EventKind
from amity.headend.calls.callers import CallingFrom
from amity.protocols.wrapper.frame import Reader
from amity.simulation.counters import reservation_by_time
from amity.simulation.device import meter_server
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet, document_entry
from amity.simulation.happenings import Happening
from amity.simulation.meter import SimulatedMeter
from amity.simulation.pushes import Pusher
from tests.integration.collector.bench import ANCHOR, CollectorProcess, Headend, StandingClock, joined, until
from tests.relay_certificates import Authority

pytestmark = pytest.mark.slow


def fleet_of(auth: str) -> Fleet:
    return build_fleet(FleetSettings(meters=1, seed=5, anchor=ANCHOR, auth=auth))


def pusher_of(meter: SimulatedMeter) -> Pusher:
    now = StandingClock().now()
    _, pusher = meter_server(
        meter, started=now, reservation=reservation_by_time(now), random_octets=lambda count: b"\x05" * count
    )
    return pusher


def intervals(pusher: Pusher, count: int) -> list[bytes]:
    """The newest rows of the load profile, oldest first."""
    now = StandingClock().now()
    starts = [int(ANCHOR.timestamp()) - 900 * back for back in range(count, 0, -1)]
    frames = [pusher.interval(start, now) for start in starts]
    return [frame for frame in frames if frame is not None]


async def push(collector: CollectorProcess, frames: list[bytes], port: str = "pushes") -> None:
    """As a meter does, over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", collector.status["ports"][port])
    for frame in frames:
        writer.write(frame)
    writer.write_eof()
    await reader.read()  # the collector hangs up when it has all of them on its disk
    writer.close()


def document_of(fleet: Fleet) -> list[dict[str, Any]]:
    return [document_entry(meter, "127.0.0.1", 4059) for meter in fleet.meters]


def held(collector: CollectorProcess) -> int:
    told = collector.status["held"]
    return int(told["alarms"] + told["bulk"])


@pytest.mark.parametrize("auth", ["none", "hls-gmac"])
async def test_what_a_meter_pushes_arrives_and_leaves_the_collector(tmp_path: Path, auth: str) -> None:
    fleet = fleet_of(auth)
    async with joined(tmp_path) as (headend, collector):
        headend.provision(document_of(fleet), "DC7")
        await push(collector, intervals(pusher_of(fleet.meters[0]), 3))
        await until(lambda: len(headend.deliveries) == 3)
        assert {one.outcome for one in headend.deliveries} == {Outcome.PUSHED}
        assert headend.pushes.parking.counts == {}
        await until(lambda: held(collector) == 0 and collector.status["pushes"]["forwarded"] == 3)


async def test_an_unknown_sender_is_parked_at_the_head_end_and_no_longer_held(tmp_path: Path) -> None:
    fleet = fleet_of("none")
    async with joined(tmp_path) as (headend, collector):
        await push(collector, intervals(pusher_of(fleet.meters[0]), 1))
        await until(lambda: headend.pushes.parking.counts["unknown-sender"] == 1)
        await until(lambda: collector.status["pushes"]["forwarded"] == 1)
        assert headend.deliveries == []
        assert headend.pushes.parking.newest[0].peer == "DC7/127.0.0.1"


async def test_a_plain_push_by_another_way_than_the_meter_s_collector_is_not_believed(tmp_path: Path) -> None:
    fleet = fleet_of("none")
    async with joined(tmp_path) as (headend, collector):
        headend.provision(document_of(fleet), "DC8")
        frames = intervals(pusher_of(fleet.meters[0]), 1)
        await push(collector, frames)
        await until(lambda: headend.pushes.parking.counts["unknown-sender"] == 1)
        await headend.pushes.take(Reader().feed(frames[0])[0], CallingFrom("127.0.0.1"))
        assert headend.pushes.parking.counts["unknown-sender"] == 2
        assert headend.deliveries == []


async def test_kept_while_the_head_end_is_away_and_after_kill_9_taken_once(tmp_path: Path) -> None:
    fleet = fleet_of("hls-gmac")
    authority = Authority()
    headend = Headend(tmp_path / "headend", authority)
    await headend.start()
    await headend.stop()
    away = held_port(headend.port)
    collector = CollectorProcess(
        tmp_path / "dc7", "DC7", authority, headends=(f"127.0.0.1:{headend.port}",), alarm_port=0
    )
    headend.accept_beforehand("DC7", collector.folder.certificates)
    headend.provision(document_of(fleet), "DC7")
    pusher = pusher_of(fleet.meters[0])
    try:
        await collector.start()
        await push(collector, intervals(pusher, 5))
        alarm = pusher.alarm(Happening(int(ANCHOR.timestamp()), EventKind.POWER_DOWN))
        assert alarm is not None
        await push(collector, [alarm], "alarms")
        await collector.kill()
        await collector.start()
        await until(lambda: collector.status["held"] | {"octets": 0} == COUNTED)
        away.close()
        await headend.restart()
        await until(lambda: len(headend.deliveries) == 6 or bool(headend.pushes.parking.counts))
        assert [one.error.lines() for one in headend.pushes.parking.newest] == []
        assert headend.deliveries[0].events, "the alarm came last and goes first"
        await until(lambda: held(collector) == 0)
        assert headend.pushes.parking.counts == {}
    finally:
        away.close()
        await collector.stop()
        await headend.stop()
        headend.database.close()


async def test_killed_in_the_midst_of_forwarding_it_loses_and_doubles_nothing_nor_does_a_head_end_that_restarts(
    tmp_path: Path,
) -> None:
    fleet = fleet_of("hls-gmac")
    async with joined(tmp_path) as (headend, collector):
        headend.provision(document_of(fleet), "DC7")
        frames = intervals(pusher_of(fleet.meters[0]), 60)
        await push(collector, frames)
        await collector.kill()  # some are at the head-end, some only on the disk, and of some neither side is sure
        await collector.start()
        await headend.restart()
        await until(lambda: len(headend.deliveries) >= len(frames))
        await until(lambda: held(collector) == 0)
        assert Counter(one.exchanges[0].response for one in headend.deliveries) == Counter(frames)
        assert headend.pushes.parking.counts == {}


def held_port(number: int) -> socket.socket:
    """Nobody listens on it, and nobody else gets it meanwhile."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", number))
    return held


COUNTED = {"alarms": 1, "bulk": 5, "octets": 0, "dropped": 0}
