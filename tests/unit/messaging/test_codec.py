"""A delivery crosses the zone and stays what it was; anything else is refused with one typed error."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from amity.domain.collection import Delivery, Exchange, Outcome
from amity.domain.events import EventClass, EventKind, MeterEvent, Severity
from amity.domain.readings import IntervalSeries, ReadingType, RegisterReading, UnknownObject
from amity.kernel.errors import LocalProtocolError, RemoteProtocolError
from amity.kernel.obis import Obis
from amity.kernel.units import Unit
from amity.messaging import codec, readings_pb2

PROTO = Path(codec.__file__).with_name("readings.proto")
AT = datetime(2026, 11, 20, 6, 15, 0, 123456, tzinfo=UTC)
IMPORT = ReadingType(Obis.parse("1.0.1.29.0.255"), Unit.WATT_HOUR, 0, 900)
REGISTER = ReadingType(Obis.parse("1.0.1.8.0.255"), Unit.WATT_HOUR)
START = 1_795_000_500


def series(offsets: list[int], values: list[int]) -> IntervalSeries:
    starts = np.array(offsets, np.int64) * 900 + START
    return IntervalSeries(IMPORT, starts, np.array(values, np.int64), np.full(len(values), 33, np.uint8), (1,))


def delivery(**changes: object) -> Delivery:
    whole = Delivery(
        message_id="ab" * 32,
        meter_id="NRV0000000000001",
        session_id="s-1",
        collected_at=AT,
        outcome=Outcome.WRONG_KEY,
        detail=("a tag did not verify", "next: check the key"),
        attempts=3,
        duration_ms=812,
        clock_offset_s=-4,
        profile="norrvik-n1",
        mapping_version="7",
        intervals=(series([0, 1, 2, 5, 6], [10, -2, 0, 2**62, 7]),),
        registers=(RegisterReading(REGISTER, -(2**63), AT, (0, 1)),),
        events=(
            MeterEvent(
                EventKind.COVER_OPENED, 40, AT, "cover", True, (1,), "fraud", 2, EventClass.TAMPER, Severity.ALARM
            ),
            MeterEvent(EventKind.OTHER, 1001, AT),
        ),
        unknown=(UnknownObject(3, Obis.parse("1.0.99.99.0.255"), 2, b"\x06\x00\x00\x00\x01", AT, (0,)),),
        exchanges=(Exchange(AT, b"\x01", b"\x02", b"\x03"), Exchange(AT, b"", b"push", b"plain")),
        correlation_id="from-the-command-line",
    )
    return replace(whole, **changes)


def comparable(value: object) -> object:
    """Arrays have no equality of their own."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.tolist())
    if isinstance(value, tuple):
        return tuple(map(comparable, value))
    if isinstance(value, Delivery | IntervalSeries):
        return tuple((field.name, comparable(getattr(value, field.name))) for field in fields(value))
    return value


def crossed(whole: Delivery) -> Delivery:
    coder = codec.ProtobufCodec()
    return coder.decode(coder.encode(whole))


@pytest.mark.parametrize(
    "whole",
    [
        delivery(),
        delivery(clock_offset_s=None),
        delivery(clock_offset_s=0),
        Delivery("cd", "M", "", AT, Outcome.SILENT),
        delivery(intervals=(series([], []),)),
    ],
    ids=["whole", "no clock", "clock exact", "silent", "empty series"],
)
def test_a_delivery_survives_the_crossing(whole: Delivery) -> None:
    assert comparable(crossed(whole)) == comparable(whole)


def test_an_event_of_an_older_sender_has_the_class_and_severity_of_its_kind() -> None:
    message = readings_pb2.Delivery.FromString(codec.ProtobufCodec().encode(delivery()))
    for field in ("log", "occurrence", "event_class", "severity"):
        message.events[0].ClearField(field)
    message.events[1].event_class = "a class of a later release"
    first, second = codec.ProtobufCodec().decode(message.SerializeToString()).events
    assert (first.log, first.occurrence, first.event_class, first.severity) == ("standard", 0, "tamper", "alarm")
    assert (second.event_class, second.severity) == ("other", "info")


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_its_code(outcome: Outcome) -> None:
    assert crossed(delivery(outcome=outcome)).outcome is outcome


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(-(2**63), 2**63 - 1)), unique_by=lambda pair: pair[0]))
def test_series_with_any_gaps_survive(pairs: list[tuple[int, int]]) -> None:
    pairs.sort()
    whole = delivery(intervals=(series([offset for offset, _ in pairs], [value for _, value in pairs]),))
    assert comparable(crossed(whole)) == comparable(whole)


def test_encoding_is_the_same_each_time() -> None:
    assert codec.ProtobufCodec().encode(delivery()) == codec.ProtobufCodec().encode(delivery())


def test_instants_before_the_epoch_cross_too() -> None:
    assert crossed(delivery(collected_at=datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC))).collected_at.year == 1969


@pytest.mark.parametrize("bodies", [[b"a"], [b"a", b"b" * 300, b""], [b"\x08\x01", b"\x08\x02"]])
def test_what_is_joined_can_be_split_again(bodies: list[bytes]) -> None:
    assert codec.split(codec.join(bodies)) == bodies


def test_several_in_one_message_are_no_single_delivery() -> None:
    several = codec.join([codec.ProtobufCodec().encode(delivery())] * 2)
    with pytest.raises(RemoteProtocolError):
        codec.ProtobufCodec().decode(several)


