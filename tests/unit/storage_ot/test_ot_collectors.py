"""Collectors in the OT database: parked at first sight, decided of by key; pushes that are taken once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from amity.headend.collectors.ports import Admission, Presented
from amity.headend.ports import PushClaim
from amity.kernel.errors import NotFoundError, RequestError, SecurityError, StorageError
from amity.storage.ot.database import OtDatabase, open_database

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
DC7 = Presented("DC7", "ab" * 32, "192.0.2.7:40000")
IMPOSTOR = Presented("DC7", "cd" * 32, "198.51.100.9:40000")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[OtDatabase]:
    opened = open_database(tmp_path / "ot.sqlite")
    yield opened
    opened.close()


def test_a_new_collector_is_parked_and_stays_what_a_person_decides(database: OtDatabase) -> None:
    book = database.collectors
    assert book.seen(DC7, NOW) is Admission.PARKED
    assert book.decide("DC7", "", Admission.ACCEPTED).admission is Admission.ACCEPTED
    assert book.seen(DC7._replace(address="192.0.2.8:1"), NOW + timedelta(hours=1)) is Admission.ACCEPTED
    (known,) = book.all()
    assert (known.address, known.first_seen, known.last_seen) == ("192.0.2.8:1", NOW, NOW + timedelta(hours=1))


def test_another_key_under_the_same_name_is_parked_by_itself(database: OtDatabase) -> None:
    book = database.collectors
    book.seen(DC7, NOW)
    book.decide("DC7", "", Admission.ACCEPTED)
    assert book.seen(IMPOSTOR, NOW) is Admission.PARKED
    with pytest.raises(RequestError, match="2 keys"):
        book.decide("DC7", "", Admission.ACCEPTED)
    book.decide("DC7", "cd", Admission.REFUSED)
    assert [one.admission for one in book.all()] == [Admission.ACCEPTED, Admission.REFUSED]
    with pytest.raises(NotFoundError):
        book.decide("DC7", "%", Admission.ACCEPTED)


def test_where_it_is_connected_and_how_it_does_is_noted(database: OtDatabase) -> None:
    database.collectors.seen(DC7, NOW)
    database.collectors.report(DC7, "node-1", '{"rtt_ms": 700}', NOW)
    assert [(one.connected_to, one.quality) for one in database.collectors.all()] == [("node-1", '{"rtt_ms": 700}')]


def test_a_push_is_known_once_what_is_done_with_it_is_committed(database: OtDatabase) -> None:
    pushes = database.forwarded_pushes
    with pytest.raises(SecurityError), pushes.first("id", NOW):
        raise SecurityError("not kept")
    assert not pushes.known("id")
    with pushes.first("id", NOW):
        pass
    assert pushes.known("id")
    with pytest.raises(StorageError), pushes.first("id", NOW):
        pass
    assert pushes.prune(NOW + timedelta(days=1)) == 1
    assert not pushes.known("id")


def test_through_a_collector_counters_may_come_late_but_never_twice_and_only_with_a_tag(database: OtDatabase) -> None:
    def take(counter: int, *, late: bool, authenticated: bool = True) -> None:
        (refusal,) = database.push_counters.move_all(
            [PushClaim("M1", b"K", counter, authenticated, next(hours_s), late)]
        )
        if refusal is not None:
            raise refusal

    hours_s = count(0, 3600)
    take(10, late=False)
    take(15, late=True)
    with pytest.raises(SecurityError):
        take(12, late=False)
    with pytest.raises(SecurityError):
        take(12, late=True, authenticated=False)
    take(12, late=True)
    for heard in (12, 15, 10, 9):
        with pytest.raises(SecurityError):
            take(heard, late=True)
    take(16, late=False)
