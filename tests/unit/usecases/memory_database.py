"""Small in-memory stand-ins for the IT zone's stores, true to the words of `usecases/ports.py`."""

import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import numpy as np

from amity.domain.blocks import Block, Channel, Stage, empty_block, merge
from amity.domain.collection import Delivery
from amity.domain.readings import ReadingType, RegisterReading, UnknownObject
from amity.domain.registry import Meter, Town, Transformer, UsagePoint
from amity.mdm.intervals import day_blocks
from amity.usecases.ports import (
    Arrival,
    CollectionState,
    DayOfReadings,
    DeadLetter,
    EventQuery,
    Mask,
    StoredEvent,
    VeeException,
)


class MemoryRegistry:
    def __init__(self) -> None:
        self._town: Town | None = None

    def provision(self, town: Town) -> None:
        self._town = town

    def town(self) -> Town | None:
        return self._town

    def meter(self, meter_id: str) -> tuple[Meter, UsagePoint, Transformer] | None:
        if self._town is None:
            return None
        points = {p.usage_point_id: p for p in self._town.usage_points}
        transformers = {t.transformer_id: t for t in self._town.transformers}
        for meter in self._town.meters:
            if meter.meter_id == meter_id:
                point = points[meter.usage_point_id]
                return meter, point, transformers[point.transformer_id]
        return None


class MemoryBlocks:
    def __init__(self) -> None:
        self._channels: dict[tuple[str, bytes, int], Channel] = {}
        self._versions: dict[tuple[Stage, int, int], list[Block]] = defaultdict(list)

    def channel(self, meter_id: str, reading_type: ReadingType) -> Channel:
        key = (meter_id, bytes(reading_type.obis), reading_type.interval_s)
        if key not in self._channels:
            number = len(self._channels) + 1
            self._channels[key] = Channel(
                number,
                meter_id,
                reading_type.obis,
                int(reading_type.unit),
                reading_type.exponent,
                reading_type.interval_s,
            )
        return self._channels[key]

    def channels(self, meter_id: str | None = None) -> Sequence[Channel]:
        return [c for c in self._channels.values() if meter_id in {None, c.meter_id}]

    def merge(self, stage: Stage, blocks: Sequence[Block], *, source: str, recorded_at: datetime) -> int:
        return sum(self._merge_one(stage, block, source, recorded_at) for block in blocks)

    def _merge_one(self, stage: Stage, block: Block, source: str, recorded_at: datetime) -> bool:
        versions = self._versions[stage, block.channel_id, block.day]
        stored = versions[-1] if versions else empty_block(block.channel_id, block.day, block.interval_s)
        values, qualities = merge(stored, block)
        if np.array_equal(values, stored.values) and np.array_equal(qualities, stored.qualities):
            return False
        revision = len(versions) + 1
        versions.append(
            replace(
                block, values=values, qualities=qualities, revision=revision, source=source, recorded_at=recorded_at
            )
        )
        return True

    def span_with_neighbours(self, stage: Stage, channel_id: int, first_day: int, last_day: int) -> tuple[int, int]:
        days = [day for kind, channel, day in self._versions if (kind, channel) == (stage, channel_id)]
        earlier = max((day for day in days if day < first_day), default=first_day)
        return earlier, min((day for day in days if day > last_day), default=last_day)

    def read(
        self,
        stage: Stage,
        channel_ids: Sequence[int],
        first_day: int,
        last_day: int,
        *,
        as_known_at: datetime | None = None,
    ) -> Sequence[Block]:
        found = []
        for channel_id in sorted(set(channel_ids)):
            for day in range(first_day, last_day + 1):
                versions = [
                    b
                    for b in self._versions.get((stage, channel_id, day), [])
                    if as_known_at is None or (b.recorded_at is not None and b.recorded_at <= as_known_at)
                ]
                found.extend(versions[-1:])
        return found

    def revisions(self, stage: Stage, channel_id: int, day: int) -> Sequence[Block]:
        return list(self._versions.get((stage, channel_id, day), []))


