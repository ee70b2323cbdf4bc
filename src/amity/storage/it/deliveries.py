"""The DeliveryStore: what came is kept for ever as it came, indexed by the intervals it brought."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import BigInteger, Connection, Row, Select, and_, bindparam, cast, func, select
from zstandard import ZstdCompressor, ZstdDecompressor

from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventClass, EventKind, MeterEvent, Severity, event_id
from amity.domain.readings import IntervalSeries, ReadingType, RegisterReading, UnknownObject
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY, from_epoch_s, utc_day
from amity.kernel.units import Unit
from amity.storage.columns import Instant
from amity.storage.dialect import insert_or_ignore, insert_or_update
from amity.storage.it import tables
from amity.storage.it.collection_states import move_state
from amity.storage.transactions import Transactions
from amity.usecases.ports import Arrival, CollectionState, DayOfReadings, EventQuery, Mask, StoredEvent, UnnamedCode

_MICROSECONDS_PER_S = 1_000_000
_AT_ONCE = 5_000


def _bracketing() -> Select[Any]:
    """Readings from the last on the grid at or before `start` to the first at or after `end`."""
    register = tables.register_reading.c
    start, end = bindparam("start", type_=Instant), bindparam("end", type_=Instant)
    on_grid = and_(
        register.meter_id == bindparam("meter_id"),
        register.obis == bindparam("obis"),
        cast(register.at, BigInteger) % bindparam("every_us") == 0,
    )
    first = select(func.max(register.at)).where(on_grid, register.at <= start).scalar_subquery()
    last = select(func.min(register.at)).where(on_grid, register.at >= end).scalar_subquery()
    bracketed = register.at.between(func.coalesce(first, start), func.coalesce(last, end))
    return select(tables.register_reading).where(on_grid, bracketed).order_by(register.at)


_BRACKETING = _bracketing()  # built once: it is asked for every channel of every delivery


class SqlDeliveryStore:
    """Deliveries in the table `delivery`; what they brought in the tables beside it, each row naming its message."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def record(self, delivery: Delivery, body: bytes, *, received_at: datetime) -> bool:
        """Keep it with its events, registers, unknown objects and state; False (and no change) when known already."""
        kept = {
            "message_id": delivery.message_id,
            "meter_id": delivery.meter_id,
            "session_id": delivery.session_id,
            "collected_at": delivery.collected_at,
            "received_at": received_at,
            "outcome": delivery.outcome,
            "body": ZstdCompressor().compress(body),
        }
        with self._transactions.write() as connection:
            if not connection.execute(insert_or_ignore(connection, tables.delivery), kept).rowcount:
                return False
            _put(connection, insert_or_ignore(connection, tables.delivered_day), _days(delivery))
            newer_registers = insert_or_update(connection, tables.register_reading, newer_by="collected_at")
            _put(connection, newer_registers, _registers(delivery))
            _put(connection, insert_or_ignore(connection, tables.meter_event), _events(delivery))
            newer_objects = insert_or_update(connection, tables.unknown_object, newer_by="collected_at")
            _put(connection, newer_objects, _unknown(delivery))
            move_state(connection, delivery)
        return True

    def brought_later(self, delivery: Delivery) -> Mapping[DayOfReadings, Mask]:
        """Slots of the days of this delivery that others brought which were collected after it: theirs are newer."""
        sent, brought = tables.delivery.c, tables.delivered_day.c
        of_meter_and_later = and_(sent.meter_id == delivery.meter_id, sent.collected_at > delivery.collected_at)
        found: dict[DayOfReadings, Mask] = {}
        with self._transactions.read() as connection:
            if connection.execute(select(sent.message_id).where(of_meter_and_later).limit(1)).first() is None:
                return found  # in order, as nearly always
            for obis, first_day, last_day in _spans(delivery):
                wanted = (
                    select(brought.interval_s, brought.day, brought.slots)
                    .join(tables.delivery)
                    .where(of_meter_and_later, brought.meter_id == delivery.meter_id, brought.obis == obis)
                    .where(brought.day.between(first_day, last_day))
                )
                for interval_s, day, slots in connection.execute(wanted):
                    key, mask = (obis, interval_s, day), _mask(slots, interval_s)
                    found[key] = found[key] | mask if key in found else mask
        return found

    def arrivals(self, first_day: int, last_day: int) -> Iterator[Arrival]:
        """What came of these UTC days, of all meters, in the order in which it came."""
        sent, day = tables.delivery.c, tables.delivered_day.c
        wanted = (
            select(day.meter_id, day.obis, day.interval_s, day.day, day.slots, sent.received_at, sent.message_id)
            .join(tables.delivery, sent.message_id == day.message_id)
            .where(day.day.between(first_day, last_day))
            .order_by(sent.received_at, sent.message_id)
        )
        with self._transactions.read() as connection:
            for row in connection.execute(wanted, execution_options={"yield_per": _AT_ONCE}):
                yield Arrival(
                    row.meter_id, row.obis, row.interval_s, row.day, _mask(row.slots, row.interval_s), row.received_at,
                    row.message_id,
                )  # fmt: skip

    def find(self, meter_id: str, reading_type_obis: bytes, start_s: int) -> Sequence[tuple[str, bytes]]:
        """(message id, body) of deliveries that brought this interval, or the register at this second, newest first."""
        sent, day, register = tables.delivery.c, tables.delivered_day.c, tables.register_reading.c
        of_day = (
            select(sent.message_id, sent.body, day.interval_s, day.slots)
            .join(tables.delivered_day)
            .where(day.meter_id == meter_id, day.obis == reading_type_obis, day.day == utc_day(start_s))
            .order_by(sent.collected_at.desc(), sent.message_id)
        )
        of_register = (
            select(sent.message_id, sent.body)
            .join(tables.register_reading)
            .where(register.meter_id == meter_id, register.obis == reading_type_obis)
            .where(register.at == from_epoch_s(start_s))
        )
        with self._transactions.read() as connection:
            brought = [row for row in connection.execute(of_day) if _brought(row, start_s)]
            rows: list[Any] = [*brought, *connection.execute(of_register)]
        return [(row.message_id, ZstdDecompressor().decompress(row.body)) for row in rows]

    def answered(self, meter_id: str, since: datetime, *, limit: int) -> Sequence[tuple[str, bytes]]:
        """(message id, body) of what this meter gave at or after an instant, oldest first."""
        sent = tables.delivery.c
        gave = [outcome for outcome in Outcome if outcome.answered]
        wanted = (
            select(sent.message_id, sent.body)
            .where(sent.meter_id == meter_id, sent.collected_at >= since, sent.outcome.in_(gave))
            .order_by(sent.collected_at, sent.message_id)
            .limit(limit)
        )
        with self._transactions.read() as connection:
            rows = connection.execute(wanted).all()
        return [(row.message_id, ZstdDecompressor().decompress(row.body)) for row in rows]

    def states(self) -> Sequence[CollectionState]:
        """The latest state of every meter that was ever tried, by meter."""
        with self._transactions.read() as connection:
            rows = connection.execute(select(tables.collection_state).order_by(tables.collection_state.c.meter_id))
            return [CollectionState(**{**row._asdict(), "outcome": Outcome(row.outcome)}) for row in rows]

    def registers(self, meter_id: str, *, obis: bytes | None = None, limit: int = 500) -> Sequence[RegisterReading]:
        """Register readings, newest first."""
        register = tables.register_reading.c
        wanted = select(tables.register_reading).where(register.meter_id == meter_id)
        if obis is not None:
            wanted = wanted.where(register.obis == obis)
        newest_first = wanted.order_by(register.at.desc(), register.obis).limit(limit)
        with self._transactions.read() as connection:
            return [_register(row) for row in connection.execute(newest_first)]

    def snapshots(
        self, meter_id: str, obis: bytes, start_s: int, end_s: int, *, every_s: int
    ) -> Sequence[RegisterReading]:
        """Readings on the grid of `every_s` that bracket [start_s, end_s], oldest first."""
        span = {"start": from_epoch_s(start_s), "end": from_epoch_s(end_s), "every_us": every_s * _MICROSECONDS_PER_S}
        with self._transactions.read() as connection:
            rows = connection.execute(_BRACKETING, {"meter_id": meter_id, "obis": obis, **span})
            return [_register(row) for row in rows]

    def events(self, meter_id: str | None = None, *, limit: int = 200) -> Sequence[StoredEvent]:
        """Events, newest first."""
        return self.events_of(EventQuery(meter_id, limit=limit))

    def events_of(self, query: EventQuery) -> Sequence[StoredEvent]:
        """The events of a query, newest first."""
        event = tables.meter_event.c
        in_order = (event.at.desc(), event.meter_id, event.code, event.log, event.occurrence)
        wanted = select(tables.meter_event).order_by(*in_order).limit(query.limit)
        if query.meter_id is not None:
            wanted = wanted.where(event.meter_id == query.meter_id)
        if query.classes:
            wanted = wanted.where(event.event_class.in_(sorted(query.classes)))
        if query.severities:
            wanted = wanted.where(event.severity.in_(sorted(query.severities)))
        with self._transactions.read() as connection:
            return [_event(row) for row in connection.execute(wanted)]

    def unnamed_codes(self, *, limit: int = 200) -> Sequence[UnnamedCode]:
        """Event codes that no table knew when they came, the most frequent first."""
        event, meter = tables.meter_event.c, tables.meter.c
        profile = func.coalesce(meter.profile, "")
        wanted = (
            select(
                profile.label("profile"),
                event.log,
                event.code,
                func.count().label("events"),
                func.count(event.meter_id.distinct()).label("meters"),
                func.max(event.at).label("newest"),
            )
            .select_from(tables.meter_event.outerjoin(tables.meter, meter.meter_id == event.meter_id))
            .where(event.text == "", event.kind == EventKind.OTHER)
            .group_by(profile, event.log, event.code)
            .order_by(func.count().desc(), profile, event.log, event.code)
            .limit(limit)
        )
        with self._transactions.read() as connection:
            return [UnnamedCode(**row._asdict()) for row in connection.execute(wanted)]

    def unknown(self, meter_id: str | None = None, *, limit: int = 200) -> Sequence[tuple[str, UnknownObject]]:
        """Objects, as last seen, that no rule of the mapping names by which their meter last answered."""
        thing, state = tables.unknown_object.c, tables.collection_state.c
        still = and_(state.meter_id == thing.meter_id, state.mapping_version == thing.mapping_version)
        in_order = select(tables.unknown_object).order_by(*tables.unknown_object.primary_key)
        wanted = in_order.join(tables.collection_state, still).limit(limit)
        if meter_id is not None:
            wanted = wanted.where(thing.meter_id == meter_id)
        with self._transactions.read() as connection:
            return [
                (row.meter_id, UnknownObject(row.class_id, row.obis, row.attribute, row.octets, row.at, row.evidence))
                for row in connection.execute(wanted)
            ]


