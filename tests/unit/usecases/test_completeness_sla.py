"""Completeness by what was delivered, worked by hand: a day of 23 hours, in pieces, late and never."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from amity.domain.collection import Delivery, Outcome
from amity.domain.readings import IntervalSeries, ReadingType
from amity.domain.registry import Meter, Town, Transformer, UsagePoint
from amity.kernel.errors import ConfigurationError, RequestError
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s
from amity.kernel.units import Unit
from amity.messaging.codec import ProtobufCodec
from amity.storage.it.database import ItDatabase, open_database
from amity.usecases.ingest import ingest
from amity.usecases.services import Services
from amity.usecases.sla import completeness
from tests.unit.usecases.memory_database import FixedClock

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 29, tzinfo=UTC)  # London: 29 March has 23 hours, from 00:00Z to 23:00Z
IMPORT = ReadingType(Obis.parse("1.0.1.29.0.255"), Unit.WATT_HOUR, 0, 900)
EXPORT = ReadingType(Obis.parse("1.0.2.29.0.255"), Unit.WATT_HOUR, 0, 900)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[ItDatabase]:
    made = open_database(tmp_path / "it.sqlite")
    place = UsagePoint("u", "1 High Street", "account", "t", 0.0, 0.0)
    meters = tuple(Meter(name, name, "idis_package2", "u") for name in ("A", "B", "C", "D"))
    made.registry.provision(Town("Town", "Europe/London", (Transformer("t", "f", 0.0, 0.0),), (place,), meters))
    yield made
    made.close()


def bring(database: ItDatabase, meter: str, kind: ReadingType, first_h: float, last_h: float, at: datetime) -> None:
    starts = np.arange(epoch_s(START) + int(first_h * 3600), epoch_s(START) + int(last_h * 3600), 900)
    series = IntervalSeries(kind, starts, np.ones(len(starts), np.int64), np.ones(len(starts), np.uint8))
    name = f"{meter} {kind.obis} {first_h}"
    one = Delivery(name, meter, name, at, Outcome.COMPLETE, intervals=(series,))
    ingest(one, b"", database, FixedClock(at))


def judged(database: ItDatabase, preset: str = "uk-dcc") -> dict[tuple[str, str], tuple[int, int]]:
    clock = FixedClock(START + 100 * HOUR)
    services = Services(database, database.logins, ProtobufCodec(), clock, bytes)
    made = completeness(services, preset, date(2026, 3, 29))
    return {(one.measure.name, one.group): (one.met, one.counted) for one in made.results}


def test_a_day_in_pieces_is_complete_with_its_last_piece(database: ItDatabase) -> None:
    six = START + 29 * HOUR  # 06:00 on the wall of 30 March
    bring(database, "A", IMPORT, -4, 12, START + 13 * HOUR)
    bring(database, "A", EXPORT, 0, 23, START + 24 * HOUR)
    bring(database, "A", IMPORT, 12, 23, six - HOUR)
    bring(database, "B", IMPORT, 0, 23, six)
    bring(database, "C", IMPORT, 0, 22.75, START + 24 * HOUR)  # its last quarter hour never came
    found = judged(database)  # D has nothing at all
    assert found["complete by 06:00", "all"] == (1, 4)
    assert found["complete by 08:00", "all"] == (2, 4)
    assert found["scheduled within 22 h", "profile=idis_package2"] == (2, 4)
    assert "on demand within 25 s" not in {measure for measure, _ in found}


def test_a_channel_that_is_not_whole_keeps_the_meter_from_being_complete(database: ItDatabase) -> None:
    bring(database, "A", IMPORT, 0, 23, START + 24 * HOUR)
    bring(database, "A", EXPORT, 0, 4, START + 24 * HOUR)
    assert judged(database)["complete by 08:00", "all"] == (0, 4)


def test_what_cannot_be_asked(database: ItDatabase) -> None:
    services = Services(database, database.logins, ProtobufCodec(), FixedClock(START), bytes)
    with pytest.raises(ConfigurationError):
        completeness(services, "nobody")
    with pytest.raises(RequestError):
        completeness(services, "ontario", date(1, 1, 1))
