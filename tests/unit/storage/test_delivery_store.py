from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventClass, EventKind, MeterEvent, Severity
from amity.domain.readings import RegisterReading, UnknownObject
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY, from_epoch_s
from amity.storage.it.database import ItDatabase
from amity.usecases.ports import CollectionState, EventQuery, UnnamedCode
from tests.unit.storage.databases import DAY, IMPORT, IMPORT_REGISTER, NOON, delivery, register, series

MIDNIGHT_S = DAY * SECONDS_PER_DAY


def record(database: ItDatabase, one: Delivery, body: bytes = b"as it came") -> bool:
    return database.deliveries.record(one, body, received_at=NOON)


def state(database: ItDatabase) -> CollectionState:
    (only,) = database.deliveries.states()
    return only


def session(number: int, outcome: Outcome, **fields: object) -> Delivery:
    return delivery(f"m{number}", collected_at=NOON + timedelta(hours=number), outcome=outcome, **fields)


# ------------------------------------------------------------------ evidence
def test_the_body_is_kept_as_it_came_and_found_by_each_interval_it_brought(database: ItDatabase) -> None:
    body = bytes(range(256)) * 40
    record(database, delivery("a", series(94, [1, 2, 3, -1, 5])), body)
    brought = [slot for slot in range(90, 105) if database.deliveries.find("M1", IMPORT.obis, MIDNIGHT_S + slot * 900)]
    assert brought == [94, 95, 96, 98]
    assert database.deliveries.find("M1", IMPORT.obis, MIDNIGHT_S + 94 * 900) == [("a", body)]
    assert database.deliveries.find("M2", IMPORT.obis, MIDNIGHT_S + 94 * 900) == []
    assert database.deliveries.find("M1", Obis.parse("1.0.2.29.0.255"), MIDNIGHT_S + 94 * 900) == []


def test_the_newest_delivery_comes_first(database: ItDatabase) -> None:
    for hours in (2, 3, 1):
        record(database, delivery(f"after {hours}", series(0, [1]), collected_at=NOON + timedelta(hours=hours)))
    found = database.deliveries.find("M1", IMPORT.obis, MIDNIGHT_S)
    assert [message_id for message_id, _ in found] == ["after 3", "after 2", "after 1"]


def test_a_register_value_leads_to_its_delivery(database: ItDatabase) -> None:
    record(database, delivery("a", registers=(register(7, MIDNIGHT_S),)), b"body")
    assert database.deliveries.find("M1", IMPORT_REGISTER.obis, MIDNIGHT_S) == [("a", b"body")]
    assert database.deliveries.find("M1", IMPORT_REGISTER.obis, MIDNIGHT_S + 1) == []


def test_a_message_that_is_known_changes_nothing(database: ItDatabase) -> None:
    assert record(database, session(1, Outcome.COMPLETE))
    before = state(database)
    assert not record(database, session(1, Outcome.SILENT, registers=(register(1, MIDNIGHT_S),)), b"other")
    assert state(database) == before
    assert list(database.deliveries.registers("M1")) == []


# ------------------------------------------------------------------ state of collection
def test_the_state_is_the_latest_word(database: ItDatabase) -> None:
    record(database, session(1, Outcome.COMPLETE, clock_offset_s=-4, detail=("all read",), attempts=2))
    assert state(database) == CollectionState(
        "M1", Outcome.COMPLETE, NOON + timedelta(hours=1), ("all read",), NOON + timedelta(hours=1), 2, -4, 0
    )
    record(database, session(2, Outcome.SILENT, detail=("no answer in 5 s",), attempts=3))
    assert state(database) == CollectionState(
        "M1", Outcome.SILENT, NOON + timedelta(hours=2), ("no answer in 5 s",), NOON + timedelta(hours=1), 3, -4, 1
    )


def test_failures_are_counted_since_the_last_answer(database: ItDatabase) -> None:
    for number, outcome in enumerate([Outcome.SILENT, Outcome.PUSHED, Outcome.BROKEN, Outcome.REFUSED]):
        record(database, session(number, outcome))
    assert state(database).failures_in_a_row == 2
    record(database, session(5, Outcome.PARTIAL))
    assert state(database).failures_in_a_row == 0


