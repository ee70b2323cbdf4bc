"""Meters: the list with filter, order and paging, and one meter with all that is known of it.

A meter may have readings and no registry entry: its readings were imported. It has no place and no session; who looks
for it by name finds it, and it counts nowhere.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache

from amity.devices.profiles import fictional_keys, field_keys, packaged_profile
from amity.domain.blocks import Channel
from amity.domain.readings import RegisterReading, UnknownObject
from amity.domain.registry import Meter, Town, Transformer, UsagePoint
from amity.kernel.errors import NotFoundError, RequestError
from amity.usecases.condition import Condition, condition_of
from amity.usecases.happenings import CorrelatedEvent, correlated
from amity.usecases.ports import CollectionState, VeeException
from amity.usecases.services import Services
from amity.usecases.town import registered_town

PAGE_SIZE_MAX = 1000
UNREGISTERED_TIMEZONE = "UTC"  # of a database without a town
NEVER = datetime.min.replace(tzinfo=UTC)


class MeterOrder(StrEnum):
    """What the list can be sorted by."""

    METER = "meter"
    CONDITION = "condition"
    LAST_ANSWER = "last-answer"
    TRANSFORMER = "transformer"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class MeterQuery:
    """Which meters: `text` is looked for in id, serial, address, profile, maker and transformer, in any case."""

    text: str = ""
    conditions: frozenset[Condition] = frozenset()
    transformer_id: str | None = None
    order: MeterOrder = MeterOrder.METER
    descending: bool = False
    offset: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class MeterRow:
    """One line of the list; `state` is None for a meter that nobody tried yet.

    Of a meter that the registry does not know, serial, profile and the fields of the usage point are empty.
    """

    meter: Meter
    usage_point: UsagePoint
    condition: Condition
    state: CollectionState | None

    @property
    def registered(self) -> bool:
        """False for a meter whose readings were imported and that the registry does not know."""
        return bool(self.meter.usage_point_id)

    @property
    def maker(self) -> str | None:
        """Manufacturer and model by the meter's profile, None when that is not one of the packaged ones."""
        return maker_of(self.meter.profile)

    @property
    def last_answer_at(self) -> datetime | None:
        """When it last gave readings."""
        return self.state.last_answer_at if self.state else None


@dataclass(frozen=True, slots=True)
class MeterPage:
    """Some rows of the `total` that match; `conditions` counts all that match before the filter by condition."""

    rows: tuple[MeterRow, ...]
    total: int
    conditions: Mapping[Condition, int]


@dataclass(frozen=True, slots=True)
class MeterDetail:
    """One meter: where it hangs, how it is doing, its channels, newest register readings, events and findings.

    `transformer` is None for a meter that the registry does not know.
    """

    row: MeterRow
    transformer: Transformer | None
    timezone: str
    channels: tuple[Channel, ...]
    registers: tuple[RegisterReading, ...]
    events: tuple[CorrelatedEvent, ...]
    findings: tuple[VeeException, ...]
    unknown: tuple[UnknownObject, ...]


def list_meters(services: Services, query: MeterQuery) -> MeterPage:
    """Find meters; raise RequestError for an impossible page, NotFoundError before the first provisioning."""
    if query.offset < 0 or not 0 < query.limit <= PAGE_SIZE_MAX:
        raise RequestError(
            f"there is no page of {query.limit} meters from position {query.offset}",
            next_step=f"ask for 1 to {PAGE_SIZE_MAX} meters from position 0 on",
        )
    candidates = [*all_meters(services), *(_imported_meters(services) if query.text.strip() else ())]
    matching = [row for row in candidates if _matches(row, query)]
    rows = [row for row in matching if not query.conditions or row.condition in query.conditions]
    rows.sort(key=_ORDERS[query.order], reverse=query.descending)
    page = tuple(rows[query.offset : query.offset + query.limit])
    return MeterPage(page, len(rows), Counter(row.condition for row in matching))


def all_meters(services: Services) -> list[MeterRow]:
    """Every registered meter that has a usage point, by id."""
    town = registered_town(services.database)
    states = {state.meter_id: state for state in services.database.deliveries.states()}
    return sorted(_rows(town, states), key=lambda row: row.meter.meter_id)


