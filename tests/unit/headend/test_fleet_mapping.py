"""Rounds of a fleet under a mapping that did not name everything, and under the repaired one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from amity.domain.collection import Delivery, Outcome
from amity.domain.readings import Quality
from amity.headend.surroundings import SessionRules
from amity.kernel.backoff import Backoff
from tests.unit.headend.rounds import Rounds

INTERVAL_OBIS = ("1.0.1.29.0.255", "1.0.2.29.0.255", "1.0.3.29.0.255")
PARTLY = '"version": "partly", "rules": [{"kind": "register", "class": 3, "obis": "1.0.*.8.0.255"}'
AT_ONCE = SessionRules(backoff=Backoff(0.0, 0.0))


def fleet_of(bench: object, **changes: object) -> Rounds:
    bench.surroundings = replace(bench.surroundings, **{"session": AT_ONCE, **changes})
    return Rounds(bench.surroundings, bench.database)


async def raw_then_repaired(bench: object, fleet: Rounds) -> list[Delivery]:
    """A round under a mapping without any interval, three intervals long, and one under the repaired mapping."""
    path = bench.mappings._path
    whole = path.read_text()
    await fleet.read_fleet_once()
    count = len(bench.deliveries())
    path.write_text(f"{{{PARTLY}]}}")
    for _ in range(3):
        bench.clock.advance(minutes=15)
        await fleet.read_fleet_once()
    assert all(one.intervals == () and one.unknown for one in bench.deliveries()[count:])
    bench.clock.advance(minutes=1)
    count = len(bench.deliveries())
    path.write_text(whole)
    await fleet.read_fleet_once()
    return bench.deliveries()[count:]


async def test_intervals_that_no_rule_named_are_asked_for_again_when_the_mapping_is_repaired(
    make_bench: Callable,
) -> None:
    bench = make_bench(10)
    repaired = await raw_then_repaired(bench, fleet_of(bench))
    assert len(repaired) == 10
    for one in repaired:
        assert (one.outcome, one.unknown) == (Outcome.COMPLETE, ()), one.detail
        meter = bench.simulated.meter(one.meter_id)
        assert len(one.intervals) == len(INTERVAL_OBIS)
        for series in one.intervals:
            assert len(series.starts) == 3, one.profile
            assert np.all(series.qualities == Quality.MEASURED)
            truth = [meter.truth_wh(series.reading_type.obis, int(start)) for start in series.starts]
            assert np.all(np.abs(series.values * 10.0**series.reading_type.exponent - truth) <= 10)


async def test_what_no_mapping_names_is_asked_for_again_once_for_each_mapping(make_bench: Callable) -> None:
    bench = make_bench(1, auth="none")
    fleet, path = fleet_of(bench), bench.mappings._path
    path.write_text(f"{{{PARTLY}]}}")
    await fleet.read_fleet_once()
    assert "1.0.98.1.0.255" not in {str(kept.obis) for kept in bench.deliveries()[-1].unknown}

    async def again(note: str) -> int:
        path.write_text(f'{{{PARTLY}, {{"kind": "ignore", "class": 1, "obis": "{note}.0.0.0.0.0"}}]}}')
        bench.clock.advance(minutes=1)
        await fleet.read_fleet_once()
        return len(bench.deliveries()[-1].exchanges)

    assert await again("7") > await again("7") == await again("7")
    assert await again("8") > await again("8")


async def test_a_repair_counts_after_a_restart_and_a_failed_session_too(make_bench: Callable) -> None:
    bench = make_bench(1, auth="none")
    path, meter_id = bench.mappings._path, bench.simulated.meters[0].meter_id
    whole = path.read_text()
    path.write_text(f"{{{PARTLY}]}}")
    await fleet_of(bench).read_fleet_once()
    path.write_text(whole)
    bench.connector.refused.add(meter_id)
    await fleet_of(bench).read_fleet_once()
    bench.connector.refused.clear()
    await fleet_of(bench).read_fleet_once()
    assert {len(series.starts) for series in bench.deliveries()[-1].intervals} == {3 * 96}