class MemoryDeliveries:
    def __init__(self) -> None:
        self._bodies: dict[str, tuple[Delivery, bytes]] = {}
        self._states: dict[str, CollectionState] = {}
        self._registers: dict[str, list[RegisterReading]] = defaultdict(list)
        self._events: list[StoredEvent] = []
        self._unknown: list[tuple[str, str, UnknownObject]] = []

    def record(self, delivery: Delivery, body: bytes, *, received_at: datetime) -> bool:
        if delivery.message_id in self._bodies:
            return False
        assert received_at.tzinfo is not None
        self._bodies[delivery.message_id] = (delivery, body)
        self._states[delivery.meter_id] = self._state(delivery)
        self._registers[delivery.meter_id].extend(delivery.registers)
        self._events.extend(StoredEvent(delivery.meter_id, event) for event in delivery.events)
        self._unknown.extend((delivery.meter_id, delivery.mapping_version, unknown) for unknown in delivery.unknown)
        return True

    def brought_later(self, delivery: Delivery) -> Mapping[DayOfReadings, Mask]:
        others = (one for one, _ in self._bodies.values())
        assert not any(
            one.meter_id == delivery.meter_id and one.collected_at > delivery.collected_at for one in others
        ), "tests of the use cases deliver in order"
        return {}

    def _state(self, delivery: Delivery) -> CollectionState:
        before = self._states.get(delivery.meter_id)
        answered = delivery.outcome.answered
        last = delivery.collected_at if answered else before.last_answer_at if before else None
        offset = delivery.clock_offset_s
        if offset is None and before is not None:
            offset = before.clock_offset_s
        return CollectionState(
            delivery.meter_id,
            delivery.outcome,
            delivery.collected_at,
            delivery.detail,
            last,
            delivery.attempts,
            offset,
            0 if answered else 1 + (before.failures_in_a_row if before else 0),
            delivery.mapping_version if answered else before.mapping_version if before else "",
        )

    def find(self, meter_id: str, reading_type_obis: bytes, start_s: int) -> Sequence[tuple[str, bytes]]:
        found = [
            (delivery.collected_at, delivery.message_id, body)
            for delivery, body in self._bodies.values()
            if delivery.meter_id == meter_id
            and any(
                s.reading_type.obis == reading_type_obis and start_s in s.starts.tolist() for s in delivery.intervals
            )
        ]
        return [(message_id, body) for _, message_id, body in sorted(found, reverse=True)]

    def answered(self, meter_id: str, since: datetime, *, limit: int) -> Sequence[tuple[str, bytes]]:
        found = sorted(
            (delivery.collected_at, delivery.message_id, body)
            for delivery, body in self._bodies.values()
            if delivery.meter_id == meter_id and delivery.outcome.answered and delivery.collected_at >= since
        )
        return [(message_id, body) for _, message_id, body in found[:limit]]

    def states(self) -> Sequence[CollectionState]:
        return list(self._states.values())

    def registers(self, meter_id: str, *, obis: bytes | None = None, limit: int = 500) -> Sequence[RegisterReading]:
        readings = [r for r in self._registers[meter_id] if obis in {None, bytes(r.reading_type.obis)}]
        return sorted(readings, key=lambda r: r.at, reverse=True)[:limit]

    def events(self, meter_id: str | None = None, *, limit: int = 200) -> Sequence[StoredEvent]:
        events = [e for e in self._events if meter_id in {None, e.meter_id}]
        return sorted(events, key=lambda e: e.event.at, reverse=True)[:limit]

    def events_of(self, query: EventQuery) -> Sequence[StoredEvent]:
        return [
            one
            for one in self.events(query.meter_id, limit=sys.maxsize)
            if (not query.classes or one.event.event_class in query.classes)
            and (not query.severities or one.event.severity in query.severities)
        ][: query.limit]

    def committed_at(self, message_ids: Collection[str]) -> dict[str, datetime]:
        return {one: self._bodies[one][0].collected_at for one in message_ids if one in self._bodies}

    def arrivals(self, first_day: int, last_day: int) -> Iterator[Arrival]:
        """By day blocks cut as the store cuts them; what came is received when it was collected."""
        for delivery, _ in sorted(self._bodies.values(), key=lambda one: one[0].collected_at):
            for series in delivery.intervals:
                for block in day_blocks(series):
                    if first_day <= block.day <= last_day:
                        kind = series.reading_type
                        yield Arrival(
                            delivery.meter_id, kind.obis, kind.interval_s, block.day, block.qualities != 0,
                            delivery.collected_at, delivery.message_id,
                        )  # fmt: skip

    def unknown(self, meter_id: str | None = None, *, limit: int = 200) -> Sequence[tuple[str, UnknownObject]]:
        return [
            (meter, unknown)
            for meter, version, unknown in self._unknown
            if meter_id in {None, meter} and version == self._states[meter].mapping_version
        ][:limit]


