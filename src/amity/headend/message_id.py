"""The identity of a delivery: a hash of all it says, so that the same delivery is the same message for ever."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from amity.domain.collection import Delivery
from amity.domain.readings import ReadingType
from amity.kernel.time import isoformat


def identified(delivery: Delivery) -> Delivery:
    """The delivery with its `message_id` filled in."""
    return replace(delivery, message_id=content_hash(delivery))


def content_hash(delivery: Delivery) -> str:
    """SHA-256 over every field but `message_id`, each with its length before it, in hexadecimal."""
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in _parts(delivery)]
    return hashlib.sha256(b"".join([b"%d:%b" % (len(part), part) for part in parts])).hexdigest()


def _parts(delivery: Delivery) -> Iterator[object]:
    yield from (delivery.meter_id, delivery.session_id, isoformat(delivery.collected_at), delivery.outcome)
    yield from (len(delivery.detail), *delivery.detail, delivery.attempts, delivery.duration_ms)
    yield from (delivery.clock_offset_s, delivery.profile, delivery.mapping_version, delivery.correlation_id)
    for series in delivery.intervals:
        yield from ("interval", *_type(series.reading_type), series.starts.tobytes(), series.values.tobytes())
        yield from (series.qualities.tobytes(), series.evidence)
    for reading in delivery.registers:
        yield from ("register", *_type(reading.reading_type), reading.value, isoformat(reading.at), reading.evidence)
    for event in delivery.events:
        yield from ("event", event.kind, event.code, isoformat(event.at), event.text, event.pushed, event.evidence)
        yield from (event.log, event.occurrence, event.event_class, event.severity)
    for unknown in delivery.unknown:
        yield from ("unknown", unknown.class_id, bytes(unknown.obis), unknown.attribute, unknown.octets)
        yield from (isoformat(unknown.at), unknown.evidence)
    for exchange in delivery.exchanges:
        yield from ("exchange", isoformat(exchange.at), exchange.request, exchange.response, exchange.plain)


def _type(reading_type: ReadingType) -> tuple[object, ...]:
    return bytes(reading_type.obis), int(reading_type.unit), reading_type.exponent, reading_type.interval_s
