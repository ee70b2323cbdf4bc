"""Deliveries as protobuf messages (`readings.proto`) and back, with a JSON mirror."""

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
import zstandard
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from amity.domain.collection import Delivery, Exchange, Outcome
from amity.domain.events import MEANING_OF, STANDARD_LOG, EventClass, EventKind, MeterEvent, Severity
from amity.domain.readings import Int64Column, IntervalSeries, ReadingType, RegisterReading, UnknownObject
from amity.kernel.errors import AmityError, LocalProtocolError, RemoteProtocolError
from amity.kernel.obis import Obis
from amity.kernel.time import EPOCH, SECONDS_PER_DAY, from_epoch_s
from amity.kernel.units import Unit
from amity.messaging import readings_pb2 as pb

FORMAT: Final = 1
_FORMAT_OF_SEVERAL: Final = 2
_SEVERAL: Final = bytes((0x08, _FORMAT_OF_SEVERAL))
"""How a message begins that holds several: its field `format`."""
BODY_OCTETS_MAX: Final = 8 * 1024 * 1024
"""The largest message the broker is configured to take."""
EXCHANGES_OCTETS_MAX: Final = 64 * 1024 * 1024
"""A few kilobytes of Zstandard can announce gigabytes; a session of 90 days of profile stays below 2 MiB."""
_ZSTD_LEVEL: Final = 1
"""Half of a session's octets are ciphertext: at level 3 it is 0.1 % smaller, for a third more time."""
_NANOS_PER_MICRO: Final = 1000
_KEPT: Final = 4096
"""Types and instants at hand: those of one hour are the same in an entire fleet."""
_OUTCOMES: Final = {int(pb.Outcome.Value(f"OUTCOME_{outcome.name}")): outcome for outcome in Outcome}


class _Packer(threading.local):
    """A compressor serves one thread at a time; to make one takes half as long as to compress a session."""

    def __init__(self) -> None:
        self.pack = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress


_PACKER: Final = _Packer()


class ProtobufCodec:
    """Implements `domain.ports.DeliveryCodec`."""

    def encode(self, delivery: Delivery) -> bytes:
        """The message's octets; raise LocalProtocolError when the broker would refuse its size."""
        body = bytes(_to_message(delivery).SerializeToString(deterministic=True))
        if len(body) > BODY_OCTETS_MAX:
            raise LocalProtocolError(
                f"the delivery of meter {delivery.meter_id} has {len(body)} octets; {BODY_OCTETS_MAX} is the most",
                next_step="read fewer days in one session",
            )
        return body

    def decode(self, body: bytes) -> Delivery:
        """The delivery in these octets; raise RemoteProtocolError when they are not one."""
        try:
            return _from_message(_parse(body))
        except RemoteProtocolError:
            raise
        except (ValueError, OverflowError, AmityError) as error:
            raise _undecodable(str(error)) from error


def join(bodies: Sequence[bytes]) -> bytes:
    """Encoded deliveries as one message; one alone stays as it is."""
    if len(bodies) == 1:
        return bodies[0]
    return bytes(pb.Deliveries(format=_FORMAT_OF_SEVERAL, delivery=bodies).SerializeToString(deterministic=True))


def split(body: bytes) -> Sequence[bytes]:
    """What `join` joined; a body that is no such message is one delivery, or will turn out to be none."""
    if not body.startswith(_SEVERAL):
        return [body]
    try:
        return list(pb.Deliveries.FromString(body).delivery) or [body]
    except DecodeError:
        return [body]


def to_json(body: bytes, *, indent: int | None = None) -> str:
    """The JSON mirror of an encoded delivery, its exchanges unpacked under `exchanges`.

    Raise RemoteProtocolError when the octets are not a delivery.
    """
    message = _parse(body)
    exchanges = _parse_exchanges(message.exchanges_zstd)
    message.ClearField("exchanges_zstd")
    mirror = MessageToDict(message, preserving_proto_field_name=True)
    mirror["exchanges"] = MessageToDict(exchanges, preserving_proto_field_name=True).get("exchange", [])
    return json.dumps(mirror, indent=indent)


# ------------------------------------------------------------------ to protobuf


