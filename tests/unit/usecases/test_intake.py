"""What one delivery of a message brings to light does not reach the others."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from amity.kernel.errors import RemoteProtocolError, StorageError
from amity.messaging.codec import ProtobufCodec
from amity.storage.it.database import ItDatabase, open_database
from amity.usecases.intake import Intake
from tests.unit.storage.databases import FixedClock, delivery, series

CODEC = ProtobufCodec()
NOISE = b"\x08\x01\xff"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[ItDatabase]:
    opened = open_database(tmp_path / "it.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def intake(database: ItDatabase, told: list[str]) -> Intake:
    def on_stored(one: object, done: object) -> None:
        del one
        told.append(f"{done.message_id} {'new' if done.new else 'known'}")  # type: ignore[attr-defined]

    def on_letter(reason: str) -> None:
        told.append(f"letter: {reason.splitlines()[0]}")

    clock = FixedClock(datetime(2026, 11, 20, tzinfo=UTC))
    return Intake(database, CODEC, clock, "s", on_stored=on_stored, on_letter=on_letter)


def body(name: str, meter_id: str) -> bytes:
    return CODEC.encode(delivery(name, series(0, [1, 2, 3]), meter_id=meter_id))


def test_all_of_a_message_are_stored_together(intake: Intake, told: list[str]) -> None:
    intake.store([body("a", "M1"), body("b", "M2"), body("c", "M1"), body("a", "M1")])
    assert told == ["a new", "b new", "c new", "a known"]


def test_one_that_is_no_delivery_becomes_a_dead_letter_by_itself(
    intake: Intake, told: list[str], database: ItDatabase
) -> None:
    intake.store([body("a", "M1"), NOISE, body("b", "M2")])
    assert [line for line in told if not line.startswith("letter")] == ["a new", "b new"]
    assert [letter.body for letter in database.dead_letters.all()] == [NOISE]


def test_alone_it_is_refused(intake: Intake, database: ItDatabase) -> None:
    with pytest.raises(RemoteProtocolError):
        intake.store([NOISE])
    assert database.dead_letters.all() == []
    intake.set_aside([NOISE], "why")
    assert [letter.reason for letter in database.dead_letters.all()] == ["why"]


def test_what_the_store_cannot_take_now_comes_again_and_the_others_are_there(
    intake: Intake, told: list[str], database: ItDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_all = database.deliveries.record_all

    def refuse(arrived: list[object], **fields: object) -> object:
        if any(one.delivery.message_id == "b" for one in arrived):  # type: ignore[attr-defined]
            raise StorageError("not this one")
        return record_all(arrived, **fields)  # type: ignore[arg-type]

    monkeypatch.setattr(database.deliveries, "record_all", refuse)
    bodies = [body("a", "M1"), body("b", "M2"), body("c", "M3")]
    with pytest.raises(StorageError):
        intake.store(bodies)
    assert told == ["a new", "c new"]
    intake.set_aside(bodies, "five times")
    assert [letter.body for letter in database.dead_letters.all()] == [bodies[1]]


def test_a_grid_that_cannot_be_is_found_among_many(intake: Intake, database: ItDatabase) -> None:
    off_grid = delivery("b", replace(series(0, [1, 2]), starts=series(0, [1, 2]).starts[::-1].copy()), meter_id="M2")
    intake.store([body("a", "M1"), CODEC.encode(off_grid)])
    assert len(database.dead_letters.all()) == 1
    assert [state.meter_id for state in database.deliveries.states()] == ["M1"]