def meter_detail(services: Services, meter_id: str) -> MeterDetail:
    """Everything about one meter; raise NotFoundError when there is none of that name."""
    database = services.database
    channels = tuple(database.blocks.channels(meter_id))
    found = database.registry.meter(meter_id)
    if found is None and not channels:
        raise no_such_meter(meter_id)
    meter, usage_point, transformer = found or (*_unregistered(meter_id), None)
    state = next((state for state in database.deliveries.states() if state.meter_id == meter_id), None)
    town = database.registry.town()
    return MeterDetail(
        row=MeterRow(meter, usage_point, condition_of(state), state),
        transformer=transformer,
        timezone=town.timezone if town else UNREGISTERED_TIMEZONE,
        channels=channels,
        registers=tuple(newest_registers(database.deliveries.registers(meter_id))),
        events=correlated(database.deliveries.events(meter_id)),
        findings=tuple(database.exceptions.open(meter_id)),
        unknown=tuple(unknown for _, unknown in database.deliveries.unknown(meter_id)),
    )


def no_such_meter(meter_id: str) -> NotFoundError:
    """What is said about a meter id that nobody registered."""
    return NotFoundError(
        f"there is no meter {meter_id}", next_step="look the name up in the list of meters; capitals matter"
    )


@lru_cache
def maker_of(profile: str) -> str | None:
    """Manufacturer and model that a packaged device profile names, None for any other profile."""
    if profile not in {*field_keys(), *fictional_keys()}:
        return None
    found = packaged_profile(profile)
    return f"{found.manufacturer} {found.model}"


def newest_registers(registers: Sequence[RegisterReading]) -> list[RegisterReading]:
    """The newest reading of each register, by OBIS, out of readings that come newest first."""
    newest: dict[bytes, RegisterReading] = {}
    for reading in registers:
        newest.setdefault(bytes(reading.reading_type.obis), reading)
    return [newest[obis] for obis in sorted(newest)]


def _unregistered(meter_id: str) -> tuple[Meter, UsagePoint]:
    return Meter(meter_id, "", "", ""), UsagePoint("", "", "", "", 0.0, 0.0)


def _imported_meters(services: Services) -> list[MeterRow]:
    """Meters that have channels and no registry entry."""
    database = services.database
    known = {meter.meter_id for meter in registered_town(database).meters}
    others = sorted({channel.meter_id for channel in database.blocks.channels()} - known)
    return [MeterRow(*_unregistered(meter_id), condition_of(None), None) for meter_id in others]


def _rows(town: Town, states: Mapping[str, CollectionState]) -> list[MeterRow]:
    points = {point.usage_point_id: point for point in town.usage_points}
    return [
        MeterRow(meter, points[meter.usage_point_id], condition_of(state), state)
        for meter in town.meters
        if meter.usage_point_id in points
        for state in (states.get(meter.meter_id),)
    ]


def _matches(row: MeterRow, query: MeterQuery) -> bool:
    if query.transformer_id and row.usage_point.transformer_id != query.transformer_id:
        return False
    point = row.usage_point
    meter = row.meter
    words = (meter.meter_id, meter.serial, meter.profile, row.maker or "", point.address, point.transformer_id)
    return query.text.strip().casefold() in "\n".join(words).casefold()


_BY_CONDITION = {condition: rank for rank, condition in enumerate(Condition)}
_ORDERS: dict[MeterOrder, Callable[[MeterRow], tuple[object, ...]]] = {
    MeterOrder.METER: lambda row: (row.meter.meter_id,),
    MeterOrder.CONDITION: lambda row: (_BY_CONDITION[row.condition], row.meter.meter_id),
    MeterOrder.LAST_ANSWER: lambda row: (row.last_answer_at or NEVER, row.meter.meter_id),
    MeterOrder.TRANSFORMER: lambda row: (row.usage_point.transformer_id, row.meter.meter_id),
    MeterOrder.ADDRESS: lambda row: (row.usage_point.address, row.meter.meter_id),
}
