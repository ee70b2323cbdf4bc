from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from amity.domain.blocks import Block, Stage
from amity.domain.collection import Outcome
from amity.kernel.errors import NotFoundError, RequestError
from amity.kernel.time import date_of
from amity.messaging.codec import ProtobufCodec
from amity.usecases.collection import alike_sessions, collection_overview, findings_and_next_step
from amity.usecases.condition import Condition
from amity.usecases.meters import NEVER, MeterOrder, MeterQuery, MeterRow, list_meters, maker_of, meter_detail
from amity.usecases.readings import newest_day, read_channel
from amity.usecases.services import Services
from tests.unit.usecases.memory_database import FixedClock, MemoryDatabase, MemoryLogins
from tests.web.plausible_town import EXPORT, IMPORT, NOW, fill, meter_name

HOUSEHOLD_DAY = 15_625


@pytest.fixture(scope="module")
def services() -> Services:
    database = MemoryDatabase()
    fill(database, ProtobufCodec())
    return Services(database, MemoryLogins(), ProtobufCodec(), FixedClock(NOW), bytes)


@pytest.mark.parametrize(
    ("text", "found"),
    [("quay street", 25), ("34000012", 1), ("T-07", 10), ("borealis", 50), ("  QUAY  ", 25), ("zzz", 0)],
)
def test_a_text_is_looked_for_in_everything_a_person_may_know(services: Services, text: str, found: int):
    assert list_meters(services, MeterQuery(text=text)).total == found


@pytest.mark.parametrize("order", MeterOrder)
def test_each_order_sorts_and_its_reverse_is_the_reverse(services: Services, order: MeterOrder):
    rows = list_meters(services, MeterQuery(order=order, limit=1000)).rows
    back = list_meters(services, MeterQuery(order=order, descending=True, limit=1000)).rows
    assert [row.meter.meter_id for row in back] == [row.meter.meter_id for row in reversed(rows)]
    keys = {
        MeterOrder.METER: lambda row: row.meter.meter_id,
        MeterOrder.CONDITION: lambda row: list(Condition).index(row.condition),
        MeterOrder.LAST_ANSWER: lambda row: row.last_answer_at or NEVER,
        MeterOrder.TRANSFORMER: lambda row: row.usage_point.transformer_id,
        MeterOrder.ADDRESS: lambda row: row.usage_point.address,
    }
    assert list(map(keys[order], rows)) == sorted(map(keys[order], rows))


def test_pages_put_together_are_the_list(services: Services):
    pages = [list_meters(services, MeterQuery(offset=offset, limit=70)).rows for offset in (0, 70, 140)]
    ids = [row.meter.meter_id for page in pages for row in page]
    assert len(ids) == len(set(ids)) == 200


@pytest.mark.parametrize(("offset", "limit"), [(-1, 10), (0, 0), (0, 1001)])
def test_an_impossible_page_is_refused(services: Services, offset: int, limit: int):
    with pytest.raises(RequestError):
        list_meters(services, MeterQuery(offset=offset, limit=limit))


def test_conditions_are_counted_before_they_are_filtered(services: Services):
    page = list_meters(services, MeterQuery(conditions=frozenset({Condition.SILENT})))
    assert page.total == page.conditions[Condition.SILENT] == 12
    assert sum(page.conditions.values()) == 200


def test_a_meter_shows_the_newest_reading_of_each_register(services: Services):
    registers = meter_detail(services, meter_name(1)).registers
    assert [str(r.reading_type.obis) for r in registers] == ["1.0.1.8.0.255", "1.0.2.8.0.255", "1.0.3.8.0.255"]
    assert {r.at for r in registers} == {NOW.replace(hour=0, minute=0)}


def test_an_unknown_meter_is_not_found(services: Services):
    with pytest.raises(NotFoundError):
        meter_detail(services, "NOBODY")


def test_collection_counts_every_meter_once_and_shows_trouble_first(services: Services):
    overview = collection_overview(services)
    assert sum(overview.outcomes.values()) + overview.waiting == len(overview.rows) == 200
    answered = [row.state.outcome.answered for row in overview.rows]
    assert answered == sorted(answered)
    assert len(collection_overview(services, Outcome.WRONG_KEY).rows) == 2


