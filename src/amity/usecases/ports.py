"""What the IT side's use cases need from storage, as protocols."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from amity.domain.blocks import Block, Channel, Stage
from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventClass, MeterEvent, Severity, event_id
from amity.domain.readings import ReadingType, RegisterReading, UnknownObject
from amity.domain.registry import Meter, Town, Transformer, UsagePoint
from amity.kernel.obis import Obis


@dataclass(frozen=True, slots=True)
class CollectionState:
    """The latest word on one meter's collection; `mapping_version` is that of its last answer."""

    meter_id: str
    outcome: Outcome
    collected_at: datetime
    detail: tuple[str, ...]
    last_answer_at: datetime | None
    attempts: int
    clock_offset_s: int | None
    failures_in_a_row: int
    mapping_version: str = ""


@dataclass(frozen=True, slots=True)
class VeeException:
    """A finding of one VEE rule on one channel for the intervals in [start_s, end_s), epoch seconds.

    `resolved` ones are no trouble any more but say how a value came about, such as an interpolated gap.
    """

    channel_id: int
    rule: str
    rule_version: str
    start_s: int
    end_s: int
    message: str
    found_at: datetime
    resolved: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that nobody could decode: kept as it came, with the reason, so that it can be tried again."""

    subject: str
    body: bytes
    reason: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with the meter it came from."""

    meter_id: str
    event: MeterEvent

    @property
    def event_id(self) -> str:
        """The same whatever told it."""
        return event_id(self.meter_id, self.event)


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events a person asks for; empty is any."""

    meter_id: str | None = None
    classes: frozenset[EventClass] = frozenset()
    severities: frozenset[Severity] = frozenset()
    limit: int = 200


@dataclass(frozen=True, slots=True)
class UnnamedCode:
    """An event code that no table knows: of which device profile and log, how often, of how many meters, and when last.

    `profile` is empty where the registry does not know the meters.
    """

    profile: str
    log: str
    code: int
    events: int
    meters: int
    newest: datetime


class RegistryStore(Protocol):
    """Meters, usage points, transformers."""

    def provision(self, town: Town) -> None:
        """Insert or update the whole town; idempotent."""
        ...

    def town(self) -> Town | None:
        """The provisioned town, None before the first provisioning."""
        ...

    def meter(self, meter_id: str) -> tuple[Meter, UsagePoint, Transformer] | None:
        """One meter with where it hangs."""
        ...


class BlockStore(Protocol):
    """Channel-day blocks with versions; merges per interval, exact under several writers (compare-and-swap)."""

    def channel(self, meter_id: str, reading_type: ReadingType) -> Channel:
        """Find or create the channel."""
        ...

    def channels(self, meter_id: str | None = None) -> Sequence[Channel]:
        """Channels of one meter or of all."""
        ...

    def channels_of(self, meter_ids: Sequence[str]) -> Sequence[Channel]:
        """Channels of these meters."""
        ...

    def merge(
        self, stage: Stage, blocks: Sequence[Block], *, source: str | Mapping[int, str], recorded_at: datetime
    ) -> int:
        """Merge per interval (newer wins), keep superseded contents; return how many blocks changed.

        A block whose content is already stored changes nothing: merging twice is merging once. `source` is one for all
        or one for each channel, by its id.
        """
        ...

    def adopt_raw(self, sources: Mapping[int, str], first_day: int, last_day: int, *, recorded_at: datetime) -> None:
        """Let the raw blocks of these channels (by id, with the source of each) be the final ones of these days."""
        ...

    def replace(self, stage: Stage, blocks: Sequence[Block], *, source: str, recorded_at: datetime) -> int:
        """Put computed contents in place of the stored ones, EMPTY slots too; idempotent and versioned like `merge`."""
        ...

    def span_with_neighbours(self, stage: Stage, channel_id: int, first_day: int, last_day: int) -> tuple[int, int]:
        """[first_day, last_day] widened to the nearest stored day on either side, where there is one."""
        ...

    def spans_with_neighbours(
        self, stage: Stage, channel_ids: Sequence[int], first_day: int, last_day: int
    ) -> Mapping[int, tuple[int, int]]:
        """The same for many channels, by their ids."""
        ...

    def read(
        self,
        stage: Stage,
        channel_ids: Sequence[int],
        first_day: int,
        last_day: int,
        *,
        as_known_at: datetime | None = None,
    ) -> Sequence[Block]:
        """Blocks of the days [first_day, last_day], by channel then day; with `as_known_at`, as they stood then."""
        ...

    def revisions(self, stage: Stage, channel_id: int, day: int) -> Sequence[Block]:
        """Every version of one block, oldest first."""
        ...


DayOfReadings = tuple[Obis, int, int]
"""OBIS code, interval length in seconds, UTC day since 1970-01-01."""
Mask = NDArray[np.bool_]
"""One truth value for each slot of a day."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """Which slots of one channel's UTC day a delivery brought, and when the MDM side had them."""

    meter_id: str
    obis: Obis
    interval_s: int
    day: int
    slots: Mask
    received_at: datetime
    message_id: str


class Arrived(NamedTuple):
    """A delivery, and the message that it was decoded from."""

    delivery: Delivery
    body: bytes


