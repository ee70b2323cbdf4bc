"""Meters that open the connection are read on it, by schedule and on demand, however they begin."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from amity.devices.profiles import Framing
from amity.domain.collection import Outcome
from amity.runtime.system import SystemClock
from amity.simulation.dialling import DialIn, Greeting
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet
from amity.simulation.serving import serve_fleet


def a_fleet(**settings: Any) -> Fleet:
    return build_fleet(FleetSettings(**{"meters": 3, "seed": 5, "anchor": datetime.now(UTC), **settings}))


@pytest.mark.parametrize(
    ("greeting", "framing"),
    [
        (Greeting.NAME, Framing.WRAPPER),
        (Greeting.PUSH, Framing.WRAPPER),
        (Greeting.SILENCE, Framing.WRAPPER),
        (Greeting.NAME, Framing.HDLC),
    ],
)
async def test_a_meter_is_read_on_the_line_it_opened(
    head_end: Callable[..., Any], greeting: Greeting, framing: Framing
) -> None:
    async with head_end() as running:
        dial = DialIn("127.0.0.1", running.port, greeting, framing, heartbeat_s=0.5, again_after_s=0.5)
        fleet = a_fleet(auth="hls-gmac")
        async with serve_fleet(fleet, clock=SystemClock(), dial_in=dial) as document:
            running.know(document)

            def all_read() -> bool:
                read = {one.meter_id for one in running.kept() if one.outcome is Outcome.COMPLETE}
                return read == {meter.meter_id for meter in fleet.meters}

            await running.until(all_read)
