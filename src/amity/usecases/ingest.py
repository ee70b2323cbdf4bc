"""Deliveries into the IT zone's database: evidence, raw values, final values and findings, all or nothing.

What a night brings costs mostly statements, not values: so each step is taken for all deliveries at hand at once.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import numpy as np

from amity.domain.blocks import Block, Channel, Stage
from amity.domain.collection import Delivery
from amity.domain.readings import ReadingType, RegisterReading
from amity.kernel.time import Clock, epoch_s, utc_day
from amity.mdm.intervals import day_blocks
from amity.mdm.vee.register_sum import register_of
from amity.usecases.ports import Arrived, Database, Mask
from amity.usecases.validation import Touched, revise_all, stretches


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a delivery; `new` is false for one that was known already and changed nothing."""

    message_id: str
    new: bool


def ingest(delivery: Delivery, body: bytes, database: Database, clock: Clock) -> Ingested:
    """Store one delivery: see `ingest_all`."""
    (done,) = ingest_all([Arrived(delivery, body)], database, clock)
    return done


def ingest_all(arrived: Sequence[Arrived], database: Database, clock: Clock) -> list[Ingested]:
    """Store decoded deliveries and what follows from them, in one transaction; known ones change nothing.

    The bodies are the messages as they came, kept for ever. Acknowledge them after this returns. Raise
    RemoteProtocolError when one decodes but cannot be true (off the grid, out of order): try them one by one and keep
    that one as a dead letter. Raise StorageError when the database did not take them: let the broker bring them again.
    """
    now = clock.now()
    cuts = [_Cut.of(one) for one in arrived]
    with database.transaction():
        return [done for wave in _waves(cuts) for done in _ingest_wave(wave, database, now)]


class _Cut(NamedTuple):
    """A delivery and the channel-days it brings."""

    arrived: Arrived
    series: tuple[tuple[ReadingType, list[Block]], ...]

    @classmethod
    def of(cls, arrived: Arrived) -> "_Cut":
        return cls(arrived, tuple((one.reading_type, day_blocks(one)) for one in arrived.delivery.intervals))

    @property
    def delivery(self) -> Delivery:
        return self.arrived.delivery


def _waves(cuts: Iterable[_Cut]) -> Iterator[list[_Cut]]:
    """In their order, at most one of each meter at a time: what a meter sent twice is taken in one after the other."""
    wave: dict[str, _Cut] = {}
    for cut in cuts:
        if cut.delivery.meter_id in wave:
            yield list(wave.values())
            wave = {}
        wave[cut.delivery.meter_id] = cut
    if wave:
        yield list(wave.values())


def _ingest_wave(wave: Sequence[_Cut], database: Database, now: datetime) -> list[Ingested]:
    fresh = database.deliveries.record_all([cut.arrived for cut in wave], received_at=now)
    new = [cut for cut in wave if cut.delivery.message_id in fresh]
    if new:
        revise_all(database, _store(new, database, now), at=now)
    return [Ingested(cut.delivery.message_id, new=cut.delivery.message_id in fresh) for cut in wave]


def _store(new: Sequence[_Cut], database: Database, now: datetime) -> list[Touched]:
    """Raw values of deliveries that are recorded; what they touch."""
    overtaken = database.deliveries.overtaken([cut.delivery for cut in new])
    channels = _Channels(database, [cut.delivery.meter_id for cut in new])
    raw: list[Block] = []
    sources: dict[int, str] = {}
    touched: list[Touched] = []
    for cut in new:
        delivery, days_of = cut.delivery, defaultdict[Channel, set[int]](set)
        later = database.deliveries.brought_later(delivery) if delivery.message_id in overtaken else {}
        for reading_type, blocks in cut.series:
            channel = channels.of(delivery.meter_id, reading_type)
            sources[channel.channel_id] = delivery.message_id
            for block in blocks:
                newer = later.get((reading_type.obis, reading_type.interval_s, block.day))
                raw.append(replace(_without(block, newer), channel_id=channel.channel_id))
            days_of[channel].update(block.day for block in blocks)
        for channel in channels.all_of(delivery.meter_id):
            days_of[channel].update(_days_of_snapshots(channel, delivery.registers))
        touched += [
            Touched(channel, days, delivery.message_id) for channel, some in days_of.items() for days in stretches(some)
        ]
    database.blocks.merge(Stage.RAW, raw, source=sources, recorded_at=now)
    return touched


class _Channels:
    """Channels of some meters, looked up together; one that is missing is made."""

    def __init__(self, database: Database, meter_ids: Sequence[str]) -> None:
        self._blocks = database.blocks
        self._of_meter: dict[str, dict[tuple[bytes, int, int, int], Channel]] = defaultdict(dict)
        for one in database.blocks.channels_of(meter_ids):
            self._of_meter[one.meter_id][one.obis, one.unit, one.exponent, one.interval_s] = one

    def of(self, meter_id: str, reading_type: ReadingType) -> Channel:
        """The channel of a meter's series."""
        obis, unit, exponent, interval_s = (
            reading_type.obis,
            int(reading_type.unit),
            reading_type.exponent,
            reading_type.interval_s,
        )
        known = self._of_meter[meter_id]
        found = known.get((obis, unit, exponent, interval_s))
        if found is None:
            found = known[obis, unit, exponent, interval_s] = self._blocks.channel(meter_id, reading_type)
        return found

    def all_of(self, meter_id: str) -> Iterable[Channel]:
        """All that the meter has by now."""
        return self._of_meter[meter_id].values()


def _without(block: Block, newer: Mask | None) -> Block:
    """The block without the slots for which a delivery that was collected later has arrived before this one."""
    if newer is None:
        return block
    return replace(block, values=np.where(newer, 0, block.values), qualities=np.where(newer, 0, block.qualities))


def _days_of_snapshots(channel: Channel, registers: Iterable[RegisterReading]) -> set[int]:
    """The days before and after each snapshot of the channel's total register: sum checks end and begin there."""
    register = register_of(channel.obis)
    instants = [epoch_s(reading.at) for reading in registers if reading.reading_type.obis == register]
    on_grid = [instant for instant in instants if instant % channel.interval_s == 0]
    return {utc_day(instant - before) for instant in on_grid for before in (0, 1)}