class DeliveryStore(Protocol):
    """Deliveries as received: evidence for every reading, and the state of collection."""

    def record(self, delivery: Delivery, body: bytes, *, received_at: datetime) -> bool:
        """Keep it with its events, registers, unknown objects and state; False when it was known already."""
        ...

    def record_all(self, arrived: Sequence[Arrived], *, received_at: datetime) -> frozenset[str]:
        """The same for deliveries of different meters; message ids of those that were not known."""
        ...

    def overtaken(self, deliveries: Sequence[Delivery]) -> frozenset[str]:
        """Message ids of those whose meter gave another one that was collected later and is recorded."""
        ...

    def brought_later(self, delivery: Delivery) -> Mapping[DayOfReadings, Mask]:
        """Slots of the days of this delivery that others brought which were collected after it: theirs are newer."""
        ...

    def arrivals(self, first_day: int, last_day: int) -> Iterator[Arrival]:
        """What came of these UTC days, of all meters, in the order in which it came."""
        ...

    def find(self, meter_id: str, reading_type_obis: bytes, start_s: int) -> Sequence[tuple[str, bytes]]:
        """(message id, body) of deliveries that brought this interval of this OBIS, newest first.

        For the OBIS code of a register: the delivery that brought its value at that second.
        """
        ...

    def answered(self, meter_id: str, since: datetime, *, limit: int) -> Sequence[tuple[str, bytes]]:
        """(message id, body) of what this meter gave at or after an instant, oldest first."""
        ...

    def states(self) -> Sequence[CollectionState]:
        """The latest state of every meter that was ever tried."""
        ...

    def registers(self, meter_id: str, *, obis: bytes | None = None, limit: int = 500) -> Sequence[RegisterReading]:
        """Register readings, newest first."""
        ...

    def snapshots(
        self, meter_id: str, obis: bytes, start_s: int, end_s: int, *, every_s: int
    ) -> Sequence[RegisterReading]:
        """Readings on the grid of `every_s` that bracket [start_s, end_s], oldest first.

        That is: from the last one at or before `start_s` to the first one at or after `end_s`, as far as there are any.
        """
        ...

    def snapshots_of(
        self, meter_ids: Sequence[str], obis: bytes, start_s: int, end_s: int, *, every_s: int
    ) -> Mapping[str, Sequence[RegisterReading]]:
        """The same for many meters; left out are those that have none."""
        ...

    def events(self, meter_id: str | None = None, *, limit: int = 200) -> Sequence[StoredEvent]:
        """Events, newest first."""
        ...

    def events_of(self, query: EventQuery) -> Sequence[StoredEvent]:
        """The events of a query, newest first."""
        ...

    def committed_at(self, message_ids: Collection[str]) -> Mapping[str, datetime]:
        """When each of these messages that is stored was committed."""
        ...

    def unnamed_codes(self, *, limit: int = 200) -> Sequence[UnnamedCode]:
        """Event codes that no table knew when they came, the most frequent first."""
        ...

    def unknown(self, meter_id: str | None = None, *, limit: int = 200) -> Sequence[tuple[str, UnknownObject]]:
        """Objects, with their meter, that no rule of the mapping names by which the meter last answered."""
        ...


class ExceptionStore(Protocol):
    """Open VEE findings."""

    def clear(self, channel_ids: Collection[int], start_s: int, end_s: int) -> None:
        """Forget the findings of these channels that start in [start_s, end_s)."""
        ...

    def replace(self, channel_id: int, first_day: int, last_day: int, found: Sequence[VeeException]) -> None:
        """Put the findings that start in these days in place of the earlier ones.

        A finding that was there before keeps its `found_at`.
        """
        ...

    def open(self, meter_id: str | None = None, *, limit: int = 500) -> Sequence[VeeException]:
        """Findings that nothing has resolved, newest first."""
        ...

    def covering(self, channel_id: int, start_s: int, end_s: int) -> Sequence[VeeException]:
        """Findings, open and resolved, that touch [start_s, end_s) of one channel: the rules behind a value."""
        ...


class DeadLetters(Protocol):
    """Messages that could not be decoded; the consumer adds one and acknowledges, so that it blocks nobody."""

    def add(self, subject: str, body: bytes, *, reason: str, received_at: datetime) -> bool:
        """Keep the message as it came; False when the same one is there already."""
        ...

    def all(self, *, limit: int = 200) -> Sequence[DeadLetter]:
        """Dead letters, newest first."""
        ...


class Database(Protocol):
    """The IT zone's database as the use cases see it."""

    registry: RegistryStore
    blocks: BlockStore
    deliveries: DeliveryStore
    exceptions: ExceptionStore
    dead_letters: DeadLetters

    def transaction(self) -> AbstractContextManager[None]:
        """All writes inside commit together or not at all; within another transaction it joins that one."""
        ...


class LoginStore(Protocol):
    """One-time login tokens and sessions, kept as hashes only."""

    def add_token(self, token_hash: bytes, person: str, expires_at: datetime) -> None:
        """Remember a token that was handed out."""
        ...

    def use_token(self, token_hash: bytes, now: datetime) -> str | None:
        """Spend the token; return its person, or None when unknown, spent or expired."""
        ...

    def add_session(self, session_hash: bytes, person: str, expires_at: datetime) -> None:
        """Remember a session."""
        ...

    def session(self, session_hash: bytes, now: datetime) -> str | None:
        """The person of a live session."""
        ...

    def end_session(self, session_hash: bytes) -> None:
        """Forget a session; nothing happens when it is unknown."""
        ...
