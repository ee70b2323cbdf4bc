"""A file of interval readings into store and VEE: all of it or nothing, and the same file again changes nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from amity.domain.blocks import Channel, Stage
from amity.domain.readings import IntervalSeries
from amity.kernel.errors import RequestError
from amity.kernel.time import Clock
from amity.mdm.intervals import day_blocks
from amity.mdm.vee.interpolation import LINEAR_INTERPOLATION
from amity.mdm.vee.missing import ENDS_EARLY, MISSING_INTERVALS
from amity.mdm.vee.spike import SPIKE_CHECK
from amity.mdm.vee.zero_consumption import is_vacant
from amity.usecases.ports import Database, VeeException
from amity.usecases.validation import revise, stretches


class ReadingsFileError(RequestError):
    """A file of readings that does not say what its format promises; the place is in the sentence."""


class RejectedRow(NamedTuple):
    """A row that is kept out for a reason that does not make the rest doubtful; the heading is row 1."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class MeterSeries:
    """All rows of one meter, in order and without duplicates."""

    meter_id: str
    series: IntervalSeries


@dataclass(frozen=True, slots=True)
class ReadingsFile:
    """A file as read: `source` names it with its digest, `rows` counts its rows of data."""

    source: str
    rows: int
    duplicates: int
    rejected: tuple[RejectedRow, ...]
    meters: tuple[MeterSeries, ...]


@dataclass(frozen=True, slots=True)
class ImportedMeter:
    """What store and VEE made of one meter's rows; gaps count all holes, `interpolated` the intervals filled."""

    meter_id: str
    channel_id: int
    readings: int
    blocks_changed: int
    gaps: int
    missing: int
    interpolated: int
    spikes: int
    ends_early: bool
    vacant: bool
    findings: tuple[VeeException, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """The report of one import."""

    source: str
    rows: int
    duplicates: int
    rejected: tuple[RejectedRow, ...]
    meters: tuple[ImportedMeter, ...]


def import_readings(file: ReadingsFile, database: Database, clock: Clock) -> Imported:
    """Merge the readings into the raw blocks and validate them, in one transaction.

    All meters are expected to reach as far as the last of them; one that does not is found to end early.
    Raise StorageError when the database did not take it: then nothing is imported.
    """
    now = clock.now()
    until_s = max((_end_s(meter.series) for meter in file.meters), default=0)
    with database.transaction():
        meters = []
        for meter in file.meters:
            channel = database.blocks.channel(meter.meter_id, meter.series.reading_type)
            blocks = day_blocks(meter.series, channel.channel_id)
            changed = database.blocks.merge(Stage.RAW, blocks, source=file.source, recorded_at=now)
            revisions = [
                revise(database, channel, days, source=file.source, at=now, until_s=until_s)
                for days in stretches(block.day for block in blocks)
            ]
            findings = [finding for revision in revisions for finding in revision.findings]
            meters.append(_report(meter, channel, changed, findings))
    return Imported(file.source, file.rows, file.duplicates, file.rejected, tuple(meters))


def _end_s(series: IntervalSeries) -> int:
    return int(series.starts[-1]) + series.reading_type.interval_s


def _report(meter: MeterSeries, channel: Channel, changed: int, findings: Sequence[VeeException]) -> ImportedMeter:
    filled = [finding for finding in findings if finding.rule == LINEAR_INTERPOLATION.name]
    holes = [*filled, *(finding for finding in findings if finding.rule == MISSING_INTERVALS.name)]
    return ImportedMeter(
        meter_id=meter.meter_id,
        channel_id=channel.channel_id,
        readings=len(meter.series.starts),
        blocks_changed=changed,
        gaps=len(holes),
        missing=_intervals(holes, channel),
        interpolated=_intervals(filled, channel),
        spikes=sum(finding.rule == SPIKE_CHECK.name for finding in findings),
        ends_early=any(finding.rule == ENDS_EARLY.name for finding in findings),
        vacant=is_vacant(meter.series.values, meter.series.qualities),
        findings=tuple(findings),
    )


def _intervals(findings: Iterable[VeeException], channel: Channel) -> int:
    return sum((finding.end_s - finding.start_s) // channel.interval_s for finding in findings)