def _to_message(delivery: Delivery) -> pb.Delivery:
    return pb.Delivery(
        format=FORMAT,
        message_id=delivery.message_id,
        meter_id=delivery.meter_id,
        session_id=delivery.session_id,
        collected_at=_timestamp(delivery.collected_at),
        outcome=f"OUTCOME_{delivery.outcome.name}",
        detail=delivery.detail,
        attempts=delivery.attempts,
        duration_ms=delivery.duration_ms,
        clock_offset_s=delivery.clock_offset_s,
        profile=delivery.profile,
        mapping_version=delivery.mapping_version,
        intervals=map(_series_message, delivery.intervals),
        registers=map(_register_message, delivery.registers),
        events=map(_event_message, delivery.events),
        unknown=map(_unknown_message, delivery.unknown),
        exchanges_zstd=_pack_exchanges(delivery.exchanges),
        correlation_id=delivery.correlation_id,
    )


def _pack_exchanges(exchanges: Sequence[Exchange]) -> bytes:
    if not exchanges:
        return b""
    message = pb.Exchanges(
        exchange=(
            pb.Exchange(at=_timestamp(one.at), request=one.request, response=one.response, plain=one.plain)
            for one in exchanges
        )
    )
    return _PACKER.pack(message.SerializeToString(deterministic=True))


@lru_cache(_KEPT)
def _type_message(reading_type: ReadingType) -> pb.ReadingType:
    """A message that is put into another is copied: nobody changes this one."""
    return pb.ReadingType(
        obis=bytes(reading_type.obis),
        unit=reading_type.unit,
        exponent=reading_type.exponent,
        interval_s=reading_type.interval_s,
    )


def _series_message(series: IntervalSeries) -> pb.IntervalSeries:
    return pb.IntervalSeries(
        reading_type=_type_message(series.reading_type), runs=_runs(series), evidence=series.evidence
    )


def _runs(series: IntervalSeries) -> Iterator[pb.Run]:
    """Cut the series where an interval is missing."""
    if not len(series.starts):
        return
    breaks = np.flatnonzero(np.diff(series.starts) != series.reading_type.interval_s) + 1
    borders = [0, *breaks.tolist(), len(series.starts)]
    for first, end in pairwise(borders):
        yield pb.Run(
            start_s=int(series.starts[first]),
            values=series.values[first:end].tolist(),
            qualities=series.qualities[first:end].tobytes(),
        )


def _register_message(reading: RegisterReading) -> pb.RegisterReading:
    return pb.RegisterReading(
        reading_type=_type_message(reading.reading_type),
        value=reading.value,
        at=_timestamp(reading.at),
        evidence=reading.evidence,
    )


def _event_message(event: MeterEvent) -> pb.MeterEvent:
    return pb.MeterEvent(
        kind=event.kind,
        code=event.code,
        at=_timestamp(event.at),
        text=event.text,
        pushed=event.pushed,
        evidence=event.evidence,
        log=event.log,
        occurrence=event.occurrence,
        event_class=event.event_class,
        severity=event.severity,
    )


def _unknown_message(unknown: UnknownObject) -> pb.UnknownObject:
    return pb.UnknownObject(
        class_id=unknown.class_id,
        obis=bytes(unknown.obis),
        attribute=unknown.attribute,
        octets=unknown.octets,
        at=_timestamp(unknown.at),
        evidence=unknown.evidence,
    )


@lru_cache(_KEPT)
def _timestamp(instant: datetime) -> Timestamp:
    """As with types: copied into whatever holds it."""
    since = instant - EPOCH
    return Timestamp(seconds=since.days * SECONDS_PER_DAY + since.seconds, nanos=since.microseconds * _NANOS_PER_MICRO)


# ------------------------------------------------------------------ from protobuf


def _undecodable(reason: str) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"this message is not a delivery: {reason}",
        next_step="see it in the dead letters; check that head-end and MDM run the same version of Amity",
    )


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise _undecodable(reason)


def _parse(body: bytes) -> pb.Delivery:
    try:
        message = pb.Delivery.FromString(body)
    except DecodeError as error:
        raise _undecodable("its octets are not protobuf") from error
    _require(1 <= message.format <= FORMAT, f"format {message.format} is not known here, {FORMAT} is")
    return message


def _from_message(message: pb.Delivery) -> Delivery:
    _require(bool(message.message_id and message.meter_id), "it names no message or no meter")
    _require(message.outcome in _OUTCOMES, f"outcome {message.outcome} is not known")
    exchanges = tuple(map(_exchange, _parse_exchanges(message.exchanges_zstd).exchange))
    _check_evidence(message, len(exchanges))
    return Delivery(
        message_id=message.message_id,
        meter_id=message.meter_id,
        session_id=message.session_id,
        collected_at=_instant(message.collected_at),
        outcome=_OUTCOMES[message.outcome],
        detail=tuple(message.detail),
        attempts=message.attempts,
        duration_ms=message.duration_ms,
        clock_offset_s=message.clock_offset_s if message.HasField("clock_offset_s") else None,
        profile=message.profile,
        mapping_version=message.mapping_version,
        intervals=tuple(map(_series, message.intervals)),
        registers=tuple(map(_register, message.registers)),
        events=tuple(map(_event, message.events)),
        unknown=tuple(map(_unknown, message.unknown)),
        exchanges=exchanges,
        correlation_id=message.correlation_id,
    )