def test_a_meter_that_never_answered_has_no_last_answer(database: ItDatabase) -> None:
    record(database, session(1, Outcome.WRONG_KEY))
    assert state(database).last_answer_at is None
    assert state(database).failures_in_a_row == 1


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (4, 3, 2, 1), (3, 1, 4, 2), (2, 4, 1, 3)])
def test_the_order_of_arrival_does_not_matter(database: ItDatabase, order: tuple[int, ...]) -> None:
    outcomes = {1: Outcome.SILENT, 2: Outcome.COMPLETE, 3: Outcome.BROKEN, 4: Outcome.SILENT}
    for number in order:
        record(database, session(number, outcomes[number], detail=(str(number),)))
    assert state(database).detail == ("4",)
    assert state(database).outcome is Outcome.SILENT
    assert state(database).last_answer_at == NOON + timedelta(hours=2)
    assert state(database).failures_in_a_row == 2


def test_each_meter_has_a_state_of_its_own(database: ItDatabase) -> None:
    for meter_id in ("M2", "M1"):
        record(database, delivery(f"of {meter_id}", meter_id=meter_id))
    assert [one.meter_id for one in database.deliveries.states()] == ["M1", "M2"]


# ------------------------------------------------------------------ registers
def test_registers_come_newest_first_and_exact(database: ItDatabase) -> None:
    huge = 2**64 - 1  # what a meter sends when it means "no value"
    record(database, delivery("a", registers=(register(1, 900), register(huge, 1800), register(3, 1801))))
    values = [reading.value for reading in database.deliveries.registers("M1")]
    assert values == [3, huge, 1]
    assert len(database.deliveries.registers("M1", limit=2)) == 2
    assert database.deliveries.registers("M1", obis=Obis.parse("1.0.2.8.0.255")) == []
    assert database.deliveries.registers("M1")[1] == register(huge, 1800)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_two_readings_of_one_instant_the_one_collected_later_stands(
    database: ItDatabase, order: tuple[int, int]
) -> None:
    for number in order:
        record(database, session(number, Outcome.COMPLETE, registers=(register(number, MIDNIGHT_S),)))
    assert [reading.value for reading in database.deliveries.registers("M1")] == [2]


def test_snapshots_bracket_the_span_on_the_grid(database: ItDatabase) -> None:
    instants = (0, 900, 1000, 2700, 3600, 3601, 5400, 6300)
    record(database, delivery("a", registers=tuple(register(at, at) for at in instants)))

    def at(start_s: int, end_s: int) -> list[int]:
        found = database.deliveries.snapshots("M1", IMPORT_REGISTER.obis, start_s, end_s, every_s=900)
        return [reading.value for reading in found]

    assert at(2700, 3600) == [2700, 3600]
    assert at(1800, 4500) == [900, 2700, 3600, 5400]
    assert at(7200, 8100) == [6300]
    assert at(-900, -1) == [0]


# ------------------------------------------------------------------ events and unknown objects
def event(at_s: int, code: int = 4, *, pushed: bool = False) -> MeterEvent:
    return MeterEvent(EventKind.COVER_OPENED, code, from_epoch_s(at_s), "lid", pushed=pushed, evidence=(1, 2))


def test_an_event_pushed_and_later_read_from_the_log_is_one_event(database: ItDatabase) -> None:
    record(database, delivery("push", events=(event(100, pushed=True),)))
    record(database, delivery("log", events=(event(100), event(100, code=5), event(200))))
    found = database.deliveries.events("M1")
    assert [(one.event.at, one.event.code) for one in found] == [
        (from_epoch_s(200), 4),
        (from_epoch_s(100), 4),
        (from_epoch_s(100), 5),
    ]
    assert found[1].event == event(100, pushed=True)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_an_event_is_one_in_whatever_order_its_tellings_come(database: ItDatabase, order: tuple[int, ...]) -> None:
    """Pushed, pushed again, read from the log with another that is alike but for its occurrence, and in another log."""
    first = event(100)
    tellings = [
        (replace(first, pushed=True),),
        (replace(first, pushed=True, text="told otherwise", event_class=EventClass.TAMPER),),
        (first, replace(first, occurrence=1), replace(first, log="fraud"), event(200)),
    ]
    for number in (*order, *order):
        record(database, delivery(f"m{number}", events=tellings[number]))
    found = [(one.event.at, one.event.log, one.event.occurrence) for one in database.deliveries.events("M1")]
    assert found == [
        (from_epoch_s(200), "standard", 0),
        (from_epoch_s(100), "fraud", 0),
        (from_epoch_s(100), "standard", 0),
        (from_epoch_s(100), "standard", 1),
    ]


