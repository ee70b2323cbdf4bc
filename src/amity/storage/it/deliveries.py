"""The DeliveryStore: what came is kept for ever as it came, indexed by the intervals it brought."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, Final

import numpy as np
from sqlalchemy import BigInteger, Connection, Row, Select, Table, and_, bindparam, cast, func, select
from zstandard import ZstdDecompressor

from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventClass, EventKind, MeterEvent, Severity
from amity.domain.readings import ReadingType, RegisterReading, UnknownObject
from amity.kernel.obis import Obis
from amity.kernel.time import EPOCH, SECONDS_PER_DAY, from_epoch_s, utc_day
from amity.kernel.units import Unit
from amity.storage.columns import MICROSECOND, Instant, microseconds
from amity.storage.dialect import execute_rows, insert_or_ignore, insert_or_update
from amity.storage.it import delivery_rows, tables
from amity.storage.it.collection_states import move_states
from amity.storage.row_sets import INTEGER, TEXT, Columns, run
from amity.storage.transactions import Transactions
from amity.usecases.ports import (
    Arrival,
    Arrived,
    CollectionState,
    DayOfReadings,
    EventQuery,
    Mask,
    StoredEvent,
    UnnamedCode,
)

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


_MESSAGES: Final[Columns] = (("message_id", TEXT),)
_COLLECTED: Final[Columns] = (("message_id", TEXT), ("meter_id", TEXT), ("collected_at", INTEGER))
_METERS: Final[Columns] = (("meter_id", TEXT),)
_KNOWN: Final = "SELECT message_id FROM delivery WHERE message_id IN (SELECT message_id FROM {rows} AS wanted)"
_OVERTAKEN: Final = """
    SELECT message_id FROM {rows} AS wanted WHERE EXISTS (
        SELECT 1 FROM delivery
        WHERE delivery.meter_id = wanted.meter_id AND delivery.collected_at > wanted.collected_at)"""
_BRACKETING_OF: Final = """
    SELECT register.meter_id, register.at, register.unit, register.exponent, register.value, register.evidence
    FROM (
        SELECT meter_id,
            (SELECT max(at) FROM register_reading AS one WHERE one.meter_id = wanted.meter_id AND one.obis = :obis
                AND one.at <= :start AND one.at % :every_us = 0) AS first_at,
            (SELECT min(at) FROM register_reading AS one WHERE one.meter_id = wanted.meter_id AND one.obis = :obis
                AND one.at >= :end AND one.at % :every_us = 0) AS last_at
        FROM {rows} AS wanted
    ) AS bracket CROSS JOIN register_reading AS register
    WHERE register.meter_id = bracket.meter_id AND register.obis = :obis AND register.at % :every_us = 0
        AND register.at BETWEEN coalesce(first_at, :start) AND coalesce(last_at, :end)
    ORDER BY register.meter_id, register.at"""

_BRACKETING = _bracketing()  # built once: it is asked for every channel of every delivery


class SqlDeliveryStore:
    """Deliveries in the table `delivery`; what they brought in the tables beside it, each row naming its message."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def record(self, delivery: Delivery, body: bytes, *, received_at: datetime) -> bool:
        """Keep it with its events, registers, unknown objects and state; False (and no change) when known already."""
        return delivery.message_id in self.record_all([Arrived(delivery, body)], received_at=received_at)

    def record_all(self, arrived: Sequence[Arrived], *, received_at: datetime) -> frozenset[str]:
        """The same for deliveries of different meters, each table gone through once; ids of those not known before."""
        with self._transactions.write() as connection:
            ids = [(one.delivery.message_id,) for one in arrived]
            known = {message_id for (message_id,) in run(connection, _KNOWN, _MESSAGES, ids)}
            new = [one for one in arrived if one.delivery.message_id not in known]
            self._insert(connection, new, microseconds(received_at))
            move_states(connection, [one.delivery for one in new])
        return frozenset(one.delivery.message_id for one in new)

    @staticmethod
    def _insert(connection: Connection, new: Sequence[Arrived], received_at: int) -> None:
        """The messages first: all else names them."""
        ignoring, newest = insert_or_ignore, partial(insert_or_update, newer_by="collected_at")
        rows_of_tables: tuple[tuple[Table, Callable[..., Any], Iterable[delivery_rows.Rows]], ...] = (
            (tables.delivery, ignoring, ([delivery_rows.kept(one, received_at)] for one in new)),
            (tables.delivered_day, ignoring, (delivery_rows.days(one.delivery) for one in new)),
            (tables.register_reading, newest, (delivery_rows.registers(one.delivery) for one in new)),
            (tables.meter_event, ignoring, (delivery_rows.events(one.delivery) for one in new)),
            (tables.unknown_object, newest, (delivery_rows.unknown(one.delivery) for one in new)),
        )
        for table, insert, rows in rows_of_tables:
            execute_rows(connection, insert(connection, table), list(chain.from_iterable(rows)))

    def overtaken(self, deliveries: Sequence[Delivery]) -> frozenset[str]:
        """Message ids of those whose meter gave another one that was collected later and is recorded."""
        rows = [(one.message_id, one.meter_id, microseconds(one.collected_at)) for one in deliveries]
        with self._transactions.read() as connection:
            return frozenset(message_id for (message_id,) in run(connection, _OVERTAKEN, _COLLECTED, rows))

    def brought_later(self, delivery: Delivery) -> Mapping[DayOfReadings, Mask]:
        """Slots of the days of this delivery that others brought which were collected after it: theirs are newer."""
        sent, brought = tables.delivery.c, tables.delivered_day.c
        of_meter_and_later = and_(sent.meter_id == delivery.meter_id, sent.collected_at > delivery.collected_at)
        found: dict[DayOfReadings, Mask] = {}
        with self._transactions.read() as connection:
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

    def snapshots_of(
        self, meter_ids: Sequence[str], obis: bytes, start_s: int, end_s: int, *, every_s: int
    ) -> Mapping[str, Sequence[RegisterReading]]:
        """The same for many meters; left out are those that have none."""
        start, end, every_us = (second * _MICROSECONDS_PER_S for second in (start_s, end_s, every_s))
        values = {"obis": bytes(obis), "start": start, "end": end, "every_us": every_us}
        found: dict[str, list[RegisterReading]] = defaultdict(list)
        with self._transactions.read() as connection:
            rows = run(connection, _BRACKETING_OF, _METERS, [(one,) for one in meter_ids], **values)
            for meter_id, at, unit, exponent, value, evidence in rows:
                reading_type = ReadingType(Obis(obis), Unit(unit), exponent)
                instant = EPOCH + at * MICROSECOND
                told = RegisterReading(reading_type, int(value), instant, tuple(json.loads(evidence)))
                found[meter_id].append(told)
        return found

    def committed_at(self, message_ids: Collection[str]) -> Mapping[str, datetime]:
        """When each of these messages that is stored was committed."""
        columns = tables.delivery.c
        wanted = select(columns.message_id, columns.received_at).where(columns.message_id.in_(message_ids))
        with self._transactions.read() as connection:
            return {row.message_id: row.received_at for row in connection.execute(wanted)}

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
