"""A meter whose clock is ahead pushes a row for an interval yet to come; found by `make simulate`, seed 180."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from amity.domain.readings import Quality
from amity.headend.calls.callers import CallingFrom
from amity.headend.pushes.desk import PushDesk
from amity.kernel.time import epoch_s
from amity.protocols.wrapper.frame import Reader
from amity.simulation.counters import MeterCounter, reservation_by_time
from amity.simulation.pushes import Pusher


@pytest.mark.parametrize(("ahead", "suspect"), [(timedelta(0), False), (timedelta(hours=2), True)])
async def test_an_interval_from_the_future_is_suspect(make_bench: Callable, ahead: timedelta, *, suspect: bool) -> None:
    bench = make_bench(5)
    meter, now = bench.meter_with("quillon_q5"), bench.clock.now()
    pushed = Pusher(meter, MeterCounter(reservation_by_time(now))).interval(epoch_s(now) // 900 * 900 - 900, now)
    (frame,) = Reader().feed(pushed)
    bench.clock.instant -= ahead
    await PushDesk(bench.surroundings, bench.database.push_counters).take(frame, CallingFrom("127.0.0.1"))
    (delivery,) = bench.deliveries()
    marks = {bool(Quality(int(one.qualities[0])) & Quality.CLOCK_SUSPECT) for one in delivery.intervals}
    assert marks == {suspect}
