from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from amity.domain.blocks import Block, Channel, Stage
from amity.domain.readings import Quality
from amity.kernel.errors import StorageError
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.storage.it.block_merge import BlockMerge
from amity.storage.it.database import ItDatabase
from tests.unit.storage.databases import DATABASES, DAY, IMPORT, NOON, block, known


def merge(database: ItDatabase, *blocks: Block, source: str = "a", stage: Stage = Stage.RAW, hours: int = 0) -> int:
    return database.blocks.merge(stage, blocks, source=source, recorded_at=NOON + timedelta(hours=hours))


def stored(database: ItDatabase, channel: Channel, stage: Stage = Stage.RAW) -> dict[int, dict[int, int]]:
    found = database.blocks.read(stage, [channel.channel_id], 0, 2**31)
    return {one.day: known(one) for one in found}


def test_a_channel_is_found_again_and_another_reading_type_is_another_one(database: ItDatabase) -> None:
    first = database.blocks.channel("M1", IMPORT)
    assert database.blocks.channel("M1", IMPORT) == first
    others = [
        database.blocks.channel("M2", IMPORT),
        database.blocks.channel("M1", replace(IMPORT, interval_s=1800)),
        database.blocks.channel("M1", replace(IMPORT, exponent=1)),
        database.blocks.channel("M1", replace(IMPORT, unit=Unit.VAR_HOUR)),
        database.blocks.channel("M1", replace(IMPORT, obis=Obis.parse("1.0.2.29.0.255"))),
    ]
    assert len({one.channel_id for one in [first, *others]}) == 6
    assert [one.meter_id for one in database.blocks.channels()] == ["M1"] * 5 + ["M2"]
    assert database.blocks.channels("M2") == others[:1]
    assert first.obis == IMPORT.obis
    assert isinstance(first.obis, Obis)


def test_a_stored_block_comes_back_as_it_went_in(database: ItDatabase, channel: Channel) -> None:
    assert merge(database, block(channel.channel_id, {0: 5, 95: -7})) == 1
    (found,) = database.blocks.read(Stage.RAW, [channel.channel_id], DAY, DAY)
    assert (found.channel_id, found.day, found.interval_s) == (channel.channel_id, DAY, 900)
    assert (found.revision, found.source, found.recorded_at) == (1, "a", NOON)
    assert known(found) == {0: 5, 95: -7}


def test_partial_days_merge_per_interval_and_the_newer_value_wins(database: ItDatabase, channel: Channel) -> None:
    merge(database, block(channel.channel_id, {0: 1, 1: 1}))
    assert merge(database, block(channel.channel_id, {1: 2, 2: 2})) == 1
    assert stored(database, channel) == {DAY: {0: 1, 1: 2, 2: 2}}


def test_merging_again_changes_nothing(database: ItDatabase, channel: Channel) -> None:
    whole, part = block(channel.channel_id, {0: 1, 1: 2, 2: 3}), block(channel.channel_id, {1: 2})
    assert merge(database, whole) == 1
    assert merge(database, whole, source="b") == 0
    assert merge(database, part, source="b") == 0
    assert [one.revision for one in database.blocks.revisions(Stage.RAW, channel.channel_id, DAY)] == [1]


def test_one_call_may_hold_a_channel_day_twice_and_the_later_is_newer(database: ItDatabase, channel: Channel) -> None:
    assert merge(database, block(channel.channel_id, {0: 1, 1: 1}), block(channel.channel_id, {1: 2})) == 1
    assert stored(database, channel) == {DAY: {0: 1, 1: 2}}


def test_every_version_stays_and_can_be_read_as_known_at_its_time(database: ItDatabase, channel: Channel) -> None:
    for hours, slots in enumerate([{0: 1}, {0: 2, 1: 2}, {0: 3}]):
        merge(database, block(channel.channel_id, slots), source=f"message {hours}", hours=hours)
    versions = database.blocks.revisions(Stage.RAW, channel.channel_id, DAY)
    assert [(one.revision, one.source, known(one)) for one in versions] == [
        (1, "message 0", {0: 1}),
        (2, "message 1", {0: 2, 1: 2}),
        (3, "message 2", {0: 3, 1: 2}),
    ]
    for hours, one in enumerate(versions):
        at = NOON + timedelta(hours=hours, minutes=59)
        (then,) = database.blocks.read(Stage.RAW, [channel.channel_id], DAY, DAY, as_known_at=at)
        assert known(then) == known(one)
    before = NOON - timedelta(seconds=1)
    assert list(database.blocks.read(Stage.RAW, [channel.channel_id], DAY, DAY, as_known_at=before)) == []


def test_replacing_may_take_a_value_away_but_keeps_its_version(database: ItDatabase, channel: Channel) -> None:
    merge(database, block(channel.channel_id, {0: 1, 1: 1}), stage=Stage.FINAL)
    without = [block(channel.channel_id, {0: 1})]
    assert database.blocks.replace(Stage.FINAL, without, source="b", recorded_at=NOON) == 1
    assert database.blocks.replace(Stage.FINAL, without, source="c", recorded_at=NOON) == 0
    assert stored(database, channel, Stage.FINAL) == {DAY: {0: 1}}
    assert len(database.blocks.revisions(Stage.FINAL, channel.channel_id, DAY)) == 2