@pytest.mark.parametrize("body", [b"", b"\x08\x01abc", b"\x08\x02", b"\x08\x02\x12\xff"])
def test_what_holds_no_several_is_one(body: bytes) -> None:
    assert codec.split(body) == [body]


def test_threads_that_encode_at_once_do_not_spoil_each_other() -> None:
    many = [delivery(exchanges=(Exchange(AT, bytes([number]) * 20_000, b"", b""),)) for number in range(64)]
    alone = [codec.ProtobufCodec().encode(one) for one in many]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(codec.ProtobufCodec().encode, many)) == alone


def test_a_day_of_four_channels_is_small() -> None:
    day = tuple(series(list(range(96)), list(range(200, 296))) for _ in range(4))
    assert len(codec.ProtobufCodec().encode(delivery(intervals=day))) < 2000


def damaged(**changes: object) -> bytes:
    message = readings_pb2.Delivery.FromString(codec.ProtobufCodec().encode(delivery()))
    for name, value in changes.items():
        holder, _, leaf = name.rpartition("__")
        target = message
        for step in filter(None, holder.split("__")):
            target = getattr(target, step)
            target = target[0] if step in {"intervals", "runs", "registers", "events", "unknown"} else target
        setattr(target, leaf, value)
    return message.SerializeToString()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff\xff\xff", "not protobuf"),
        (b"", "format 0"),
        (damaged(format=2), "format 2"),
        (damaged(message_id=""), "no message or no meter"),
        (damaged(outcome=0), "outcome 0"),
        (damaged(outcome=99), "outcome 99"),
        (damaged(events__kind="martian"), "martian"),
        (damaged(registers__reading_type__unit=200), "200"),
        (damaged(registers__reading_type__obis=b"12345"), "6 octets"),
        (damaged(intervals__reading_type__interval_s=0), "no interval length"),
        (damaged(intervals__runs__start_s=START + 1), "off the grid"),
        (damaged(intervals__runs__start_s=START + 900 * 4), "overlap"),
        (damaged(intervals__runs__start_s=900 * 2**52), "not a delivery"),
        (damaged(intervals__runs__qualities=b"\x01"), "one quality for each"),
        (damaged(intervals__runs__qualities=b"\x01\x00\x01"), "no quality"),
        (damaged(collected_at__nanos=1), "finer"),
        (damaged(collected_at__nanos=-1000), "not a delivery"),
        (damaged(collected_at__seconds=2**60), "not a delivery"),
        (damaged(exchanges_zstd=b"nothing packed"), "do not unpack"),
        (damaged(exchanges_zstd=zstandard.compress(b"\xff\xff")), "do not unpack"),
        (damaged(exchanges_zstd=b""), "past its exchanges"),
    ],
)
def test_what_is_no_delivery_is_refused_with_its_reason(body: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match="not a delivery") as caught:
        codec.ProtobufCodec().decode(body)
    assert reason in caught.value.what


def test_a_small_message_cannot_unpack_to_gigabytes() -> None:
    bomb = zstandard.compress(bytes(codec.EXCHANGES_OCTETS_MAX + 1))
    with pytest.raises(RemoteProtocolError, match="announce"):
        codec.ProtobufCodec().decode(damaged(exchanges_zstd=bomb))


@given(st.binary(max_size=300))
def test_any_octets_give_a_delivery_or_the_one_error(body: bytes) -> None:
    try:
        codec.ProtobufCodec().decode(body)
    except RemoteProtocolError as error:
        assert error.next_step  # noqa: PT017 - either way out is right


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_one_damaged_octet_gives_a_delivery_or_the_one_error(position: int, octet: int) -> None:
    body = bytearray(codec.ProtobufCodec().encode(delivery()))
    body[position % len(body)] = octet
    try:
        codec.ProtobufCodec().decode(bytes(body))
    except RemoteProtocolError as error:
        assert error.next_step  # noqa: PT017 - either way out is right


def test_a_delivery_that_the_broker_would_refuse_is_refused_here() -> None:
    noise = np.random.default_rng(1).bytes(codec.BODY_OCTETS_MAX + 1)
    with pytest.raises(LocalProtocolError, match="octets"):
        codec.ProtobufCodec().encode(delivery(exchanges=(Exchange(AT, noise, b"", b""),) * 2))


def test_the_json_mirror_reads_like_the_proto() -> None:
    mirror = json.loads(codec.to_json(codec.ProtobufCodec().encode(delivery())))
    assert mirror["meter_id"] == "NRV0000000000001"
    assert mirror["outcome"] == "OUTCOME_WRONG_KEY"
    assert mirror["collected_at"] == "2026-11-20T06:15:00.123456Z"
    assert [run["values"] for run in mirror["intervals"][0]["runs"]] == [["10", "-2", "0"], [str(2**62), "7"]]
    assert len(mirror["exchanges"]) == 2
    assert "exchanges_zstd" not in mirror


def test_the_generated_module_is_what_the_proto_says(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools comes with the development requirements")
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO.parent}", f"--python_out={tmp_path}",
               f"--pyi_out={tmp_path}", PROTO.name]  # fmt: skip
    subprocess.run(command, check=True)  # noqa: S603 - our own interpreter
    for name in ("readings_pb2.py", "readings_pb2.pyi"):
        assert (tmp_path / name).read_text() == PROTO.with_name(name).read_text(), f"regenerate {name}"
