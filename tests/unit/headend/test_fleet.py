"""The fleet is read: complete, by the truth, within its limits, and every failure is told."""

from collections.abc import Callable

import numpy as np
import pytest

from amity.domain.collection import Outcome
from amity.headend.fleet import Fleet
from amity.kernel.obis import Obis

INTERVAL_OBIS = ("1.0.1.29.0.255", "1.0.2.29.0.255", "1.0.3.29.0.255")


@pytest.mark.parametrize("auth", [None, "none", "lls", "hls-gmac"])
async def test_every_meter_of_every_model_is_read_completely(make_bench: Callable, auth: str | None) -> None:
    bench = make_bench(10, auth=auth)
    finished = await Fleet(bench.surroundings).read_fleet_once()
    for one in bench.deliveries():
        assert (one.outcome, one.detail) == (Outcome.COMPLETE, ()), one.detail
        assert sorted(str(series.reading_type.obis) for series in one.intervals) == sorted(INTERVAL_OBIS)
        assert {len(series.starts) for series in one.intervals} == {3 * 96}
        assert one.unknown == ()
    assert set(finished.outcomes.values()) == {Outcome.COMPLETE}
    assert len(finished.outcomes) == 10


async def test_the_intervals_are_the_simulated_truth(make_bench: Callable) -> None:
    bench = make_bench(10)
    await Fleet(bench.surroundings).read_fleet_once()
    for one in bench.deliveries():
        meter = bench.simulated.meter(one.meter_id)
        for series in one.intervals:
            obis, exponent = Obis(series.reading_type.obis), series.reading_type.exponent
            truth = [meter.truth_wh(obis, int(start)) for start in series.starts[-20:]]
            read = series.values[-20:] * 10.0**exponent
            step = 10 if meter.profile.key.startswith("bergholm") else 1
            assert np.all(np.abs(read - truth) <= step), (one.profile, str(obis))