def _check_evidence(message: pb.Delivery, exchange_count: int) -> None:
    holders: Iterable[pb.IntervalSeries | pb.RegisterReading | pb.MeterEvent | pb.UnknownObject] = (
        *message.intervals,
        *message.registers,
        *message.events,
        *message.unknown,
    )
    for holder in holders:
        _require(max(holder.evidence, default=-1) < exchange_count, "its evidence points past its exchanges")


def _parse_exchanges(compressed: bytes) -> pb.Exchanges:
    if not compressed:
        return pb.Exchanges()
    try:
        announced = zstandard.frame_content_size(compressed)
        _require(0 <= announced <= EXCHANGES_OCTETS_MAX, f"its exchanges announce {announced} octets")
        return pb.Exchanges.FromString(zstandard.ZstdDecompressor().decompress(compressed))
    except (zstandard.ZstdError, DecodeError) as error:
        raise _undecodable("its exchanges do not unpack") from error


def _exchange(message: pb.Exchange) -> Exchange:
    return Exchange(_instant(message.at), message.request, message.response, message.plain)


def _reading_type(message: pb.ReadingType) -> ReadingType:
    return ReadingType(Obis(message.obis), Unit(message.unit), message.exponent, message.interval_s)


def _series(message: pb.IntervalSeries) -> IntervalSeries:
    reading_type = _reading_type(message.reading_type)
    _require(reading_type.interval_s > 0, "an interval series has no interval length")
    runs = [_run_columns(run, reading_type.interval_s) for run in message.runs]
    starts, values, qualities = (
        (np.concatenate(column) for column in zip(*runs, strict=True)) if runs else _no_columns()
    )
    _require(bool(np.all(np.diff(starts) > 0)), "the runs of an interval series overlap or go back in time")
    _require(bool(np.all(qualities)), "an interval value has no quality")
    return IntervalSeries(reading_type, starts, values, qualities.astype(np.uint8), tuple(message.evidence))


def _no_columns() -> tuple[Int64Column, Int64Column, Int64Column]:
    nothing = np.zeros(0, np.int64)
    return nothing, nothing, nothing


def _run_columns(run: pb.Run, interval_s: int) -> tuple[Int64Column, Int64Column, Int64Column]:
    _require(len(run.values) == len(run.qualities), "a run has not one quality for each value")
    _require(run.start_s % interval_s == 0, f"a run starts at {run.start_s}, off the grid of {interval_s} s")
    from_epoch_s(run.start_s)  # OverflowError for an instant that no calendar holds
    values = np.fromiter(run.values, np.int64, len(run.values))
    starts = run.start_s + interval_s * np.arange(len(values), dtype=np.int64)
    return starts, values, np.frombuffer(run.qualities, np.uint8).astype(np.int64)


def _register(message: pb.RegisterReading) -> RegisterReading:
    return RegisterReading(
        _reading_type(message.reading_type), message.value, _instant(message.at), tuple(message.evidence)
    )


def _event(message: pb.MeterEvent) -> MeterEvent:
    """Class and severity that are absent (an older sender) or not known here (a newer one) are those of the kind."""
    kind = EventKind(message.kind)
    meant = MEANING_OF[kind]
    return MeterEvent(
        kind,
        message.code,
        _instant(message.at),
        message.text,
        message.pushed,
        tuple(message.evidence),
        message.log or STANDARD_LOG,
        message.occurrence,
        EventClass(message.event_class) if message.event_class in list(EventClass) else meant.event_class,
        Severity(message.severity) if message.severity in list(Severity) else meant.severity,
    )


def _unknown(message: pb.UnknownObject) -> UnknownObject:
    return UnknownObject(
        message.class_id,
        Obis(message.obis),
        message.attribute,
        message.octets,
        _instant(message.at),
        tuple(message.evidence),
    )


def _instant(timestamp: Timestamp) -> datetime:
    _require(timestamp.nanos % _NANOS_PER_MICRO == 0, "an instant is finer than a microsecond")
    return timestamp.ToDatetime(UTC)