def test_the_next_step_is_taken_out_of_the_detail():
    assert findings_and_next_step(("no answer", "tried: TCP", "next: wait")) == (["no answer", "tried: TCP"], "wait")
    assert findings_and_next_step(()) == ([], None)


def test_a_range_between_intervals_holds_those_that_start_in_it(services: Services):
    start = datetime(2026, 3, 17, 8, 7, tzinfo=NOW.tzinfo)
    readings = read_channel(services, meter_name(12), IMPORT.obis, start, start + timedelta(minutes=30))
    assert [second % 3600 // 60 for second in readings.starts.tolist()] == [15, 30]


def test_a_range_without_any_block_is_all_missing(services: Services):
    start = NOW - timedelta(days=300)
    readings = read_channel(services, meter_name(12), IMPORT.obis, start, start + timedelta(days=2))
    assert (readings.known, len(readings.values)) == (0, 2 * 96)


def test_a_meter_without_the_channel_names_those_it_has(services: Services):
    with pytest.raises(NotFoundError) as caught:
        read_channel(services, meter_name(12), EXPORT.obis, NOW, NOW + timedelta(days=1))
    assert str(IMPORT.obis) in caught.value.answer


@pytest.fixture
def with_a_household(services: Services) -> Services:
    """The town, and one household whose readings of 2012 were imported."""
    database = MemoryDatabase()
    fill(database, ProtobufCodec(), meters=20)
    half_hour = replace(IMPORT, interval_s=1800)
    channel = database.blocks.channel("MAC000002", half_hour)
    day = Block(channel.channel_id, HOUSEHOLD_DAY, 1800, np.full(48, 7, np.int64), np.ones(48, np.uint8))
    database.blocks.merge(Stage.FINAL, [day], source="file", recorded_at=NOW)
    return replace(services, database=database)


def test_a_household_without_registry_entry_is_found_by_name_and_counts_nowhere(with_a_household: Services):
    (row,) = list_meters(with_a_household, MeterQuery(text="mac0000")).rows
    assert (row.meter.meter_id, row.registered, row.state) == ("MAC000002", False, None)
    assert list_meters(with_a_household, MeterQuery()).total == 20
    assert len(collection_overview(with_a_household).rows) == 20


def test_a_household_without_registry_entry_has_its_channels_and_no_place(with_a_household: Services):
    detail = meter_detail(with_a_household, "MAC000002")
    assert (detail.transformer, detail.row.registered, detail.timezone) == (None, False, "Europe/Vienna")
    (channel,) = detail.channels
    assert newest_day(with_a_household, channel, NOW.date()) == date_of(HOUSEHOLD_DAY)


def test_a_profile_that_comes_with_amity_names_its_maker():
    assert maker_of("norrvik_n1") == "Norrvik Instruments N1"
    assert maker_of("../base") is None


def test_sessions_that_fail_alike_at_one_transformer_are_told_together(services: Services):
    rows = collection_overview(services).rows
    groups = alike_sessions(rows)
    assert sorted(row.meter.meter_id for group in groups for row in group.rows) == sorted(
        row.meter.meter_id for row in rows
    )
    assert len(groups) < 50
    dark = next(group for group in groups if group.rows[0].usage_point.transformer_id == "T-07")
    assert len(dark.rows) == 10
    assert dark.next_step == "check power and modem at the site; ping the address"


def test_what_names_one_meter_is_no_difference_and_other_trouble_is(services: Services):
    row = collection_overview(services).rows[0]

    def told(number: int, trouble: str, tried: str) -> MeterRow:
        lines = (f"meter M{number} at 127.0.0.1:{4000 + number}, 2 attempts: {trouble}", f"tried: {tried}")
        return replace(row, meter=replace(row.meter, meter_id=f"M{number}"), state=replace(row.state, detail=lines))

    rows = [told(n, "no answer", f"TCP {n}") for n in range(3)] + [told(n, "closed", "AARQ") for n in range(3, 5)]
    together, *single = alike_sessions(rows)
    assert (len(together.rows), together.findings) == (3, ("no answer",))
    assert [group.findings[0] for group in single] == [row.state.detail[0] for row in rows[3:]]
