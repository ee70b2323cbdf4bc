"""A job that waits for a meter is done when the meter calls, long before it would be looked at again."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from amity.domain.collection import Outcome
from amity.runtime.system import SystemClock
from amity.simulation.dialling import DialIn
from amity.simulation.fleet import FleetSettings, build_fleet
from amity.simulation.serving import serve_fleet


async def test_what_waited_is_done_when_the_meter_calls(head_end: Callable[..., Any]) -> None:
    fleet = build_fleet(FleetSettings(meters=2, seed=5, anchor=datetime.now(UTC), auth="hls-gmac"))
    async with serve_fleet(fleet, clock=SystemClock(), dial_in=DialIn("127.0.0.1", 9)) as document:
        known = list(document)
    async with head_end(know=known, poll_interval_s=3600) as running:
        await running.until(lambda: {one.outcome for one in running.kept()} == {Outcome.SILENT})
        async with serve_fleet(fleet, clock=SystemClock(), dial_in=DialIn("127.0.0.1", running.port)):
            read = {meter.meter_id for meter in fleet.meters}
            await running.until(
                lambda: {one.meter_id for one in running.kept() if one.outcome is Outcome.COMPLETE} == read
            )