def _put(connection: Connection, statement: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(statement, rows)


# ------------------------------------------------------------------ from a delivery to rows
def _days(delivery: Delivery) -> list[dict[str, Any]]:
    return [row for series in delivery.intervals for row in _days_of(series, delivery)]


def _days_of(series: IntervalSeries, delivery: Delivery) -> list[dict[str, Any]]:
    """One row for each day of the series, with one bit for each slot that it brought."""
    interval_s = series.reading_type.interval_s
    days, seconds = np.divmod(series.starts, SECONDS_PER_DAY)
    rows = []
    for day in np.unique(days).tolist():
        brought = np.zeros(SECONDS_PER_DAY // interval_s, bool)
        brought[seconds[days == day] // interval_s] = True
        rows.append(
            {
                "meter_id": delivery.meter_id,
                "obis": series.reading_type.obis,
                "day": day,
                "message_id": delivery.message_id,
                "interval_s": interval_s,
                "slots": np.packbits(brought).tobytes(),
            }
        )
    return rows


def _spans(delivery: Delivery) -> Iterator[tuple[Obis, int, int]]:
    """OBIS code, first and last day of each series that holds anything."""
    for series in delivery.intervals:
        if len(series.starts):
            yield series.reading_type.obis, utc_day(int(series.starts[0])), utc_day(int(series.starts[-1]))


def _mask(slots: bytes, interval_s: int) -> Mask:
    bits = np.unpackbits(np.frombuffer(slots, np.uint8), count=SECONDS_PER_DAY // interval_s)
    return np.asarray(bits, bool)


def _brought(row: Row[*tuple[Any, ...]], start_s: int) -> bool:
    slot = start_s % SECONDS_PER_DAY // row.interval_s
    return bool(row.slots[slot // 8] >> (7 - slot % 8) & 1)


def _registers(delivery: Delivery) -> list[dict[str, Any]]:
    return [
        {
            "meter_id": delivery.meter_id,
            "obis": reading.reading_type.obis,
            "at": reading.at,
            "unit": int(reading.reading_type.unit),
            "exponent": reading.reading_type.exponent,
            "value": str(reading.value),
            "evidence": reading.evidence,
            "message_id": delivery.message_id,
            "collected_at": delivery.collected_at,
        }
        for reading in delivery.registers
    ]


def _events(delivery: Delivery) -> list[dict[str, Any]]:
    return [
        {
            "event_id": event_id(delivery.meter_id, event),
            "meter_id": delivery.meter_id,
            "at": event.at,
            "code": event.code,
            "log": event.log,
            "occurrence": event.occurrence,
            "kind": event.kind,
            "event_class": event.event_class,
            "severity": event.severity,
            "text": event.text,
            "pushed": event.pushed,
            "evidence": event.evidence,
            "message_id": delivery.message_id,
        }
        for event in delivery.events
    ]


def _unknown(delivery: Delivery) -> list[dict[str, Any]]:
    return [
        {
            "meter_id": delivery.meter_id,
            "class_id": thing.class_id,
            "obis": thing.obis,
            "attribute": thing.attribute,
            "octets": thing.octets,
            "at": thing.at,
            "evidence": thing.evidence,
            "message_id": delivery.message_id,
            "mapping_version": delivery.mapping_version,
            "collected_at": delivery.collected_at,
        }
        for thing in delivery.unknown
    ]


# ------------------------------------------------------------------ and back
def _register(row: Row[Any]) -> RegisterReading:
    reading_type = ReadingType(row.obis, Unit(row.unit), row.exponent)
    return RegisterReading(reading_type, int(row.value), row.at, row.evidence)


def _event(row: Row[Any]) -> StoredEvent:
    event = MeterEvent(
        EventKind(row.kind),
        row.code,
        row.at,
        row.text,
        row.pushed,
        row.evidence,
        row.log,
        row.occurrence,
        EventClass(row.event_class),
        Severity(row.severity),
    )
    return StoredEvent(row.meter_id, event)
