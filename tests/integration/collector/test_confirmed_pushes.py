"""Pushes that want to be confirmed, through a collector: only the head-end says so, and only once it has them."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from amity.simulation import outgoing
from amity.simulation.counters import reservation_by_time
from amity.simulation.device import meter_server
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet, document_entry
from amity.simulation.outgoing import Hearing, deliver
from amity.simulation.outgoing_ways import deliver_in_datagram, deliver_in_hdlc
from amity.simulation.pushes import Pusher
from tests.integration.collector.bench import ANCHOR, CollectorProcess, Headend, StandingClock, joined, until

pytestmark = pytest.mark.slow
Deliver = Callable[[str, int, bytes, Hearing | None], Awaitable[bool]]
INTERVAL = int(ANCHOR.timestamp()) - 900


def fleet_of(auth: str) -> Fleet:
    return build_fleet(FleetSettings(meters=1, seed=5, anchor=ANCHOR, auth=auth))


def pusher_of(fleet: Fleet) -> Pusher:
    now = StandingClock().now()
    _, pusher = meter_server(
        fleet.meters[0], started=now, reservation=reservation_by_time(now), random_octets=lambda count: b"\x05" * count,
        confirmed=True,
    )  # fmt: skip
    return pusher


async def pushed(collector: CollectorProcess, pusher: Pusher, over: Deliver) -> bool:
    """Push the newest interval; whether it was confirmed."""
    frame = pusher.interval(INTERVAL, StandingClock().now())
    assert frame is not None
    return await over("127.0.0.1", collector.status["ports"]["pushes"], frame, pusher.hearing(alarm=False))


def know(headend: Headend, fleet: Fleet) -> None:
    headend.provision([document_entry(meter, "127.0.0.1", 4059) for meter in fleet.meters], "DC7")


@pytest.mark.parametrize("auth", ["none", "hls-gmac"])
@pytest.mark.parametrize("over", [deliver, deliver_in_datagram, deliver_in_hdlc])
async def test_a_push_is_confirmed_end_to_end_over_every_way(tmp_path: Path, auth: str, over: Deliver) -> None:
    fleet = fleet_of(auth)
    async with joined(tmp_path) as (headend, collector):
        know(headend, fleet)
        assert await pushed(collector, pusher_of(fleet), over)
        assert len(headend.deliveries) == 1, "confirmed is what the head-end has committed"
        assert headend.pushes.parking.counts == {}


async def test_nothing_is_confirmed_while_the_head_end_is_away_and_what_is_repeated_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = fleet_of("hls-gmac")
    async with joined(tmp_path) as (headend, collector):
        know(headend, fleet)
        pusher = pusher_of(fleet)
        await headend.stop()
        with monkeypatch.context() as patience:
            patience.setattr(outgoing, "CONNECT_TIMEOUT_S", 0.5)
            assert not await pushed(collector, pusher, deliver)
        await until(lambda: collector.status["held"]["bulk"] == 1)
        await headend.restart()
        await until(lambda: len(headend.deliveries) == 1)
        assert await pushed(collector, pusher, deliver)
        assert len(headend.deliveries) == 1
        assert headend.pushes.parking.counts == {}


async def test_what_is_not_believed_is_not_confirmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with joined(tmp_path) as (headend, collector):
        monkeypatch.setattr(outgoing, "CONNECT_TIMEOUT_S", 2.0)
        assert not await pushed(collector, pusher_of(fleet_of("hls-gmac")), deliver)
        await until(lambda: headend.pushes.parking.counts["unknown-sender"] == 1)
