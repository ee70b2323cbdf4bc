"""Deliveries taken in together leave what they leave one by one, with VEE looking at every channel by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amity.domain.blocks import Stage
from amity.domain.collection import Delivery, Outcome
from amity.kernel.time import SECONDS_PER_DAY
from amity.storage.it.database import ItDatabase
from amity.usecases import validation
from amity.usecases.ingest import ingest_all
from amity.usecases.ports import Arrived
from tests.unit.storage.databases import DAY, IMPORT, NOON, FixedClock, delivery, empty_database, register, series

EXPORT = IMPORT.__class__(IMPORT.obis.__class__(bytes((1, 0, 2, 29, 0, 255))), IMPORT.unit, -1, 900)
SPIKE_WH = 9_000
VALUES_WH = [100 + slot * 7 % 50 for slot in range(48)]


@dataclass(frozen=True)
class Told:
    """One delivery as hypothesis draws it: half days of one meter, whole or with a hole or a spike in them."""

    meter: int
    half_days: tuple[int, int]
    oddity: str
    snapshot: bool
    minutes_late: int

    @staticmethod
    def total_at(half_day: int) -> int:
        """Of a meter that counts what it says, as long as nothing is odd."""
        return half_day * sum(VALUES_WH)

    def delivery(self, number: int) -> Delivery:
        first, count = self.half_days
        values = VALUES_WH * count
        if self.oddity == "hole":
            values[20:23] = [-1] * 3
        if self.oddity == "spike":
            values[30] = SPIKE_WH
        some = [series(first * 48, values, reading_type=kind) for kind in (IMPORT, EXPORT)]
        at_s = DAY * SECONDS_PER_DAY + first * SECONDS_PER_DAY // 2
        totals = ((self.total_at(first), at_s), (self.total_at(first + count), at_s + count * SECONDS_PER_DAY // 2))
        snapshots = tuple(register(*total) for total in totals)
        return delivery(
            f"message {number}", *some, meter_id=f"M{self.meter}",
            registers=snapshots if self.snapshot else (),
            collected_at=NOON + timedelta(hours=number, minutes=-self.minutes_late),
            outcome=Outcome.PARTIAL if self.oddity == "hole" else Outcome.COMPLETE,
        )  # fmt: skip


TOLD = st.builds(
    Told,
    meter=st.integers(0, 2),
    half_days=st.tuples(st.integers(0, 5), st.integers(1, 4)),
    oddity=st.sampled_from(["", "", "", "hole", "spike"]),
    snapshot=st.booleans(),
    minutes_late=st.sampled_from([0, 0, 0, 150]),
)


def taken_in(batches: Sequence[Sequence[Delivery]]) -> dict[str, object]:
    with TemporaryDirectory() as folder:
        database = empty_database(Path(folder))
        for batch in batches:
            ingest_all([Arrived(one, one.message_id.encode()) for one in batch], database, FixedClock())
        kept = contents(database)
        database.close()
        return kept


def contents(database: ItDatabase) -> dict[str, object]:
    channels = sorted(database.blocks.channels(), key=lambda one: (one.meter_id, one.obis))
    versions = [
        (one.meter_id, bytes(one.obis), stage, day, version.revision, version.source, *map(bytes, (
            version.values, version.qualities)))
        for one in channels
        for stage in Stage
        for day in range(DAY - 2, DAY + 6)
        for version in database.blocks.revisions(stage, one.channel_id, day)
    ]  # fmt: skip
    findings = [
        (one.meter_id, bytes(one.obis), found.rule, found.start_s, found.end_s, found.message, found.resolved)
        for one in channels
        for found in database.exceptions.covering(one.channel_id, 0, 2**40)
    ]
    return {"versions": versions, "findings": findings, "states": database.deliveries.states()}


@settings(max_examples=50)
@given(st.lists(TOLD, min_size=1, max_size=7), st.integers(1, 4))
def test_together_or_one_by_one_the_store_holds_the_same(told: list[Told], size: int) -> None:
    deliveries = [one.delivery(number) for number, one in enumerate(told)]
    deliveries += deliveries[:1]  # one comes again
    together = taken_in([deliveries[first : first + size] for first in range(0, len(deliveries), size)])
    with mock.patch.object(validation, "_settle_unremarkable", return_value=frozenset()):
        singly = taken_in([[one] for one in deliveries])
    assert together == singly


@pytest.mark.parametrize("snapshot", [False, True])
def test_the_quick_way_is_taken(snapshot: bool) -> None:
    days = [Told(meter, (2 * day, 2), "", snapshot, 0) for day in range(3) for meter in range(3)]
    deliveries = [one.delivery(number) for number, one in enumerate(days)]
    with mock.patch.object(validation, "revise", side_effect=pytest.fail):
        taken_in([deliveries])
