"""Make final values anew around the days that changed: what every new reading sets off."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from amity.domain.blocks import Block, Channel, Stage
from amity.domain.readings import RegisterReading
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY, epoch_s, utc_day
from amity.kernel.units import Unit
from amity.mdm.vee import pipeline
from amity.mdm.vee.findings import Finding, Window
from amity.mdm.vee.register_sum import register_of, register_sum_check
from amity.usecases.ports import Database, VeeException

REACH_DAYS = 400
"""Days of silence after which two stretches are looked at apart: more than a year is another life of the meter."""

_A_PAIR = 2
"""So many snapshots make a sum check."""


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


class Touched(NamedTuple):
    """Days of a channel of which raw values or register readings changed, and what changed them."""

    channel: Channel
    days: Days
    source: str


def stretches(days: Iterable[int]) -> list[Days]:
    """Days as spans without a longer silence than the reach; a meter whose clock was lost may send any year."""
    found: list[Days] = []
    for day in sorted(set(days)):
        if found and day - found[-1].last <= REACH_DAYS:
            found[-1] = Days(found[-1].first, day)
        else:
            found.append(Days(day, day))
    return found


def revise_all(database: Database, touched: Sequence[Touched], *, at: datetime) -> None:
    """Do for all of them what `revise` does for each; the many of which VEE has nothing to say in a few statements.

    That is so of days that are whole up to their neighbours, when no rule finds anything in either and sums agree with
    the snapshots around: their final values are their raw ones, and the neighbours' cannot change.
    """
    alike: dict[Days, list[Touched]] = defaultdict(list)
    for one in touched:
        alike[one.days].append(one)
    for days, those in alike.items():
        settled = _settle_unremarkable(database, days, those, at)
        for one in those:
            if one.channel.channel_id not in settled:
                revise(database, one.channel, days, source=one.source, at=at)


def revise(
    database: Database, channel: Channel, changed: Days, *, source: str, at: datetime, until_s: int | None = None
) -> Revision:
    """Run VEE where raw values or register readings of `changed` days can make a difference; idempotent.

    A value may end a gap that began on the last day known before it, and a register snapshot speaks of all days up to
    the next one, so the days to revise are wider than those that changed, and the days to look at wider again: a
    finding is taken back only when whatever speaks of a part of its day was heard.
    `until_s` is where the series was expected to reach, None when that is not known.
    """
    if until_s is not None:
        changed = Days(changed.first, max(changed.last, utc_day(until_s - 1)))
    revised, _ = _bracketed(database, channel, _with_neighbours(database, channel, changed))
    heard, snapshots = _bracketed(database, channel, revised)
    context = _with_neighbours(database, channel, heard)
    window = _read(database, channel, context)
    verdict = pipeline.run(window, snapshots, until_s=until_s)
    signed = _signed(source)
    final = [block for block in _blocks(verdict.final, channel) if revised.first <= block.day <= revised.last]
    blocks_changed = database.blocks.replace(Stage.FINAL, final, source=signed, recorded_at=at)
    findings = tuple(
        _exception(finding, channel, at)
        for finding in verdict.findings
        if revised.start_s <= finding.start_s < revised.end_s
    )
    database.exceptions.replace(channel.channel_id, revised.first, revised.last, findings)
    return Revision(blocks_changed, findings)


def _signed(source: str) -> str:
    return f"vee {pipeline.VERSION}, after {source}"


# ------------------------------------------------------------------ many channels at once
class _Looked(NamedTuple):
    """What one of many is looked at by: the days that its rules can reach, the snapshots around the touched days."""

    touched: Touched
    days: Days
    snapshots: Sequence[RegisterReading]

    @property
    def judged(self) -> tuple[int, int]:
        """Begin and end, epoch seconds: the touched days, and what a sum check speaks of together with them before."""
        days = self.touched.days
        sums_from_s = epoch_s(self.snapshots[0].at) if self.snapshots else days.start_s
        return min(sums_from_s, days.start_s), days.end_s


def _settle_unremarkable(database: Database, days: Days, touched: Sequence[Touched], at: datetime) -> frozenset[int]:
    """Write the final values of those of which VEE has nothing to say; ids of their channels."""
    settled = [one for alike in _alike(_looked(database, days, touched)) for one in _silent(database, alike)]
    sources = {one.touched.channel.channel_id: _signed(one.touched.source) for one in settled}
    database.blocks.adopt_raw(sources, days.first, days.last, recorded_at=at)
    by_judged: dict[tuple[int, int], list[int]] = defaultdict(list)
    for one in settled:
        by_judged[one.judged].append(one.touched.channel.channel_id)
    for (start_s, end_s), channel_ids in by_judged.items():
        database.exceptions.clear(channel_ids, start_s, end_s)
    return frozenset(sources)


def _looked(database: Database, days: Days, touched: Sequence[Touched]) -> Iterator[_Looked]:
    ids = [one.channel.channel_id for one in touched]
    widened = database.blocks.spans_with_neighbours(Stage.RAW, ids, days.first, days.last)
    for (register, every_s), those in _by_register(touched).items():
        around: Mapping[str, Sequence[RegisterReading]] = {}
        if register is not None:
            meters = [one.channel.meter_id for one in those]
            around = database.deliveries.snapshots_of(meters, register, days.start_s, days.end_s, every_s=every_s)
        for one in those:
            found = around.get(one.channel.meter_id, ())
            snapshots = found if len(found) >= _A_PAIR else ()
            reach = _with_snapshots(_within_reach(days, *widened[one.channel.channel_id]), snapshots)
            if days.first - reach.first <= REACH_DAYS and reach.last - days.last <= REACH_DAYS:
                yield _Looked(one, reach, snapshots)


def _by_register(touched: Iterable[Touched]) -> Mapping[tuple[Obis | None, int], list[Touched]]:
    those: dict[tuple[Obis | None, int], list[Touched]] = defaultdict(list)
    for one in touched:
        those[register_of(one.channel.obis), one.channel.interval_s].append(one)
    return those


def _with_snapshots(days: Days, snapshots: Sequence[RegisterReading]) -> Days:
    """The days, widened to those between the first and the last snapshot."""
    if not snapshots:
        return days
    first, last = utc_day(epoch_s(snapshots[0].at)), utc_day(epoch_s(snapshots[-1].at) - 1)
    return Days(min(days.first, first), max(days.last, last))


def _alike(looked: Iterable[_Looked]) -> Iterable[list[_Looked]]:
    """Those of the same days and grid together."""
    those: dict[tuple[Days, int], list[_Looked]] = defaultdict(list)
    for one in looked:
        those[one.days, one.touched.channel.interval_s].append(one)
    return those.values()


def _silent(database: Database, alike: Sequence[_Looked]) -> Iterator[_Looked]:
    """Those of which no rule says anything."""
    windows = _windows(database, alike)
    for number, (one, said) in enumerate(zip(alike, pipeline.remarkable(windows).tolist(), strict=True)):
        if not said and not register_sum_check(windows.window(number, one.days.start_s), one.snapshots):
            yield one


def _windows(database: Database, alike: Sequence[_Looked]) -> pipeline.Windows:
    """Raw values of channels of the same days and grid, EMPTY where no block is stored."""
    days, interval_s = alike[0].days, alike[0].touched.channel.interval_s
    row_of = {one.touched.channel.channel_id: row for row, one in enumerate(alike)}
    shape = (len(alike), days.last - days.first + 1, SECONDS_PER_DAY // interval_s)
    values, qualities = np.zeros(shape, np.int64), np.zeros(shape, np.uint8)
    for block in database.blocks.read(Stage.RAW, list(row_of), days.first, days.last):
        at = row_of[block.channel_id], block.day - days.first
        values[at], qualities[at] = block.values, block.qualities
    return pipeline.Windows(values, qualities, interval_s, [one.touched.channel.exponent for one in alike])


# ------------------------------------------------------------------ one channel
def _with_neighbours(database: Database, channel: Channel, days: Days) -> Days:
    return _within_reach(
        days, *database.blocks.span_with_neighbours(Stage.RAW, channel.channel_id, days.first, days.last)
    )


def _within_reach(days: Days, first: int, last: int) -> Days:
    """These days, widened to a first and a last one that are not too far away."""
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
    if len(near) < _A_PAIR:
        return days, ()  # nothing to compare: days since the one snapshot, however many, need no second look
    return _with_snapshots(days, near), near


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
