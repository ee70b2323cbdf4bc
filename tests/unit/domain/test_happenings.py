"""What is one happening and what is two: alarm bits, entries, repeats, in whatever order; outages of pairs."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from amity.domain.events import EventClass, EventKind, MeterEvent, Severity
from amity.domain.happenings import AFTER, BEFORE, Outage, happenings, outages

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def entry(
    text: str = "power lost", at: datetime = NOW, code: int = 1, log: str = "standard", **more: object
) -> MeterEvent:
    about = {"event_class": EventClass.POWER, "severity": Severity.ALARM, "kind": EventKind.POWER_DOWN} | more
    return MeterEvent(code=code, at=at, text=text, log=log, **about)  # type: ignore[arg-type]


def bit(
    text: str = "power lost", at: datetime = NOW, code: int = 0, log: str = "alarm-2", **more: object
) -> MeterEvent:
    return entry(text, at, code, log, pushed=True, **more)


def back(at: datetime) -> MeterEvent:
    return entry("power back", at, 2, kind=EventKind.POWER_UP, severity=Severity.INFO)


def test_a_bit_and_the_entry_of_the_same_are_one_whoever_comes_first() -> None:
    told = (bit(at=NOW + 40 * SECOND), entry(), bit(at=NOW + 100 * SECOND))
    for order in permutations(told):
        (one,) = happenings(order)
        assert one.event == told[1]
        assert one.also == (told[0], told[2])


@pytest.mark.parametrize(
    ("other", "count"),
    [
        (bit(at=NOW + AFTER), 1),
        (bit(at=NOW + AFTER + SECOND), 2),
        (bit(at=NOW - BEFORE), 1),
        (bit(at=NOW - BEFORE - SECOND), 2),
        (bit("power back"), 2),
        (bit(event_class=EventClass.VOLTAGE), 2),
        (bit("POWER lost"), 1),
        (entry(code=9, log="fraud"), 2),  # two entries of logs are two, whatever they say
        (entry(occurrence=1), 2),
    ],
)
def test_the_window_and_what_says_the_same(other: MeterEvent, count: int) -> None:
    assert len(happenings([entry(), other])) == count


def test_nobody_knows_what_a_bit_without_words_says() -> None:
    assert len(happenings([entry(""), bit("")])) == 2


def test_a_bit_belongs_to_the_nearest_of_several_entries() -> None:
    early, late = entry(), entry(at=NOW + 300 * SECOND)
    first, second = happenings([late, early, bit(at=NOW + 301 * SECOND)])
    assert (first.also, len(second.also)) == ((), 1)


def test_any_tamper_alarm_may_be_what_the_bit_for_fraud_says() -> None:
    tamper = {"event_class": EventClass.TAMPER}
    fraud = bit("fraud attempt", code=13, log="alarm-1", kind=EventKind.FRAUD_ATTEMPT, **tamper)
    opened = entry("meter cover opened", code=44, kind=EventKind.COVER_OPENED, **tamper)
    closed = entry("meter cover closed", code=45, kind=EventKind.OTHER, severity=Severity.INFO, **tamper)
    assert [len(one.tellings) for one in happenings([fraud, opened, closed])] == [2, 1]
    assert len(happenings([fraud, closed])) == 2


def test_a_bit_told_again_is_the_same_for_a_while() -> None:
    again = bit(at=NOW + AFTER)
    assert len(happenings([bit(), again])) == 1
    assert len(happenings([bit(), bit(at=NOW + AFTER + SECOND)])) == 2


def test_an_outage_is_a_loss_and_the_return_after_it() -> None:
    gasp, up = bit(at=NOW + SECOND), back(NOW + 600 * SECOND)
    told = (entry(), gasp, up)
    for order in permutations(told):
        assert outages(order) == (Outage(NOW, NOW + 600 * SECOND, told),)
    (one,) = outages(told)
    assert one.lasted == 600 * SECOND


def test_an_outage_without_a_return_is_open_and_a_return_without_a_loss_is_none() -> None:
    assert outages([back(NOW)]) == ()
    (open_,) = outages([back(NOW - SECOND), bit()])  # only its last gasp
    assert (open_.began, open_.ended, open_.lasted) == (NOW, None, None)


def test_a_loss_told_late_is_the_same_but_a_second_entry_is_another() -> None:
    late, end = NOW + AFTER * 2, NOW + AFTER * 3
    assert [one.began for one in outages([bit(), entry(at=late), back(end)])] == [NOW]
    first, second = outages([entry(), entry(at=late), back(end)])  # the return between them was not told
    assert (first.ended, second.began, second.ended) == (None, late, end)
