"""A push that is cut by the shape of another says exactly what it says when it is decoded value by value."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amity.devices.profiles import fictional_keys, packaged_profile
from amity.domain.collection import Delivery, Outcome
from amity.headend.event_catalogue import packaged_catalogue
from amity.headend.mapping import packaged_mapping, parse_mapping
from amity.headend.message_id import content_hash
from amity.headend.normalise import Normalised
from amity.headend.pushes.readings import Decoded, PushReader
from amity.kernel.errors import RemoteProtocolError
from amity.protocols.dlms.apdu import DataNotification
from amity.protocols.dlms.data import Data, Tag, array, encode, enum, integer, octet_string, structure
from amity.protocols.dlms.datetime import CosemDateTime

NOW = datetime(2026, 3, 1, 12, 0, 20, tzinfo=UTC)
MAPPINGS = (
    packaged_mapping(),
    parse_mapping('{"version": "bare", "rules": [{"kind": "ignore", "class": 1, "obis": "0.0.99.99.99.255"}]}', "bare"),
    parse_mapping(
        '{"version": "own", "rules": ['
        '{"kind": "interval", "class": 3, "obis": "1.0.1.8.0.255", "scaler": 3, "unit": "Wh"},'
        '{"kind": "register", "class": 3, "obis": "1.0.*.*.*.255"},'
        '{"kind": "cumulative-interval", "class": 3, "obis": "1.0.2.8.0.255", "reading": "1.0.2.29.0.255"}]}',
        "own",
    ),
)
NAME, CLOCK = bytes([0, 0, 42, 0, 0, 255]), bytes([0, 0, 1, 0, 0, 255])
RANGES = {
    Tag.DOUBLE_LONG_UNSIGNED: (0, 2**32 - 1), Tag.DOUBLE_LONG: (-(2**31), 2**31 - 1),
    Tag.LONG64: (-(2**63), 2**63 - 1), Tag.LONG64_UNSIGNED: (0, 2**64 - 1), Tag.UNSIGNED: (0, 255),
    Tag.LONG_UNSIGNED: (0, 65535), Tag.INTEGER: (-128, 127),
    Tag.LONG: (-32768, 32767), Tag.ENUM: (0, 255),
}  # fmt: skip
STAMPS = st.one_of(
    st.just(NOW.replace(second=0)),
    st.integers(-3, 2).map(lambda quarter: NOW.replace(second=0) + quarter * timedelta(minutes=15)),
    st.integers(-5000, 5000).map(lambda seconds: NOW + timedelta(seconds=seconds)),
)


def clock_octets(draw: Any) -> bytes:
    time = CosemDateTime.from_utc(draw(STAMPS), draw(st.sampled_from([None, 0, -60])))
    return replace_status(time, draw(st.sampled_from([0, 0, 0, 1, 8, 0x80, None])))


def replace_status(time: CosemDateTime, status: int | None) -> bytes:
    return time._replace(status=status).to_octets()


@st.composite
def pushes(draw: Any) -> tuple[bytes, bytes]:
    """Two bodies of one shape, with their own numbers, clocks and names; now and then something odd is in both."""
    one: list[Data] = []
    other: list[Data] = []
    measured = ["1.0.1.8.0", "1.0.1.8.0", "1.0.2.8.0", "0.0.96.10.1", "1.0.32.7.0"]
    names = st.sampled_from([*measured, "0.0.96.11.0", "1.1.0.2.129"] if draw(st.booleans()) else measured)
    for name in draw(st.lists(names, min_size=1, max_size=5)):
        obis = bytes([*map(int, name.split(".")), 255])
        tag = draw(st.just(Tag.DOUBLE_LONG_UNSIGNED) | st.sampled_from(list(RANGES)))
        scale = draw(st.sampled_from([None, (0, 30), (0, 30), (-2, 30), (3, 30), (19, 30), (0, 77)]))
        tail = () if scale is None else (structure(integer(scale[0]), enum(scale[1])),)
        for body in (one, other):
            body.append(
                structure(octet_string(obis), Data(tag, draw(st.integers(0, 100) | st.integers(*RANGES[tag]))), *tail)
            )
    if draw(st.booleans()):
        for body in (one, other):
            text = draw(st.binary(min_size=6, max_size=6) | st.just(b"METER7"))
            body.insert(0, structure(octet_string(NAME), octet_string(text)))
    if draw(st.integers(0, 9)):
        for body in (one, other):
            octets = clock_octets(draw) if draw(st.integers(0, 9)) else draw(st.binary(min_size=12, max_size=12))
            body.insert(0, structure(octet_string(CLOCK), octet_string(octets)))
    odd = draw(st.sampled_from([None] * 20 + [Data(Tag.NULL), octet_string(b"text"), structure(octet_string(CLOCK))]))
    if odd is not None:
        one.append(odd)
        other.append(odd)
    make = draw(st.sampled_from([array, lambda items: structure(*items)]))
    return encode(make(one)), encode(make(other))


def told(found: Normalised) -> str:
    delivery = Delivery("", "M", "S", NOW, Outcome.PUSHED, tuple(found.remarks), intervals=tuple(found.intervals))
    rest = {"registers": tuple(found.registers), "events": tuple(found.events), "unknown": tuple(found.unknown)}
    return content_hash(replace(delivery, **rest))


def outcome(content: Any, *arguments: Any) -> str:
    try:
        return told(content.normalised(*arguments))
    except RemoteProtocolError as error:
        return error.what


@pytest.mark.parametrize("key", fictional_keys())
@settings(max_examples=250)
@given(bodies=pushes(), mapping=st.sampled_from(MAPPINGS))
def test_a_shape_says_what_decoding_says(key: str, bodies: tuple[bytes, bytes], mapping: Any) -> None:
    profile, reader = packaged_profile(key), PushReader()
    for body in bodies:
        notification = DataNotification(1, b"", body)
        content, decoded = reader.read(notification), Decoded.of(notification)
        assert content.meter_named == decoded.meter_named
        arguments = (profile, mapping, NOW, packaged_catalogue())
        assert outcome(content, *arguments) == outcome(decoded, *arguments)


def test_the_second_push_of_a_plain_shape_is_not_decoded() -> None:
    """Without this the property above would hold for a reader that has no shapes."""
    reader = PushReader()
    clock = structure(octet_string(CLOCK), octet_string(CosemDateTime.from_utc(NOW).to_octets()))

    def body(number: int) -> bytes:
        total = structure(octet_string(bytes([1, 0, 1, 8, 0, 255])), Data(Tag.DOUBLE_LONG_UNSIGNED, number))
        return encode(array([clock, total]))

    kinds = [type(reader.read(DataNotification(1, b"", body(number)))) for number in range(3)]
    assert kinds[0] is Decoded
    assert Decoded not in kinds[1:]


@pytest.mark.parametrize("number", [2**63 // 1000, 2**63 // 1000 + 1, -(2**63), 2**63 - 1])
def test_a_number_that_is_too_large_when_it_is_scaled_goes_the_long_way(number: int) -> None:
    clock = structure(octet_string(CLOCK), octet_string(CosemDateTime.from_utc(NOW.replace(second=0)).to_octets()))
    profile, reader = packaged_profile("norrvik_n1"), PushReader()
    for value in (1, number):
        total = structure(octet_string(bytes([1, 0, 1, 8, 0, 255])), Data(Tag.LONG64, value))
        notification = DataNotification(1, b"", encode(array([clock, total])))
        arguments = (profile, MAPPINGS[2], NOW, packaged_catalogue())
        assert outcome(reader.read(notification), *arguments) == outcome(Decoded.of(notification), *arguments)
