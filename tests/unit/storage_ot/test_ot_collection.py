"""Outbox, frames and standings of the OT database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from amity.devices.profiles import SignOn
from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventKind, MeterEvent
from amity.headend.ports import Endpoint, Heard, Management, Progress, Saving, Standing
from amity.headend.routes import Gateway, HdlcLink, Route, SerialLine, over_tcp
from amity.storage.ot.database import OtDatabase

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def delivery(name: str, meter_id: str = "M1", outcome: Outcome = Outcome.COMPLETE, at: datetime = NOON) -> Delivery:
    return Delivery(name, meter_id, f"s-{name}", at, outcome, detail=("what", "next: that"))


def save(database: OtDatabase, one: Delivery, progress: Progress | None = None) -> None:
    database.collection.save(one, "amity.ot.deliveries", one.message_id.encode(), progress=progress or Progress())


def test_what_is_queued_comes_oldest_first_until_it_is_sent(database: OtDatabase) -> None:
    for name in "abc":
        save(database, delivery(name))
    queued = database.collection.queued(2)
    assert [(one.message_id, one.subject, one.body) for one in queued] == [
        ("a", "amity.ot.deliveries", b"a"),
        ("b", "amity.ot.deliveries", b"b"),
    ]
    database.collection.sent(one.sequence for one in queued)
    assert [one.message_id for one in database.collection.queued(10)] == ["c"]
    database.collection.sent([])


def test_alarms_overtake_what_waits_and_have_a_lane_of_their_own(database: OtDatabase) -> None:
    for name in "ab":
        save(database, delivery(name))
    gasp = MeterEvent(EventKind.POWER_DOWN, 1, NOON, pushed=True)
    for name in "cd":
        save(database, replace(delivery(name, outcome=Outcome.PUSHED), events=(gasp,)))
    queued = database.collection.queued(10)
    assert [one.message_id for one in queued] == ["c", "d", "a", "b"]
    assert [one.subject.removeprefix("amity.ot.deliveries") for one in queued] == [".alarms", ".alarms", "", ""]


def test_the_same_delivery_twice_is_queued_once_and_moves_nothing_twice(database: OtDatabase) -> None:
    save(database, delivery("a", outcome=Outcome.SILENT))
    save(database, delivery("a", outcome=Outcome.SILENT))
    assert len(database.collection.queued(10)) == 1
    assert database.collection.standings()["M1"].failures_in_a_row == 1


def test_progress_moves_forward_only_and_each_part_by_itself(database: OtDatabase) -> None:
    save(database, delivery("a"), Progress(intervals_until=NOON, events_until=NOON))
    save(database, delivery("b"), Progress(intervals_until=NOON - HOUR, registers_until=NOON - HOUR))
    save(database, delivery("c"), Progress(intervals_until=NOON + HOUR))
    assert database.collection.standings()["M1"].progress == Progress(NOON + HOUR, NOON - HOUR, NOON)


def test_failures_are_counted_until_the_meter_answers(database: OtDatabase) -> None:
    for name, outcome in (("a", Outcome.SILENT), ("b", Outcome.REFUSED), ("c", Outcome.PUSHED)):
        save(database, delivery(name, outcome=outcome))
    assert database.collection.standings() == {"M1": Standing(Progress(), Outcome.REFUSED, NOON, 2)}
    save(database, delivery("d", outcome=Outcome.PARTIAL, at=NOON + HOUR))
    assert database.collection.standings() == {"M1": Standing(Progress(), Outcome.PARTIAL, NOON + HOUR, 0)}


def test_a_meter_that_only_ever_pushed_has_no_attempt(database: OtDatabase) -> None:
    save(database, delivery("a", outcome=Outcome.PUSHED), Progress(intervals_until=NOON))
    assert database.collection.standings() == {"M1": Standing(Progress(intervals_until=NOON))}


def test_frames_go_when_they_are_old_and_delivered(database: OtDatabase) -> None:
    for name, age in (("old", 3), ("waits", 3), ("new", 1)):
        save(database, delivery(name, at=NOON - age * HOUR))
    queued = {one.message_id: one.sequence for one in database.collection.queued(10)}
    database.collection.sent([queued["old"], queued["new"]])
    assert database.collection.prune_frames(NOON - 2 * HOUR) == 1
    assert database.collection.prune_frames(NOON - 2 * HOUR) == 0
    assert [one.message_id for one in database.collection.queued(10)] == ["waits"]


def test_endpoints_are_added_and_replaced_by_meter_id(database: OtDatabase) -> None:
    one = Endpoint("M1", over_tcp("127.0.0.1", 4059), 1, 1, "hls-gmac", "castellan_c3", bytes(range(8)))
    other = Endpoint("M2", over_tcp("127.0.0.1", 4060), 16, 1, "none", "norrvik_n1", b"")
    database.endpoints.put([other, one])
    assert database.endpoints.all() == [one, other]
    moved = Endpoint("M2", over_tcp("127.0.0.2", 4060), 16, 1, "none", "norrvik_n1", b"")
    database.endpoints.put([moved])
    assert database.endpoints.all() == [one, moved]
    database.endpoints.put([])


def test_an_endpoint_keeps_its_whole_route_and_its_choices(database: OtDatabase) -> None:
    line = SerialLine("/dev/ttyUSB0", sign_on=SignOn.MODE_E, echoes=True)
    one = Endpoint(
        "M1", Route(HdlcLink(line, 17, window=3), Gateway(3, b"\x2a")), 1, 1, "hls-md5", "norrvik_n1", b"",
        suite=1, signed=True, general_blocks=True, legacy_allowed=True,
        management=Management(2, "hls-gmac", "glo", "authenticated-encrypted", suite=1, signed=True),
    )  # fmt: skip
    database.endpoints.put([one])
    assert database.endpoints.all() == [one]
    assert database.meter_states.of(["M1"])["M1"][0] == one
    without = replace(one, management=None)
    database.endpoints.put([without])
    assert database.endpoints.all() == [without]


def test_several_deliveries_in_one_transaction_are_stored_as_one_by_one(database: OtDatabase) -> None:
    a, b, c = delivery("a"), replace(delivery("b"), meter_id="M2"), replace(delivery("c"), outcome=Outcome.SILENT)
    first = Saving(a, "subject", b"a", Progress(NOON))
    database.collection.save_all(
        [first, Saving(b, "subject", b"b", Progress()), Saving(c, "subject", b"c", Progress())]
    )
    database.collection.save_all([first, first])
    assert [one.body for one in database.collection.queued(10)] == [b"a", b"b", b"c"]
    standings = database.collection.standings()
    assert standings["M1"].progress == Progress(NOON)
    assert standings["M1"].failures_in_a_row == 1
    assert standings["M2"].outcome is Outcome.COMPLETE


def test_what_a_meter_said_goes_up_under_one_key_and_begins_anew_under_another(database: OtDatabase) -> None:
    def heard(name: str, now: Heard | None) -> Heard | None:
        saving = Saving(delivery(name), "subject", name.encode(), Progress(NOON), Progress(), now)
        database.collection.save_all([saving])
        return database.collection.standings()["M1"].heard

    old, new = b"old name", b"new name"
    assert heard("a", None) is None
    assert heard("b", Heard(old, 5)) == Heard(old, 5)
    assert heard("c", Heard(old, 4)) == Heard(old, 5)
    assert heard("d", None) == Heard(old, 5)
    assert database.collection.rewind("M1", "another") == Progress(NOON)
    assert heard("e", Heard(new, 1)) == Heard(new, 1)
    assert heard("f", Heard(new, 0xFFFF_FFFF)) == Heard(new, 0xFFFF_FFFF)


# ------------------------------------------------------------------ what a mapping left raw
def save_raw(database: OtDatabase, name: str, mapping_version: str, progress: Progress, unmapped: Progress) -> None:
    one = replace(delivery(name), mapping_version=mapping_version)
    database.collection.save(one, "amity.ot.deliveries", name.encode(), progress=progress, unmapped=unmapped)


def test_another_mapping_goes_back_once_to_where_the_first_column_stayed_raw(database: OtDatabase) -> None:
    save_raw(database, "a", "bad", Progress(NOON - HOUR, NOON), Progress(NOON - 2 * HOUR))
    save_raw(database, "b", "bad", Progress(NOON), Progress(NOON - HOUR))
    store = database.collection
    assert store.standings()["M1"].unmapped == Progress(NOON - 2 * HOUR)
    assert store.rewind("M1", "bad") == Progress(NOON, NOON)
    assert store.rewind("M1", "good") == Progress(NOON - 2 * HOUR, NOON)
    save_raw(database, "c", "good", Progress(NOON), Progress())
    assert store.rewind("M1", "third") == store.standings()["M1"].progress == Progress(NOON, NOON)


def test_a_session_under_another_mapping_does_not_make_the_first_one_forgotten(database: OtDatabase) -> None:
    save_raw(database, "a", "bad", Progress(NOON - HOUR), Progress(NOON - 2 * HOUR))
    save_raw(database, "b", "good", Progress(NOON), Progress(NOON - HOUR))
    assert database.collection.rewind("M1", "good") == Progress(NOON - 2 * HOUR)


def test_a_meter_that_is_not_known_is_read_nowhere(database: OtDatabase) -> None:
    assert database.collection.rewind("NOBODY", "good") == Progress()
