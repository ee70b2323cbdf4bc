"""A delivery through evidence, raw values, VEE and final values, on a real database."""

import random
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from amity.domain.blocks import Channel, Stage
from amity.domain.collection import Delivery
from amity.domain.readings import Quality
from amity.kernel.errors import RemoteProtocolError, StorageError
from amity.kernel.time import SECONDS_PER_DAY
from amity.storage.it.database import ItDatabase
from amity.usecases.ingest import Ingested, ingest
from tests.unit.storage.databases import DAY, IMPORT, NOON, FixedClock, delivery, register, series

MIDNIGHT_S = DAY * SECONDS_PER_DAY


def take(database: ItDatabase, one: Delivery, *, hours: int = 0) -> Ingested:
    return ingest(one, b"body", database, FixedClock(NOON + timedelta(hours=hours)))


def day_of(database: ItDatabase, stage: Stage, day: int = DAY) -> tuple[list[int], list[int]]:
    (channel,) = database.blocks.channels("M1")
    (block,) = database.blocks.read(stage, [channel.channel_id], day, day)
    return block.values.tolist(), block.qualities.tolist()


def rules(database: ItDatabase) -> list[tuple[str, int, int]]:
    """Open and resolved findings of the only channel: rule, first slot from `DAY` on, number of slots."""
    (channel,) = database.blocks.channels("M1")
    found = database.exceptions.covering(channel.channel_id, 0, 2**40)
    return [(f.rule, (f.start_s - MIDNIGHT_S) // 900, (f.end_s - f.start_s) // 900) for f in found]


def test_a_whole_day_becomes_final_as_it_is(database: ItDatabase) -> None:
    assert take(database, delivery("a", series(0, list(range(96))))) == Ingested("a", new=True)
    assert rules(database) == []
    assert day_of(database, Stage.FINAL) == day_of(database, Stage.RAW) == (list(range(96)), [1] * 96)


def test_the_same_delivery_again_changes_nothing(database: ItDatabase) -> None:
    one = delivery("a", series(0, [1, -1, 3]))
    take(database, one)
    assert take(database, one, hours=1) == Ingested("a", new=False)
    (channel,) = database.blocks.channels("M1")
    assert len(database.blocks.revisions(Stage.RAW, channel.channel_id, DAY)) == 1


def test_the_same_readings_in_another_delivery_make_no_new_version(database: ItDatabase) -> None:
    take(database, delivery("a", series(0, [1, -1, 3])))
    assert take(database, delivery("b", series(0, [1, -1, 3])), hours=1).new
    (channel,) = database.blocks.channels("M1")
    assert [len(database.blocks.revisions(stage, channel.channel_id, DAY)) for stage in Stage] == [1, 1]
    (kept,) = database.exceptions.covering(channel.channel_id, 0, 2**40)
    assert kept.found_at == NOON


def test_a_short_gap_is_interpolated_and_the_measured_value_takes_its_place_later(database: ItDatabase) -> None:
    take(database, delivery("a", series(0, [10, -1, -1, 40])))
    values, qualities = day_of(database, Stage.FINAL)
    assert (values[:4], qualities[:4]) == ([10, 20, 30, 40], [1, 2, 2, 1])
    assert rules(database) == [("linear-interpolation", 1, 2)]
    assert list(database.exceptions.open()) == []

    take(database, delivery("b", series(1, [17])), hours=1)
    values, qualities = day_of(database, Stage.FINAL)
    assert (values[:4], qualities[:4]) == ([10, 17, 29, 40], [1, 1, 2, 1])
    assert rules(database) == [("linear-interpolation", 2, 1)]

    take(database, delivery("c", series(2, [23])), hours=2)
    assert day_of(database, Stage.FINAL) == day_of(database, Stage.RAW)
    assert rules(database) == []


def test_final_versions_name_the_rules_and_the_delivery_behind_them(database: ItDatabase) -> None:
    take(database, delivery("a", series(0, [10, -1, 40])))
    take(database, delivery("b", series(1, [17])), hours=1)
    (channel,) = database.blocks.channels("M1")
    versions = database.blocks.revisions(Stage.FINAL, channel.channel_id, DAY)
    assert [version.source for version in versions] == ["vee 1, after a", "vee 1, after b"]
    (then,) = database.blocks.read(Stage.FINAL, [channel.channel_id], DAY, DAY, as_known_at=NOON)
    assert then.qualities[:3].tolist() == [1, 2, 1]


def test_a_gap_over_midnight_closes_when_the_next_day_arrives(database: ItDatabase) -> None:
    take(database, delivery("a", series(0, [10] * 94)))
    assert rules(database) == []
    take(database, delivery("b", series(98, [10] * 20)), hours=1)
    assert rules(database) == [("linear-interpolation", 94, 4)]
    assert day_of(database, Stage.FINAL)[1][92:] == [1, 1, 2, 2]
    assert day_of(database, Stage.FINAL, DAY + 1)[1][:3] == [2, 2, 1]


def test_days_without_a_word_are_one_gap_whoever_comes_first(database: ItDatabase) -> None:
    take(database, delivery("b", series(9 * 96, [10] * 96)))
    take(database, delivery("a", series(0, [10] * 96)))
    assert rules(database) == [("missing-intervals", 96, 8 * 96)]
    take(database, delivery("c", series(4 * 96, [10] * 96)))
    assert rules(database) == [("missing-intervals", 96, 3 * 96), ("missing-intervals", 5 * 96, 4 * 96)]


def test_an_estimate_goes_when_its_end_point_is_called_in_question(database: ItDatabase) -> None:
    take(database, delivery("a", series(0, [10, -1, 40])))
    outage = series(2, [0])
    outage.qualities[:] = Quality.MEASURED | Quality.POWER_OUTAGE
    take(database, delivery("b", outage), hours=1)
    assert day_of(database, Stage.FINAL)[1][:3] == [1, 0, 33]
    assert rules(database) == [("missing-intervals", 1, 1)]


def test_registers_are_checked_whether_they_come_before_with_or_after_the_intervals(database: ItDatabase) -> None:
    before, after = register(1000, MIDNIGHT_S), register(1900, MIDNIGHT_S + SECONDS_PER_DAY)
    take(database, delivery("r1", registers=(before,)))
    take(database, delivery("a", series(0, [10] * 96)))
    assert rules(database) == []
    take(database, delivery("r2", registers=(after,)))
    assert rules(database) == [("register-sum-check", 0, 96)]
    (open_finding,) = database.exceptions.open("M1")
    assert "difference of 60" in open_finding.message
    correction = register(1960, MIDNIGHT_S + SECONDS_PER_DAY)
    take(database, delivery("r3", registers=(correction,), collected_at=NOON + timedelta(hours=1)))
    assert rules(database) == []


def test_a_months_snapshot_judges_every_day_between(database: ItDatabase) -> None:
    take(database, delivery("a", *(series(day * 96, [10] * 96) for day in range(30))))
    snapshots = (register(0, MIDNIGHT_S), register(30 * 960, MIDNIGHT_S + 30 * SECONDS_PER_DAY))
    take(database, delivery("r", registers=snapshots))
    assert rules(database) == []
    take(database, delivery("b", series(17 * 96 + 5, [510])))
    assert rules(database) == [("register-sum-check", 0, 30 * 96)]


@pytest.mark.parametrize("gap", [[], [-1]], ids=["whole", "with a gap"])
def test_days_since_a_single_snapshot_are_not_looked_at_again_with_every_delivery(
    database: ItDatabase, monkeypatch: pytest.MonkeyPatch, gap: list[int]
) -> None:
    read, looked_at = database.blocks.read, []

    def spied(stage: Stage, channel_ids: object, first_day: int, last_day: int) -> object:
        looked_at.append(last_day - first_day + 1)
        return read(stage, channel_ids, first_day, last_day)

    take(database, delivery("r", registers=(register(0, MIDNIGHT_S),)))
    monkeypatch.setattr(database.blocks, "read", spied)
    for day in range(8):
        looked_at.clear()
        take(database, delivery(f"d{day}", series(day * 96, [10, *gap, *[10] * (95 - len(gap))])))
    assert looked_at
    assert max(looked_at) <= 3, "the day and what its neighbours reach, not all days since the snapshot"


@pytest.mark.parametrize(("later", "values"), [(3, [10] * 48), (5, [10, -1, *[10] * 46])], ids=["whole", "with a gap"])
def test_a_wrong_sum_stands_whatever_a_later_day_brings(database: ItDatabase, later: int, values: list[int]) -> None:
    """Half days; the later one is compared from noon of the first on, and what ended there is none of its business."""
    totals = {0: 0, 1: 999, 3: 999 + 2 * 480, 5: 999 + 4 * 480}
    half_day_s = SECONDS_PER_DAY // 2
    snapshots = [register(totals[half], MIDNIGHT_S + half * half_day_s) for half in totals if half <= later]
    take(database, delivery("a", series(0, [10] * later * 48), registers=tuple(snapshots)))
    assert rules(database) == [("register-sum-check", 0, 48)]
    take(database, delivery("b", series(later * 48, values)))
    assert ("register-sum-check", 0, 48) in rules(database)


def test_what_was_missing_before_the_first_snapshot_is_found_no_more_when_it_came(database: ItDatabase) -> None:
    noon_s = MIDNIGHT_S + 3 * SECONDS_PER_DAY // 2
    snapshots = (register(0, noon_s), register(480, noon_s + SECONDS_PER_DAY // 2))
    day = [10] * 4 + [-1] * 40 + [10] * 52
    take(database, delivery("a", series(0, day * 2), registers=snapshots))
    assert rules(database) == [("missing-intervals", 4, 40), ("missing-intervals", 100, 40)]
    take(database, delivery("b", series(4, [10] * 40), series(100, [10] * 40)))
    assert rules(database) == []


def test_a_register_without_intervals_is_only_kept(database: ItDatabase) -> None:
    take(database, delivery("r", registers=(register(1, MIDNIGHT_S),)))
    assert list(database.exceptions.open()) == []
    assert len(database.deliveries.registers("M1")) == 1


def test_channels_of_one_delivery_do_not_mix(database: ItDatabase) -> None:
    halves = series(0, [7, -1, 9], reading_type=IMPORT.__class__(IMPORT.obis, IMPORT.unit, 0, 1800))
    take(database, delivery("a", series(0, [1, 2, 3]), halves))
    assert [channel.interval_s for channel in database.blocks.channels("M1")] == [900, 1800]


def test_a_clock_that_was_lost_does_not_stretch_the_gap_over_decades(database: ItDatabase) -> None:
    take(database, delivery("a", series(0, [1], day=10_957), series(0, [1, -1, 3])))  # 2000-01-01, a reset clock
    assert rules(database) == [("linear-interpolation", 1, 1)]


def test_a_delivery_that_cannot_be_true_leaves_no_trace(database: ItDatabase) -> None:
    crooked = series(0, [1, 2])
    crooked.starts[1] += 1
    with pytest.raises(RemoteProtocolError, match="off the grid"):
        take(database, delivery("a", series(0, [1]), crooked))
    assert list(database.deliveries.states()) == []
    assert list(database.blocks.channels()) == []


def test_when_the_database_fails_half_way_the_delivery_can_come_again(
    database: ItDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = delivery("a", series(0, [1, -1, 3]))
    with monkeypatch.context() as patch:

        def refuse(*_arguments: object, **_named: object) -> None:
            raise StorageError("the disk is full")

        patch.setattr(database.exceptions, "replace", refuse)
        with pytest.raises(StorageError):
            take(database, one)
    assert list(database.blocks.channels()) == []
    assert take(database, one).new
    assert rules(database) == [("linear-interpolation", 1, 1)]


@pytest.mark.parametrize("seed", range(12))
def test_final_values_do_not_depend_on_the_order_or_the_pieces_in_which_readings_came(
    database: ItDatabase, seed: int
) -> None:
    chance = random.Random(seed)
    slots = 4 * 96
    truth = [-1 if chance.random() < 0.1 else chance.randrange(60) for _ in range(slots)]
    hole, length = chance.randrange(slots - 130), chance.randrange(130)
    truth[hole : hole + length] = [-1] * length
    pieces = _pieces(truth, chance)
    snapshots = [register(day * 1000, MIDNIGHT_S + day * SECONDS_PER_DAY) for day in range(4)]
    parts = [delivery(f"p{number}", piece) for number, piece in enumerate(pieces)]
    parts += [delivery(f"r{number}", registers=(one,)) for number, one in enumerate(snapshots)]
    chance.shuffle(parts)
    for part in parts:
        take(database, part)
    whole = delivery("whole", series(0, truth), registers=tuple(snapshots), meter_id="M2")
    ingest(whole, b"", database, FixedClock())
    assert _all_known(database, "M1") == _all_known(database, "M2")


def _pieces(truth: list[int], chance: random.Random) -> list[object]:
    cuts = sorted({0, len(truth), *(chance.randrange(len(truth)) for _ in range(8))})
    return [series(a, truth[a:b]) for a, b in pairwise(cuts) if any(v >= 0 for v in truth[a:b])]


def _all_known(database: ItDatabase, meter_id: str) -> list[object]:
    (channel,) = database.blocks.channels(meter_id)
    final = _columns(database, channel)
    found = database.exceptions.covering(channel.channel_id, 0, 2**40)
    return [final, [(f.rule, f.start_s, f.end_s, f.message, f.resolved) for f in found]]


def _columns(database: ItDatabase, channel: Channel) -> dict[int, tuple[list[int], list[int]]]:
    blocks = database.blocks.read(Stage.FINAL, [channel.channel_id], 0, 2**31)
    return {
        block.day: (np.where(block.qualities, block.values, 0).tolist(), block.qualities.tolist()) for block in blocks
    }
