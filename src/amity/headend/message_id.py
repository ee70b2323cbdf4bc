"""The identity of a delivery: a hash of all it says, so that the same delivery is the same message for ever."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Final

from amity.domain.collection import Delivery
from amity.domain.readings import ReadingType
from amity.kernel.time import isoformat

_KEPT: Final = 4096
"""Of what pushes of an entire fleet have in common."""


def identified(delivery: Delivery) -> Delivery:
    """The delivery with its `message_id` filled in."""
    return replace(delivery, message_id=content_hash(delivery))


def content_hash(delivery: Delivery) -> str:
    """SHA-256 over every field but `message_id`, each with its length before it, in hexadecimal."""
    return hashlib.sha256(b"".join(_parts(delivery))).hexdigest()


def _parts(delivery: Delivery) -> Iterator[bytes]:
    yield _framed(delivery.meter_id, delivery.session_id)
    yield _instant(delivery.collected_at)
    yield _framed(delivery.outcome, len(delivery.detail), *delivery.detail, delivery.attempts, delivery.duration_ms)
    yield _framed(delivery.clock_offset_s, delivery.profile, delivery.mapping_version, delivery.correlation_id)
    for series in delivery.intervals:
        yield _type("interval", series.reading_type)
        yield _framed(series.starts.tobytes(), series.values.tobytes(), series.qualities.tobytes())
        yield _places(series.evidence)
    for reading in delivery.registers:
        yield _type("register", reading.reading_type)
        yield _framed(reading.value)
        yield _instant(reading.at)
        yield _places(reading.evidence)
    for event in delivery.events:
        yield _framed("event", event.kind, event.code, isoformat(event.at), event.text, event.pushed, event.evidence)
        yield _framed(event.log, event.occurrence, event.event_class, event.severity)
    for unknown in delivery.unknown:
        yield _framed("unknown", unknown.class_id, bytes(unknown.obis), unknown.attribute, unknown.octets)
        yield _framed(isoformat(unknown.at), unknown.evidence)
    for exchange in delivery.exchanges:
        yield b"8:exchange"
        yield _instant(exchange.at)
        yield _framed(exchange.request, exchange.response, exchange.plain)


def _framed(*parts: object) -> bytes:
    octets = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    return b"".join([b"%d:%b" % (len(part), part) for part in octets])


@lru_cache(_KEPT)
def _instant(at: datetime) -> bytes:
    return _framed(isoformat(at))


@lru_cache(_KEPT)
def _places(evidence: tuple[int, ...]) -> bytes:
    return _framed(evidence)


@lru_cache(_KEPT)
def _type(word: str, kind: ReadingType) -> bytes:
    return _framed(word, bytes(kind.obis), int(kind.unit), kind.exponent, kind.interval_s)
