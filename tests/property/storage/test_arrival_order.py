"""Deliveries that overlap end in the same values in whatever order they arrive: that in which they were collected."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from amity.domain.blocks import Stage
from amity.domain.collection import Delivery
from amity.usecases.ingest import ingest
from tests.unit.storage.databases import DAY, NOON, FixedClock, delivery, empty_database, series

SPANS = st.lists(
    st.tuples(st.integers(0, 190), st.lists(st.integers(-1, 3000), min_size=1, max_size=8)), min_size=2, max_size=5
)
Contents = list[tuple[int, list[int], list[int]]]


def collected(spans: list[tuple[int, list[int]]]) -> list[Delivery]:
    return [
        delivery(str(hours), series(first, values), collected_at=NOON + timedelta(hours=hours))
        for hours, (first, values) in enumerate(spans)
    ]


def outcome_of(arrivals: list[Delivery], stage: Stage) -> Contents:
    with TemporaryDirectory() as folder:
        database = empty_database(Path(folder))
        for hours, one in enumerate(arrivals):
            ingest(one, b"body", database, FixedClock(NOON + timedelta(days=1, hours=hours)))
        ids = [channel.channel_id for channel in database.blocks.channels("M1")]
        found = database.blocks.read(stage, ids, DAY, DAY + 2)
        database.close()
    return [(one.day, one.values.tolist(), one.qualities.tolist()) for one in found if one.qualities.any()]


@settings(max_examples=40)
@given(SPANS, st.randoms(use_true_random=False))
def test_any_order_of_arrival_ends_as_the_order_of_collection(
    spans: list[tuple[int, list[int]]], shuffler: object
) -> None:
    deliveries = collected(spans)
    shuffled = deliveries.copy()
    shuffler.shuffle(shuffled)
    assert outcome_of(shuffled, Stage.RAW) == outcome_of(deliveries, Stage.RAW)


def test_a_late_delivery_fills_gaps_and_overwrites_nothing_newer() -> None:
    early, late = collected([(0, [1, 2, 3]), (1, [20])])
    ((_, values, qualities),) = outcome_of([late, early], Stage.RAW)
    assert (values[:4], qualities[:4]) == ([1, 20, 3, 0], [1, 1, 1, 0])
    assert outcome_of([late, early], Stage.FINAL)[0][1][:3] == [1, 20, 3]
