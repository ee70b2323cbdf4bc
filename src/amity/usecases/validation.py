"""Make the final values of one channel anew around the days that changed: what every new reading sets off."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from amity.domain.blocks import Block, Channel, Stage
from amity.domain.readings import RegisterReading
from amity.kernel.time import SECONDS_PER_DAY, epoch_s, utc_day
from amity.kernel.units import Unit
from amity.mdm.vee import pipeline
from amity.mdm.vee.findings import Finding, Window
from amity.mdm.vee.register_sum import register_of
from amity.usecases.ports import Database, VeeException

REACH_DAYS = 400
"""Days of silence after which two stretches are looked at apart: more than a year is another life of the meter."""


@dataclass(frozen=True, slots=True)
class Days:
    """The UTC days from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def start_s(self) -> int:
        """Epoch second at which they begin."""
        return self.first * SECONDS_PER_DAY

    @property
    def end_s(self) -> int:
        """Epoch second at which they are over."""
        return (self.last + 1) * SECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class Revision:
    """What a revision did: stored final blocks that changed, and all findings of the days it looked at."""

    blocks_changed: int
    findings: tuple[VeeException, ...]


def stretches(days: Iterable[int]) -> list[Days]:
    """Days as spans without a longer silence than the reach; a meter whose clock was lost may send any year."""
    found: list[Days] = []
    for day in sorted(set(days)):
        if found and day - found[-1].last <= REACH_DAYS:
            found[-1] = Days(found[-1].first, day)
        else:
            found.append(Days(day, day))
    return found


def revise(
    database: Database, channel: Channel, changed: Days, *, source: str, at: datetime, until_s: int | None = None
) -> Revision:
    """Run VEE where raw values or register readings of `changed` days can make a difference; idempotent.

    A value may end a gap that began on the last day known before it, and a register snapshot speaks of all days up to
    the next one, so the days to revise are wider than those that changed, and the days to look at wider again.
    `until_s` is where the series was expected to reach, None when that is not known.
    """
    if until_s is not None:
        changed = Days(changed.first, max(changed.last, utc_day(until_s - 1)))
    revised, snapshots = _bracketed(database, channel, _with_neighbours(database, channel, changed))
    context = _with_neighbours(database, channel, revised)
    window = _read(database, channel, context)
    verdict = pipeline.run(window, snapshots, until_s=until_s)
    signed = f"vee {pipeline.VERSION}, after {source}"
    final = [block for block in _blocks(verdict.final, channel) if revised.first <= block.day <= revised.last]
    blocks_changed = database.blocks.replace(Stage.FINAL, final, source=signed, recorded_at=at)
    findings = tuple(
        _exception(finding, channel, at)
        for finding in verdict.findings
        if revised.start_s <= finding.start_s < revised.end_s
    )
    database.exceptions.replace(channel.channel_id, revised.first, revised.last, findings)
    return Revision(blocks_changed, findings)


def _with_neighbours(database: Database, channel: Channel, days: Days) -> Days:
    first, last = database.blocks.span_with_neighbours(Stage.RAW, channel.channel_id, days.first, days.last)
    return Days(
        first if days.first - first <= REACH_DAYS else days.first,
        last if last - days.last <= REACH_DAYS else days.last,
    )


def _bracketed(database: Database, channel: Channel, days: Days) -> tuple[Days, Sequence[RegisterReading]]:
    """The days widened to the register snapshots around them, and those snapshots."""
    register = register_of(channel.obis)
    if register is None:
        return days, ()
    stored = database.deliveries.snapshots(
        channel.meter_id, register, days.start_s, days.end_s, every_s=channel.interval_s
    )
    reach_s = REACH_DAYS * SECONDS_PER_DAY
    near = [s for s in stored if days.start_s - reach_s <= epoch_s(s.at) <= days.end_s + reach_s]
    if not near:
        return days, ()
    first, last = utc_day(epoch_s(near[0].at)), utc_day(epoch_s(near[-1].at) - 1)
    return Days(min(days.first, first), max(days.last, last)), near


def _read(database: Database, channel: Channel, days: Days) -> Window:
    """The raw values of these days, EMPTY where no block is stored."""
    slots = SECONDS_PER_DAY // channel.interval_s
    values = np.zeros((days.last - days.first + 1, slots), np.int64)
    qualities = np.zeros((days.last - days.first + 1, slots), np.uint8)
    for block in database.blocks.read(Stage.RAW, [channel.channel_id], days.first, days.last):
        values[block.day - days.first] = block.values
        qualities[block.day - days.first] = block.qualities
    return Window(
        days.start_s,
        channel.interval_s,
        values.reshape(-1),
        qualities.reshape(-1),
        channel.exponent,
        Unit(channel.unit),
    )


def _blocks(window: Window, channel: Channel) -> list[Block]:
    """The days of a window that know anything."""
    by_day = (-1, window.slots_per_day)
    values, qualities = window.values.reshape(by_day), window.qualities.reshape(by_day)
    first_day = utc_day(window.start_s)
    return [
        Block(channel.channel_id, first_day + row, window.interval_s, values[row], qualities[row])
        for row in np.flatnonzero(qualities.any(axis=1)).tolist()
    ]


def _exception(finding: Finding, channel: Channel, at: datetime) -> VeeException:
    return VeeException(
        channel_id=channel.channel_id,
        rule=finding.rule.name,
        rule_version=finding.rule.version,
        start_s=finding.start_s,
        end_s=finding.end_s,
        message=finding.message,
        found_at=at,
        resolved=finding.resolved,
    )
