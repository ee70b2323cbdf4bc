"""An interval whose objects no rule named was brought all the same, and “why” says so."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from amity.domain.collection import Delivery, Exchange, Outcome
from amity.domain.readings import ReadingType, UnknownObject
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.messaging.codec import ProtobufCodec
from amity.protocols.dlms import data as cosem
from amity.protocols.dlms.apdu import GetResponseNormal
from amity.protocols.dlms.datetime import CosemDateTime
from amity.usecases.services import Services
from amity.usecases.why import Explanation, why
from tests.unit.usecases.memory_database import FixedClock, MemoryDatabase, MemoryLogins

T0 = datetime(2026, 3, 18, 9, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
IMPORT = ReadingType(Obis.parse("1.0.1.29.0.255"), Unit.WATT_HOUR, 0, 900)


def thing(obis: str, newest: datetime) -> UnknownObject:
    return UnknownObject(3, Obis.parse(obis), 2, b"\x01\x00", newest, (0,))


def buffer(stamps: Sequence[datetime | None], deviation_min: int | None = 0) -> Exchange:
    """A profile of a clock and a number; None is a row whose clock the meter left out."""
    clocks = [
        cosem.NULL_DATA
        if stamp is None
        else cosem.octet_string(CosemDateTime.from_utc(stamp, deviation_min).to_octets())
        for stamp in stamps
    ]
    rows = cosem.array(cosem.structure(clock, cosem.unsigned(7)) for clock in clocks)
    return Exchange(T0, b"ask", b"answer", GetResponseNormal(0xC1, cosem.encode(rows)).encode())


STAMPS = [T0 + number * QUARTER for number in range(3)]
RAW = Delivery(
    "raw",
    "M1",
    "session-7",
    T0 + 3 * QUARTER,
    Outcome.COMPLETE,
    mapping_version="partly+1234abcd",
    unknown=(thing("0.0.96.10.1.255", STAMPS[-1]), thing("1.0.1.8.0.255", STAMPS[-1])),
    exchanges=(buffer(STAMPS),),
)


def ask(start: datetime, *deliveries: Delivery) -> Explanation:
    database, codec = MemoryDatabase(), ProtobufCodec()
    database.blocks.channel("M1", IMPORT)
    for one in deliveries:
        database.deliveries.record(one, codec.encode(one), received_at=T0)
    services = Services(database, MemoryLogins(), codec, FixedClock(T0), bytes)
    return why(services, "M1", IMPORT.obis, start)


def test_a_raw_interval_names_delivery_mapping_and_object() -> None:
    found = ask(STAMPS[1], RAW)
    assert found.kept_raw is not None
    assert found.kept_raw.message_id == "raw"
    assert [str(one.obis) for one in found.kept_raw.objects] == ["1.0.1.8.0.255", "0.0.96.10.1.255"]
    assert found.summary.startswith("No value: session session-7 brought this interval raw")
    assert "partly+1234abcd has no rule for 1.0.1.8.0.255 (class 3, attribute 2)" in found.summary


@pytest.mark.parametrize(
    "exchange",
    [
        buffer([STAMPS[0], None, None]),
        buffer([one + timedelta(hours=1) for one in STAMPS], deviation_min=None),
    ],
)
def test_clocks_left_out_or_without_their_deviation_are_of_use(exchange: Exchange) -> None:
    assert ask(STAMPS[1], replace(RAW, exchanges=(exchange,))).kept_raw is not None


def test_other_intervals_and_other_profiles_are_not_claimed() -> None:
    assert ask(STAMPS[0] - 2 * QUARTER, RAW).kept_raw is None
    midnights = buffer([T0 - timedelta(days=1), T0])
    snapshots = replace(RAW, exchanges=(midnights,), unknown=(thing("1.0.1.8.0.255", T0),))
    found = ask(T0 - QUARTER, snapshots)
    assert found.kept_raw is None
    assert "no delivery brought this interval" in found.summary


def test_a_push_is_one_row() -> None:
    pushed = replace(RAW, outcome=Outcome.PUSHED, exchanges=(buffer([T0]),), unknown=(thing("1.0.1.8.0.255", T0),))
    assert ask(T0 - QUARTER, pushed).kept_raw is not None


def test_octets_that_do_not_decode_claim_nothing() -> None:
    broken = Exchange(T0, b"", b"", b"\xc4\x01\xc1\x00\x01\x05")
    assert ask(STAMPS[1], replace(RAW, exchanges=(broken,))).kept_raw is None
    assert ask(STAMPS[1], replace(RAW, exchanges=())).kept_raw is None
