"""The message id is the content's: the same for the same, another for anything else."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from amity.domain.collection import Delivery, Exchange, Outcome
from amity.domain.events import EventKind, MeterEvent
from amity.domain.readings import IntervalSeries, ReadingType, RegisterReading, UnknownObject
from amity.headend.message_id import content_hash, identified
from amity.kernel.obis import Obis
from amity.kernel.units import Unit

AT = datetime(2026, 11, 20, 6, 15, tzinfo=UTC)
IMPORT = ReadingType(Obis.parse("1.0.1.29.0.255"), Unit.WATT_HOUR, 0, 900)


def series(value: int = 7, start: int = 900) -> IntervalSeries:
    return IntervalSeries(IMPORT, np.array([start]), np.array([value]), np.array([1], np.uint8), (0,))


def delivery() -> Delivery:
    return Delivery("", "M1", "s", AT, Outcome.COMPLETE, intervals=(series(),))


CHANGES = {
    "meter_id": "M2",
    "session_id": "t",
    "collected_at": AT + timedelta(microseconds=1),
    "outcome": Outcome.PARTIAL,
    "detail": ("x",),
    "attempts": 2,
    "duration_ms": 1,
    "clock_offset_s": 0,
    "profile": "p",
    "mapping_version": "2",
    "intervals": (series(8),),
    "registers": (RegisterReading(IMPORT, 1, AT),),
    "events": (MeterEvent(EventKind.OTHER, 1, AT),),
    "unknown": (UnknownObject(3, IMPORT.obis, 2, b"", AT),),
    "exchanges": (Exchange(AT, b"", b"", b""),),
    "correlation_id": "word",
}


def test_every_field_counts() -> None:
    assert {field.name for field in fields(Delivery)} - {"message_id"} == set(CHANGES)
    hashes = {content_hash(replace(delivery(), **{name: value})) for name, value in CHANGES.items()}
    assert len(hashes | {content_hash(delivery())}) == len(CHANGES) + 1


def test_the_same_content_is_the_same_message() -> None:
    assert identified(delivery()).message_id == identified(replace(delivery(), message_id="other")).message_id
    assert len(identified(delivery()).message_id) == 64


@pytest.mark.parametrize("other", [series(8), series(start=1800), replace(series(), evidence=(1,))])
def test_every_part_of_a_series_counts(other: IntervalSeries) -> None:
    assert content_hash(replace(delivery(), intervals=(other,))) != content_hash(delivery())


def test_text_cannot_slide_from_one_field_into_the_next() -> None:
    one, other = replace(delivery(), meter_id="M1s", session_id=""), replace(delivery(), meter_id="M1", session_id="s")
    assert content_hash(one) != content_hash(other)
