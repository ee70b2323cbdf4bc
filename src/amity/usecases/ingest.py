"""One delivery into the IT zone's database: evidence, raw values, final values and findings, all or nothing."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from amity.domain.blocks import Block, Channel, Stage
from amity.domain.collection import Delivery
from amity.domain.readings import RegisterReading
from amity.kernel.time import Clock, epoch_s, utc_day
from amity.mdm.intervals import day_blocks
from amity.mdm.vee.register_sum import register_of
from amity.usecases.ports import Database, Mask, VeeException
from amity.usecases.validation import Revision, revise, stretches


@dataclass(frozen=True, slots=True)
class Ingested:
    """What a delivery changed; everything is 0 or empty for one that was known already.

    `findings` are all that VEE now says of the days it looked at, resolved and open.
    """

    message_id: str
    new: bool
    raw_blocks_changed: int = 0
    final_blocks_changed: int = 0
    findings: tuple[VeeException, ...] = ()


def ingest(delivery: Delivery, body: bytes, database: Database, clock: Clock) -> Ingested:
    """Store a decoded delivery and what follows from it, in one transaction; the same delivery again changes nothing.

    `body` is the message as it came, kept for ever. Acknowledge the message after this returns. Raise
    RemoteProtocolError when the delivery decodes but cannot be true (off the grid, out of order): keep it as a dead
    letter. Raise StorageError when the database did not take it: let the broker deliver it again.
    """
    now = clock.now()
    cut = [(series.reading_type, day_blocks(series)) for series in delivery.intervals]
    with database.transaction():
        if not database.deliveries.record(delivery, body, received_at=now):
            return Ingested(delivery.message_id, new=False)
        later = database.deliveries.brought_later(delivery)
        days_of: dict[Channel, set[int]] = defaultdict(set)
        raw: list[Block] = []
        for reading_type, blocks in cut:
            channel = database.blocks.channel(delivery.meter_id, reading_type)
            for block in blocks:
                newer = later.get((reading_type.obis, reading_type.interval_s, block.day))
                raw.append(replace(_without(block, newer), channel_id=channel.channel_id))
            days_of[channel].update(block.day for block in blocks)
        raw_changed = database.blocks.merge(Stage.RAW, raw, source=delivery.message_id, recorded_at=now)
        for channel in database.blocks.channels(delivery.meter_id):
            days_of[channel].update(_days_of_snapshots(channel, delivery.registers))
        revisions = [
            revise(database, channel, days, source=delivery.message_id, at=now)
            for channel, touched in days_of.items()
            for days in stretches(touched)
        ]
    return _summary(delivery.message_id, raw_changed, revisions)


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


def _summary(message_id: str, raw_changed: int, revisions: list[Revision]) -> Ingested:
    return Ingested(
        message_id,
        new=True,
        raw_blocks_changed=raw_changed,
        final_blocks_changed=sum(revision.blocks_changed for revision in revisions),
        findings=tuple(finding for revision in revisions for finding in revision.findings),
    )
