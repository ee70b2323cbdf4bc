"""What the broker does not take whole loses evidence first, then readings, and never its outcome."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from amity.domain.collection import Delivery, Exchange, Outcome
from amity.domain.readings import UnknownObject
from amity.headend.fitting import fitting
from amity.kernel.errors import LocalProtocolError
from amity.kernel.obis import Obis
from amity.messaging.codec import ProtobufCodec
from tests.unit.headend.rounds import Rounds

NOW = datetime(2026, 11, 20, tzinfo=UTC)
NOISE = random.Random(5).randbytes(100_000)


@pytest.fixture(autouse=True)
def small_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amity.messaging.codec.BODY_OCTETS_MAX", 60_000)


def delivery(*sizes: int, unknown_octets: int = 10) -> Delivery:
    exchanges = tuple(Exchange(NOW, b"?", NOISE[:size], b"") for size in sizes)
    unknown = (UnknownObject(3, Obis.parse("1.0.1.8.0.255"), 2, NOISE[:unknown_octets], NOW, (len(sizes) - 1,)),)
    return Delivery("id", "M1", "s", NOW, Outcome.COMPLETE, ("as it was",), unknown=unknown, exchanges=exchanges)


def test_what_fits_stays_as_it_is() -> None:
    one = delivery(100, 200)
    kept = fitting(one, ProtobufCodec())
    assert (kept.delivery, kept.with_readings) == (one, True)


def test_the_largest_evidence_goes_first_and_the_outcome_stays() -> None:
    kept = fitting(delivery(100, 90_000), ProtobufCodec())
    assert (kept.delivery.outcome, kept.with_readings) == (Outcome.COMPLETE, True)
    assert [len(one.response) for one in kept.delivery.exchanges] == [100, 0]
    assert kept.delivery.detail[0] == "as it was"
    assert "1 of 2 exchanges were dropped" in kept.delivery.detail[1]
    assert kept.delivery.message_id != "id"
    assert ProtobufCodec().decode(kept.body).unknown[0].evidence == (1,)


def test_readings_that_are_too_large_themselves_are_a_broken_session() -> None:
    kept = fitting(delivery(100, unknown_octets=90_000), ProtobufCodec())
    assert (kept.delivery.outcome, kept.with_readings, kept.delivery.unknown) == (Outcome.BROKEN, False, ())
    assert "60000 is the most" in kept.delivery.detail[0]


def test_what_cannot_be_encoded_at_all_says_so() -> None:
    with pytest.raises(LocalProtocolError):
        fitting(replace(delivery(1), meter_id="M" * 90_000), ProtobufCodec())


async def test_a_meter_whose_delivery_is_too_large_counts_as_failing(make_bench: Callable) -> None:
    bench = make_bench(1)
    mute = replace(bench.surroundings, codec=_TakesNoReadings())
    await Rounds(mute, bench.database).read_fleet_once()
    (standing,) = bench.database.collection.standings().values()
    assert (standing.outcome, standing.failures_in_a_row) == (Outcome.BROKEN, 1)
    assert standing.progress.intervals_until is None


class _TakesNoReadings(ProtobufCodec):
    def encode(self, delivery: Delivery) -> bytes:
        if delivery.intervals:
            raise LocalProtocolError("too large")
        return super().encode(delivery)
