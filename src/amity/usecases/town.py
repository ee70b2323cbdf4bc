"""The town at a glance: who answered, the load of yesterday and today, how complete it is, what is going wrong."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from amity.domain.blocks import Channel, Stage
from amity.domain.registry import Town, Transformer
from amity.domain.spans import EpochSpan
from amity.kernel.errors import NotFoundError
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s, from_epoch_s, time_zone
from amity.usecases.calendar import local_date, local_day
from amity.usecases.condition import Condition, condition_of
from amity.usecases.grid import INTERVAL_S, Grid, read_grid
from amity.usecases.happenings import CorrelatedEvent, correlated
from amity.usecases.issues import Issue, Late, Situation, find_issues
from amity.usecases.load import (
    DayCompleteness,
    DayLoad,
    Gap,
    completeness,
    day_load,
    gaps,
    known_since_s,
    known_until_s,
    late_meters,
)
from amity.usecases.ports import CollectionState, Database, StoredEvent, VeeException
from amity.usecases.services import Services

IMPORT = Obis.parse("1.0.1.29.0.255")
EXPORT = Obis.parse("1.0.2.29.0.255")
DAYS_BACK = 6
PATIENCE = timedelta(minutes=20)  # after its end: a collection round in every quarter hour, and what that may take
EVENTS_SHOWN = 50
UNKNOWN_LOOKED_AT = 5000
EVENTS_LOOKED_AT = 2000  # a storm brings hundreds; the last gasps among them tell an outage from a silent modem


@dataclass(frozen=True, slots=True)
class MeterOnMap:
    """A meter as a dot: degrees (WGS 84), how it is doing and where it hangs."""

    meter_id: str
    address: str
    transformer_id: str
    latitude: float
    longitude: float
    has_solar: bool
    condition: Condition


@dataclass(frozen=True, slots=True)
class TownOverview:
    """All that the first page says, as known at `at`; `days` run from the oldest to today."""

    name: str
    timezone: str
    at: datetime
    meters: tuple[MeterOnMap, ...]
    transformers: tuple[Transformer, ...]
    conditions: Mapping[Condition, int]
    yesterday: DayLoad
    today: DayLoad
    known_until: datetime | None
    days: tuple[DayCompleteness, ...]
    gaps: tuple[Gap, ...]
    findings: int
    issues: tuple[Issue, ...]
    events: tuple[CorrelatedEvent, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """The grids of the last days and the span in which every meter should have values."""

    imported: Grid
    exported: Grid
    due: EpochSpan
    known_until_s: int


def registered_town(database: Database) -> Town:
    """The town; raise NotFoundError before the first provisioning."""
    town = database.registry.town()
    if town is None:
        raise NotFoundError(
            "no town is registered yet",
            next_step="wait a moment while `amity demo` provisions it, or provision a town document",
        )
    return town


def town_overview(services: Services) -> TownOverview:
    """Gather the overview; raise NotFoundError before the first provisioning."""
    database, now = services.database, services.clock.now()
    town = registered_town(database)
    timezone = time_zone(town.timezone)
    measured = _measure(database, town, now, timezone)
    states = {state.meter_id: state for state in database.deliveries.states()}
    meters = tuple(_meters_on_map(town, states))
    found = database.exceptions.open()
    open_gaps = tuple(_gaps(measured))
    events = correlated(database.deliveries.events(limit=EVENTS_LOOKED_AT))
    today = local_date(now, timezone)
    situation = _situation(database, town, now, list(states.values()), events, found, measured, open_gaps)
    return TownOverview(
        name=town.name,
        timezone=town.timezone,
        at=now,
        meters=meters,
        transformers=town.transformers,
        conditions=Counter(meter.condition for meter in meters),
        yesterday=_load_of(today - timedelta(days=1), measured, timezone),
        today=_load_of(today, measured, timezone),
        known_until=from_epoch_s(measured.known_until_s) if measured.known_until_s else None,
        days=tuple(_days(measured, len(town.meters), today, timezone)),
        gaps=open_gaps,
        findings=len(found),
        issues=tuple(find_issues(situation)),
        events=tuple(events[:EVENTS_SHOWN]),
    )


def _measure(database: Database, town: Town, now: datetime, timezone: ZoneInfo) -> _Measured:
    today = local_date(now, timezone)
    span = EpochSpan(
        local_day(today - timedelta(days=DAYS_BACK), timezone).start_s // INTERVAL_S * INTERVAL_S,
        local_day(today, timezone).end_s,
    )
    registered = {meter.meter_id for meter in town.meters}
    channels = [c for c in database.blocks.channels() if c.meter_id in registered and _fits(c)]
    imported = read_grid(database.blocks, Stage.FINAL, [c for c in channels if c.obis == IMPORT], span)
    exported = read_grid(database.blocks, Stage.FINAL, [c for c in channels if c.obis == EXPORT], span)
    since_s = known_since_s(imported)
    start_s = span.start_s if since_s is None else since_s
    end_s = epoch_s(now - PATIENCE) // INTERVAL_S * INTERVAL_S if channels else start_s
    return _Measured(imported, exported, EpochSpan(start_s, max(start_s, end_s)), known_until_s(imported, epoch_s(now)))


def _fits(channel: Channel) -> bool:
    """Whole multiples and whole parts of a quarter hour can be added up without inventing anything."""
    return channel.interval_s % INTERVAL_S == 0 or INTERVAL_S % channel.interval_s == 0


def _load_of(day: date, measured: _Measured, timezone: ZoneInfo) -> DayLoad:
    span = local_day(day, timezone)
    return day_load(day, measured.imported.part(span), measured.exported.part(span))


def _gaps(measured: _Measured) -> list[Gap]:
    found = gaps(measured.imported.part(measured.due), measured.due.end_s)
    return sorted(found, key=lambda gap: gap.seconds, reverse=True)


def _days(measured: _Measured, meters: int, today: date, timezone: ZoneInfo) -> list[DayCompleteness]:
    days = (today - timedelta(days=back) for back in range(DAYS_BACK, -1, -1))
    counted = (_completeness(day, measured, meters, timezone) for day in days)
    return [day for day in counted if day.expected]


def _completeness(day: date, measured: _Measured, meters: int, timezone: ZoneInfo) -> DayCompleteness:
    whole = local_day(day, timezone)
    span = EpochSpan(max(whole.start_s, measured.due.start_s), max(whole.start_s, min(whole.end_s, measured.due.end_s)))
    if span.end_s <= span.start_s:
        return DayCompleteness(day, 0, 0, 0)
    part = measured.imported.part(span)
    return completeness(day, part, meters, measured.due.end_s)


def _meters_on_map(town: Town, states: Mapping[str, CollectionState]) -> list[MeterOnMap]:
    points = {point.usage_point_id: point for point in town.usage_points}
    return [
        MeterOnMap(
            meter.meter_id,
            point.address,
            point.transformer_id,
            point.latitude,
            point.longitude,
            point.has_solar,
            condition_of(states.get(meter.meter_id)),
        )
        for meter in sorted(town.meters, key=lambda meter: meter.meter_id)
        if (point := points.get(meter.usage_point_id)) is not None
    ]


def _late(measured: _Measured) -> Late | None:
    """Set when most of the town lacks its newest intervals: a few late meters are gaps of their own."""
    imported = measured.imported
    meter_ids = late_meters(imported.part(measured.due), measured.due.end_s)
    if 2 * len(meter_ids) <= len(imported.channels):
        return None
    return Late(meter_ids, from_epoch_s(measured.known_until_s) if measured.known_until_s else None)


def _situation(
    database: Database,
    town: Town,
    now: datetime,
    states: Sequence[CollectionState],
    events: Sequence[StoredEvent],
    found: Sequence[VeeException],
    measured: _Measured,
    open_gaps: Sequence[Gap],
) -> Situation:
    transformer_of_point = {point.usage_point_id: point.transformer_id for point in town.usage_points}
    return Situation(
        now=now,
        transformers=town.transformers,
        transformer_of={m.meter_id: transformer_of_point.get(m.usage_point_id, "") for m in town.meters},
        meter_of_channel={c.channel_id: c.meter_id for c in database.blocks.channels()},
        states=states,
        events=events,
        exceptions=found,
        gaps=open_gaps,
        dead_letters=database.dead_letters.all(),
        late=_late(measured),
        unknown_at=[meter_id for meter_id, _ in database.deliveries.unknown(limit=UNKNOWN_LOOKED_AT)],
    )