class MemoryExceptions:
    def __init__(self, blocks: MemoryBlocks) -> None:
        self._blocks = blocks
        self._open: list[VeeException] = []

    def replace(self, channel_id: int, first_day: int, last_day: int, found: Sequence[VeeException]) -> None:
        span = (first_day * 86_400, (last_day + 1) * 86_400)
        self._open = [e for e in self._open if e.channel_id != channel_id or not span[0] <= e.start_s < span[1]]
        self._open.extend(found)

    def open(self, meter_id: str | None = None, *, limit: int = 500) -> Sequence[VeeException]:
        channels = {c.channel_id for c in self._blocks.channels(meter_id)}
        found = [e for e in self._open if e.channel_id in channels and not e.resolved]
        return sorted(found, key=lambda e: (e.found_at, e.start_s), reverse=True)[:limit]

    def covering(self, channel_id: int, start_s: int, end_s: int) -> Sequence[VeeException]:
        return [e for e in self._open if e.channel_id == channel_id and e.start_s < end_s and e.end_s > start_s]


class MemoryDeadLetters:
    def __init__(self) -> None:
        self._letters: list[DeadLetter] = []

    def add(self, subject: str, body: bytes, *, reason: str, received_at: datetime) -> bool:
        self._letters.append(DeadLetter(subject, body, reason, received_at))
        return True

    def all(self, *, limit: int = 200) -> Sequence[DeadLetter]:
        return list(reversed(self._letters))[:limit]


class MemoryDatabase:
    def __init__(self) -> None:
        self.registry = MemoryRegistry()
        self.blocks = MemoryBlocks()
        self.deliveries = MemoryDeliveries()
        self.exceptions = MemoryExceptions(self.blocks)
        self.dead_letters = MemoryDeadLetters()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield


class MemoryLogins:
    def __init__(self) -> None:
        self.tokens: dict[bytes, tuple[str, datetime]] = {}
        self.sessions: dict[bytes, tuple[str, datetime]] = {}

    def add_token(self, token_hash: bytes, person: str, expires_at: datetime) -> None:
        self.tokens[token_hash] = (person, expires_at)

    def use_token(self, token_hash: bytes, now: datetime) -> str | None:
        person, expires_at = self.tokens.pop(token_hash, (None, now))
        return person if expires_at > now else None

    def add_session(self, session_hash: bytes, person: str, expires_at: datetime) -> None:
        self.sessions[session_hash] = (person, expires_at)

    def session(self, session_hash: bytes, now: datetime) -> str | None:
        person, expires_at = self.sessions.get(session_hash, (None, now))
        return person if expires_at > now else None

    def end_session(self, session_hash: bytes) -> None:
        self.sessions.pop(session_hash, None)


class FixedClock:
    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time