def test_events_are_found_by_class_and_severity(database: ItDatabase) -> None:
    tamper = replace(event(1), event_class=EventClass.TAMPER, severity=Severity.ALARM)
    power = replace(event(2), event_class=EventClass.POWER, severity=Severity.ALARM)
    record(database, delivery("a", events=(tamper, power, event(3))))

    def seconds(**wanted: object) -> list[int]:
        return [int(one.event.at.timestamp()) for one in database.deliveries.events_of(EventQuery(**wanted))]

    assert seconds() == [3, 2, 1]
    assert seconds(classes=frozenset({EventClass.TAMPER})) == [1]
    assert seconds(severities=frozenset({Severity.ALARM})) == [2, 1]
    assert seconds(meter_id="M2") == []


def test_codes_that_no_table_knows_are_listed_with_how_often_they_came(database: ItDatabase) -> None:
    def unnamed(at_s: int, code: int) -> MeterEvent:
        return MeterEvent(EventKind.OTHER, code, from_epoch_s(at_s))

    record(database, delivery("a", events=(unnamed(1, 7001), unnamed(2, 7001), unnamed(3, 7002), event(4))))
    record(database, delivery("b", meter_id="M2", events=(unnamed(5, 7001),)))
    assert database.deliveries.unnamed_codes() == [
        UnnamedCode("", "standard", 7001, 3, 2, from_epoch_s(5)),
        UnnamedCode("", "standard", 7002, 1, 1, from_epoch_s(3)),
    ]


def test_events_of_all_meters_come_newest_first(database: ItDatabase) -> None:
    for at_s, meter_id in ((10, "M1"), (30, "M1"), (20, "M2")):
        record(database, delivery(f"{meter_id} {at_s}", meter_id=meter_id, events=(event(at_s),)))
    assert [one.meter_id for one in database.deliveries.events()] == ["M1", "M2", "M1"]
    assert [one.meter_id for one in database.deliveries.events(limit=2)] == ["M1", "M2"]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_an_unknown_object_is_kept_as_last_seen(database: ItDatabase, order: tuple[int, int]) -> None:
    for number in order:
        thing = UnknownObject(3, Obis.parse("1.0.99.1.7.255"), 2, bytes([number]), NOON, (0,))
        record(database, delivery(f"m{number}", unknown=(thing,), collected_at=NOON + timedelta(hours=number)))
    assert [(meter_id, thing.octets) for meter_id, thing in database.deliveries.unknown()] == [("M1", b"\x02")]
    assert list(database.deliveries.unknown("M2")) == []


def test_an_object_is_unknown_until_its_meter_answers_by_another_mapping(database: ItDatabase) -> None:
    thing = UnknownObject(3, Obis.parse("1.0.99.1.7.255"), 2, b"\x11\x01", NOON, (0,))

    def answer(hour: int, mapping_version: str, *unknown: UnknownObject, outcome: Outcome = Outcome.COMPLETE) -> int:
        at = NOON + timedelta(hours=hour)
        one = delivery(f"m{hour}", unknown=unknown, collected_at=at, mapping_version=mapping_version, outcome=outcome)
        record(database, one)
        return len(database.deliveries.unknown("M1"))

    assert answer(1, "first", thing) == 1
    assert answer(2, "first") == 1  # a session without a new row of the profile
    assert answer(3, "", outcome=Outcome.SILENT) == 1
    assert answer(5, "second") == 0
    assert answer(4, "first", thing) == 0  # came late
    assert answer(6, "third", thing) == 1


def test_what_a_meter_gave_after_an_instant_comes_oldest_first(database: ItDatabase) -> None:
    for hour, outcome in ((3, Outcome.PUSHED), (1, Outcome.COMPLETE), (2, Outcome.SILENT), (0, Outcome.COMPLETE)):
        record(database, delivery(f"m{hour}", collected_at=NOON + timedelta(hours=hour), outcome=outcome))
    found = database.deliveries.answered("M1", NOON + timedelta(hours=1), limit=9)
    assert [message_id for message_id, _ in found] == ["m1", "m3"]
    assert [message_id for message_id, _ in database.deliveries.answered("M1", NOON, limit=1)] == ["m0"]


def test_what_is_recorded_in_a_failed_transaction_was_never_recorded(database: ItDatabase) -> None:
    def fail_half_way() -> None:
        with database.transaction():
            record(database, delivery("a", series(0, [1]), registers=(register(1, 0),)))
            raise KeyError("on the way")

    with pytest.raises(KeyError):
        fail_half_way()
    assert list(database.deliveries.states()) == []
    assert record(database, delivery("a"))


def test_a_reading_keeps_its_type(database: ItDatabase) -> None:
    reading = RegisterReading(IMPORT_REGISTER, -5, NOON, (3,))
    record(database, delivery("a", registers=(reading,)))
    assert list(database.deliveries.registers("M1")) == [reading]