def test_stages_are_apart(database: ItDatabase, channel: Channel) -> None:
    merge(database, block(channel.channel_id, {0: 1}))
    assert stored(database, channel, Stage.FINAL) == {}


def test_reading_goes_by_channel_then_day_and_minds_the_span(database: ItDatabase) -> None:
    ids = [database.blocks.channel(f"M{n}", IMPORT).channel_id for n in range(3)]
    merge(database, *(block(n, {0: n}, day=day) for day in (DAY + 2, DAY, DAY + 1) for n in reversed(ids)))
    found = database.blocks.read(Stage.RAW, [ids[2], ids[0]], DAY, DAY + 1)
    assert [(one.channel_id, one.day) for one in found] == [(n, d) for n in (ids[0], ids[2]) for d in (DAY, DAY + 1)]
    assert list(database.blocks.read(Stage.RAW, [], DAY, DAY)) == []


def test_a_span_is_widened_to_the_nearest_stored_days(database: ItDatabase, channel: Channel) -> None:
    merge(database, *(block(channel.channel_id, {0: 1}, day=DAY + day) for day in (0, 3, 9)))
    widened = database.blocks.span_with_neighbours
    assert widened(Stage.RAW, channel.channel_id, DAY + 4, DAY + 5) == (DAY + 3, DAY + 9)
    assert widened(Stage.RAW, channel.channel_id, DAY + 3, DAY + 3) == (DAY, DAY + 9)
    assert widened(Stage.RAW, channel.channel_id, DAY, DAY + 9) == (DAY, DAY + 9)
    assert widened(Stage.FINAL, channel.channel_id, DAY, DAY) == (DAY, DAY)


def test_another_interval_length_is_refused_and_nothing_of_the_call_stays(
    database: ItDatabase, channel: Channel
) -> None:
    merge(database, block(channel.channel_id, {0: 1}))
    other = database.blocks.channel("M2", IMPORT)
    with pytest.raises(StorageError, match="96 intervals a day, not 48"):
        merge(database, block(other.channel_id, {0: 1}), block(channel.channel_id, {0: 2}, interval_s=1800))
    assert stored(database, channel) == {DAY: {0: 1}}
    assert stored(database, other) == {}


def test_a_channel_that_does_not_exist_is_refused(database: ItDatabase) -> None:
    with pytest.raises(StorageError):
        merge(database, block(4711, {0: 1}))


def test_who_loses_the_race_goes_round_again_and_loses_no_reading(
    database: ItDatabase, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge(database, block(channel.channel_id, {0: 1}))
    honest = BlockMerge._stored
    rounds = []

    def stale_once(self: BlockMerge, keys: object) -> object:
        """Read, and before the swap let another writer be faster."""
        found = honest(self, keys)
        rounds.append(len(found))
        if len(rounds) == 1:
            BlockMerge(self.connection, Stage.RAW, self.combine, "faster", NOON).settle(
                [block(channel.channel_id, {1: 2})]
            )
        return found

    monkeypatch.setattr(BlockMerge, "_stored", stale_once)
    assert merge(database, block(channel.channel_id, {2: 3}), source="slower") == 1
    assert stored(database, channel) == {DAY: {0: 1, 1: 2, 2: 3}}
    versions = database.blocks.revisions(Stage.RAW, channel.channel_id, DAY)
    assert [(one.revision, one.source) for one in versions] == [(1, "a"), (2, "faster"), (3, "slower")]
    assert len(rounds) == 3  # the slower one twice, the faster one within


def test_writes_in_a_transaction_stay_or_go_together(database: ItDatabase, channel: Channel) -> None:
    def fail_half_way() -> None:
        with database.transaction():
            merge(database, block(channel.channel_id, {0: 1}))
            assert stored(database, channel) == {DAY: {0: 1}}
            raise KeyError("on the way")

    with pytest.raises(KeyError):
        fail_half_way()
    assert stored(database, channel) == {}


def test_more_blocks_than_fit_one_statement(database: ItDatabase, channel: Channel) -> None:
    blocks = [block(channel.channel_id, {0: day}, day=day) for day in range(1, 4_500)]
    assert merge(database, *blocks) == len(blocks)
    assert merge(database, *blocks) == 0
    assert stored(database, channel) == {day: {0: day} for day in range(1, 4_500)}


def test_qualities_come_back_bit_by_bit(database: ItDatabase, channel: Channel) -> None:
    flagged = block(channel.channel_id, dict.fromkeys(range(96), 1))
    flagged.qualities[:8] = [1 << bit for bit in range(8)]
    merge(database, flagged)
    (found,) = database.blocks.read(Stage.RAW, [channel.channel_id], DAY, DAY)
    assert found.qualities[:9].tolist() == [1, 2, 4, 8, 16, 32, 64, 128, Quality.MEASURED]


def test_the_store_is_the_same_after_it_was_closed(tmp_path: Path) -> None:
    first = DATABASES["sqlite"](tmp_path)
    channel = first.blocks.channel("M1", IMPORT)
    merge(first, block(channel.channel_id, {3: 4}))
    first.close()
    second = DATABASES["sqlite"](tmp_path)
    assert stored(second, channel) == {DAY: {3: 4}}
    second.close()
