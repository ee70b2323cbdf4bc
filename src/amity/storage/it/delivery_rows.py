"""From deliveries to rows, as the driver takes them: instants as microseconds, OBIS codes as octets, tuples as JSON."""

import json
import threading
from functools import lru_cache
from typing import Any, Final

import numpy as np
from zstandard import ZstdCompressor

from amity.domain.collection import Delivery
from amity.domain.events import event_id
from amity.domain.readings import IntervalSeries
from amity.kernel.time import SECONDS_PER_DAY
from amity.storage.columns import microseconds
from amity.usecases.ports import Arrived

Rows = list[dict[str, Any]]


class _Packer(threading.local):
    """A compressor serves one thread at a time; to make one costs as much as to use it."""

    def __init__(self) -> None:
        self.pack = ZstdCompressor().compress


_PACKER: Final = _Packer()


def kept(arrived: Arrived, received_at: int) -> dict[str, Any]:
    """The message itself."""
    delivery = arrived.delivery
    return {
        "message_id": delivery.message_id,
        "meter_id": delivery.meter_id,
        "session_id": delivery.session_id,
        "collected_at": microseconds(delivery.collected_at),
        "received_at": received_at,
        "outcome": delivery.outcome.value,
        "body": _PACKER.pack(arrived.body),
    }


def days(delivery: Delivery) -> Rows:
    """Which slots of which days it brought."""
    return [row for series in delivery.intervals for row in _days_of(series, delivery)]


def _days_of(series: IntervalSeries, delivery: Delivery) -> Rows:
    """One row for each day of the series, with one bit for each slot that it brought."""
    interval_s = series.reading_type.interval_s
    all_days, seconds = np.divmod(series.starts, SECONDS_PER_DAY)
    first, last = (int(all_days[0]), int(all_days[-1])) if len(all_days) else (0, -1)
    rows = []
    for day in (first,) if first == last else np.unique(all_days).tolist():
        brought = np.zeros(SECONDS_PER_DAY // interval_s, bool)
        brought[seconds[all_days == day] // interval_s] = True
        rows.append(
            {
                "meter_id": delivery.meter_id,
                "obis": bytes(series.reading_type.obis),
                "day": day,
                "message_id": delivery.message_id,
                "interval_s": interval_s,
                "slots": np.packbits(brought).tobytes(),
            }
        )
    return rows


def registers(delivery: Delivery) -> Rows:
    """Its register readings."""
    collected_at = microseconds(delivery.collected_at)
    return [
        {
            "meter_id": delivery.meter_id,
            "obis": bytes(reading.reading_type.obis),
            "at": microseconds(reading.at),
            "unit": int(reading.reading_type.unit),
            "exponent": reading.reading_type.exponent,
            "value": str(reading.value),
            "evidence": _json(reading.evidence),
            "message_id": delivery.message_id,
            "collected_at": collected_at,
        }
        for reading in delivery.registers
    ]


def events(delivery: Delivery) -> Rows:
    """Its events, each under the id that it has whoever tells it."""
    return [
        {
            "event_id": event_id(delivery.meter_id, event),
            "meter_id": delivery.meter_id,
            "at": microseconds(event.at),
            "code": event.code,
            "log": event.log,
            "occurrence": event.occurrence,
            "kind": event.kind.value,
            "event_class": event.event_class.value,
            "severity": event.severity.value,
            "text": event.text,
            "pushed": event.pushed,
            "evidence": _json(event.evidence),
            "message_id": delivery.message_id,
        }
        for event in delivery.events
    ]


def unknown(delivery: Delivery) -> Rows:
    """What the mapping did not name."""
    collected_at = microseconds(delivery.collected_at)
    return [
        {
            "meter_id": delivery.meter_id,
            "class_id": thing.class_id,
            "obis": bytes(thing.obis),
            "attribute": thing.attribute,
            "octets": thing.octets,
            "at": microseconds(thing.at),
            "evidence": _json(thing.evidence),
            "message_id": delivery.message_id,
            "mapping_version": delivery.mapping_version,
            "collected_at": collected_at,
        }
        for thing in delivery.unknown
    ]


@lru_cache(maxsize=1024)
def _json(evidence: tuple[int, ...]) -> str:
    """As `columns.JsonTuple` writes it; few differ."""
    return json.dumps(evidence)
