"""The same town in memory and in SQLite looks the same to every use case that reads."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from amity.messaging.codec import ProtobufCodec
from amity.storage.it.database import open_database
from amity.usecases.collection import collection_overview
from amity.usecases.findings import events_of, open_findings
from amity.usecases.login import offer_link, open_session, person_of
from amity.usecases.meters import MeterQuery, list_meters, meter_detail
from amity.usecases.ports import EventQuery
from amity.usecases.readings import read_channel
from amity.usecases.services import Services
from amity.usecases.town import town_overview
from amity.usecases.why import Explanation, Version, why
from tests.unit.usecases.memory_database import FixedClock, MemoryDatabase, MemoryLogins
from tests.web.plausible_town import IMPORT, NOW, fill, meter_name

METERS = 60
SECRET = b"0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Services, Services]]:
    """Services on the stand-in and on the real database, filled alike."""
    codec, memory = ProtobufCodec(), MemoryDatabase()
    sqlite = open_database(Path(tmp_path_factory.mktemp("it")) / "it.sqlite")
    for database in (memory, sqlite):
        fill(database, codec, meters=METERS)
    yield (
        Services(memory, MemoryLogins(), codec, FixedClock(NOW), lambda count: SECRET[:count]),
        Services(sqlite, sqlite.logins, codec, FixedClock(NOW), lambda count: SECRET[:count]),
    )
    sqlite.close()


def test_the_overview_is_the_same(both: tuple[Services, Services]):
    memory, sqlite = map(town_overview, both)
    for name in ("name", "meters", "conditions", "known_until", "days", "gaps", "findings", "issues"):
        assert getattr(sqlite, name) == getattr(memory, name), name
    for day in ("today", "yesterday"):
        assert np.array_equal(getattr(sqlite, day).import_wh, getattr(memory, day).import_wh)
        assert np.array_equal(getattr(sqlite, day).export_wh, getattr(memory, day).export_wh)


def test_lists_and_details_are_the_same(both: tuple[Services, Services]):
    pages = [list_meters(services, MeterQuery(limit=METERS)) for services in both]
    assert pages[0] == pages[1]
    assert collection_overview(both[0]) == collection_overview(both[1])
    for number in (0, 6, 12, 31):
        memory, sqlite = (meter_detail(services, meter_name(number)) for services in both)
        assert (sqlite.row, sqlite.registers, sqlite.events) == (memory.row, memory.registers, memory.events)
    assert len(open_findings(both[1])) == len(open_findings(both[0]))
    newest = [[stored.event.at for stored in events_of(services, EventQuery(limit=20))] for services in both]
    assert newest[0] == newest[1]


def test_readings_are_the_same_also_as_known_before(both: tuple[Services, Services]):
    span = (NOW - timedelta(days=2), NOW)
    for known_at in (None, NOW, NOW - timedelta(days=10)):
        memory, sqlite = (
            read_channel(services, meter_name(4), IMPORT.obis, *span, as_known_at=known_at) for services in both
        )
        assert np.array_equal(sqlite.values, memory.values)
        assert np.array_equal(sqlite.qualities, memory.qualities)


@pytest.mark.parametrize(("number", "hour", "minute"), [(12, 9, 0), (12, 3, 30), (4, 6, 15)])
def test_the_chain_is_the_same_down_to_the_octets(both: tuple[Services, Services], number: int, hour: int, minute: int):
    start = datetime(2026, 3, 18, hour, minute, tzinfo=UTC)
    memory, sqlite = (why(services, meter_name(number), IMPORT.obis, start) for services in both)
    assert sqlite.summary == memory.summary
    assert [source.evidence for source in sqlite.sources] == [source.evidence for source in memory.sources]
    assert _told(sqlite) == _told(memory)


def test_a_link_is_spent_once_and_the_session_lives(both: tuple[Services, Services]):
    services = replace(both[1], clock=FixedClock(NOW))
    session = open_session(services, offer_link(services, "anna").secret)
    assert person_of(services, session.secret) == "anna"
    assert person_of(services, "something else") is None


def _told(chain: Explanation) -> list[tuple[Version, ...]]:
    return [
        tuple(replace(version, revision=0) for version in versions)
        for versions in (chain.final_versions, chain.raw_versions)
    ]
