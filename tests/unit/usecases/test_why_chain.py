from dataclasses import replace
from datetime import UTC, datetime

import pytest

from amity.domain.collection import Delivery
from amity.domain.readings import Quality
from amity.kernel.errors import NotFoundError, RemoteProtocolError, RequestError
from amity.kernel.obis import Obis
from amity.messaging.codec import ProtobufCodec
from amity.usecases.services import Services
from amity.usecases.why import Explanation, why
from tests.unit.usecases.memory_database import FixedClock, MemoryDatabase, MemoryLogins
from tests.web.plausible_town import IMPORT, NOW, fill, meter_name


class BrokenCodec:
    def encode(self, _delivery: Delivery) -> bytes:
        return b""

    def decode(self, _body: bytes) -> Delivery:
        raise RemoteProtocolError("no delivery")


@pytest.fixture(scope="module")
def services() -> Services:
    database = MemoryDatabase()
    fill(database, ProtobufCodec(), meters=100)
    return Services(database, MemoryLogins(), ProtobufCodec(), FixedClock(NOW), bytes)


def ask(services: Services, number: int, *start: int) -> Explanation:
    return why(services, meter_name(number), IMPORT.obis, datetime(2026, 3, *start, tzinfo=UTC))


def test_a_measured_value_leads_to_its_delivery(services: Services):
    found = ask(services, 12, 18, 9, 0)
    assert found.summary.startswith("Measured by the meter")
    assert found.final.value == found.raw.value == found.sources[0].value
    assert found.final_versions[-1] is found.final
    assert found.end > found.start


def test_an_estimate_names_its_rule_and_what_it_leans_on(services: Services):
    found = ask(services, 4, 18, 6, 15)
    assert Quality.LINEAR in found.final.quality
    assert found.raw is None
    assert [finding.rule for finding in found.findings] == ["linear-interpolation"]
    before, after = found.neighbours
    assert before.start < found.start < after.start
    assert str(before.value) in found.summary
    assert found.sources == ()


def test_a_questionable_value_names_the_rule_that_doubts(services: Services):
    spike = ask(services, 12, 18, 3, 30)
    assert spike.final.value == 98_000
    assert "spike-check" in spike.summary


def test_a_missing_value_says_so(services: Services):
    found = ask(services, 92, 18, 0, 0)
    assert found.final is None
    assert found.summary.startswith("No value")


def test_a_delivery_that_no_longer_decodes_is_counted_and_not_thrown(services: Services):
    found = ask(replace(services, codec=BrokenCodec()), 12, 18, 9, 0)
    assert (found.undecodable, found.sources) == (1, ())


def test_the_wrong_start_meter_or_channel_is_answered_with_the_right_one(services: Services):
    with pytest.raises(RequestError) as off_grid:
        ask(services, 12, 18, 9, 1)
    assert "2026-03-18T09:00:00Z" in off_grid.value.next_step
    with pytest.raises(NotFoundError, match="no meter"):
        why(services, "NOBODY", IMPORT.obis, NOW)
    with pytest.raises(NotFoundError) as no_channel:
        why(services, meter_name(12), Obis.parse("1.0.9.29.0.255"), NOW)
    assert str(IMPORT.obis) in no_channel.value.answer
