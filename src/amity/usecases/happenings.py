"""What happened, of what was told: alarm bits and log entries of the same happening found together, and outages."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amity.domain.events import EventClass, MeterEvent, event_id
from amity.domain.happenings import Outage, happenings, outages
from amity.usecases.ports import Database, EventQuery, StoredEvent


@dataclass(frozen=True, slots=True)
class CorrelatedEvent(StoredEvent):
    """An event among others: `happening` is the id of the one that tells the same thing best, maybe its own."""

    happening: str

    @property
    def leads(self) -> bool:
        """False for one more telling of what another event tells better."""
        return self.happening == self.event_id


@dataclass(frozen=True, slots=True)
class MeterOutage:
    """An outage with the meter it was at."""

    meter_id: str
    outage: Outage


def correlated(events: Sequence[StoredEvent]) -> tuple[CorrelatedEvent, ...]:
    """The same in the same order, each with the event that tells its happening best.

    Only what is among `events` is found together.
    """
    best: dict[str, str] = {}
    for meter_id, told in _by_meter(events).items():
        for one in happenings(told):
            leader = event_id(meter_id, one.event)
            best.update((event_id(meter_id, telling), leader) for telling in one.tellings)
    return tuple(CorrelatedEvent(one.meter_id, one.event, best[one.event_id]) for one in events)


def outages_of(database: Database, meter_id: str | None = None, *, limit: int = 200) -> Sequence[MeterOutage]:
    """Outages of one meter or of all that the newest `limit` events about power tell of, the newest first."""
    told = database.deliveries.events_of(EventQuery(meter_id, frozenset({EventClass.POWER}), limit=limit))
    found = [MeterOutage(meter, one) for meter, events in _by_meter(told).items() for one in outages(events)]
    return sorted(found, key=lambda one: (one.outage.began, one.meter_id), reverse=True)


def _by_meter(events: Sequence[StoredEvent]) -> Mapping[str, list[MeterEvent]]:
    found: dict[str, list[MeterEvent]] = defaultdict(list)
    for one in events:
        found[one.meter_id].append(one.event)
    return found
