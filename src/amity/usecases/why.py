"""Why is this number what it is? From the final value back to the octets that the meter sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from amity.domain.blocks import Block, Channel, Stage
from amity.domain.collection import Delivery, Outcome
from amity.domain.readings import IntervalSeries, Quality
from amity.kernel.errors import RemoteProtocolError, RequestError
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s, from_epoch_s, isoformat, utc_day
from amity.kernel.units import Unit
from amity.usecases.calendar import kept_instant
from amity.usecases.evidence import Evidence, explain
from amity.usecases.kept_raw import KeptRaw, kept_raw
from amity.usecases.ports import VeeException
from amity.usecases.readings import find_channel
from amity.usecases.services import Services

_SOURCES_MAX = 5  # a push and a poll or two bring the same interval; more tell nothing new


@dataclass(frozen=True, slots=True)
class Version:
    """The value of this interval in one revision of its block; `value` is None where the block knows none."""

    stage: Stage
    value: int | None
    quality: Quality
    revision: int
    source: str
    recorded_at: datetime | None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A measured value that an estimate leans on."""

    start: datetime
    value: int


@dataclass(frozen=True, slots=True)
class Source:
    """A delivery that brought this interval, with what it said and the octets that prove it."""

    message_id: str
    session_id: str
    collected_at: datetime
    outcome: Outcome
    attempts: int
    profile: str
    mapping_version: str
    correlation_id: str
    value: int
    quality: Quality
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Explanation:
    """The chain, from the number on the bill to the wire; `summary` says it in one sentence.

    Versions are oldest first and only those in which this interval changed; `final` and `raw` are the newest.
    `kept_raw` is the delivery that brought the interval as objects without a rule, where no other delivery brought it.
    """

    meter_id: str
    channel: Channel
    start: datetime
    end: datetime
    summary: str
    final: Version | None
    findings: tuple[VeeException, ...]
    neighbours: tuple[Neighbour, ...]
    final_versions: tuple[Version, ...]
    raw: Version | None
    raw_versions: tuple[Version, ...]
    sources: tuple[Source, ...]
    undecodable: int = 0
    kept_raw: KeptRaw | None = None

    @property
    def unit(self) -> Unit:
        """The unit of every value in here, times 10**channel.exponent."""
        return Unit(self.channel.unit)


def why(services: Services, meter_id: str, obis: Obis, start: datetime) -> Explanation:
    """Explain the interval that starts at `start`.

    Raise NotFoundError for an unknown meter or channel, RequestError when no interval of the channel starts there.
    """
    channel = find_channel(services, meter_id, obis)
    start_s = _on_grid(channel, start)
    final_versions = _versions(services, Stage.FINAL, channel, start_s)
    raw_versions = _versions(services, Stage.RAW, channel, start_s)
    final, raw = (versions[-1] if versions else None for versions in (final_versions, raw_versions))
    end_s = start_s + channel.interval_s
    findings = tuple(services.database.exceptions.covering(channel.channel_id, start_s, end_s))
    estimated = final is not None and Quality.LINEAR in final.quality
    neighbours = _neighbours(services, channel, start_s) if estimated else ()
    sources, undecodable = _sources(services, channel, start_s)
    without_rule = kept_raw(services, channel, start_s) if raw is None or raw.value is None else None
    return Explanation(
        meter_id=meter_id,
        channel=channel,
        start=from_epoch_s(start_s),
        end=from_epoch_s(end_s),
        summary=_summary(final, raw, findings, _method(channel, final, neighbours), without_rule),
        final=final,
        findings=findings,
        neighbours=neighbours,
        final_versions=final_versions,
        raw=raw,
        raw_versions=raw_versions,
        sources=sources,
        undecodable=undecodable,
        kept_raw=without_rule,
    )


def _on_grid(channel: Channel, start: datetime) -> int:
    start_s = epoch_s(kept_instant(start))
    before_s = start_s // channel.interval_s * channel.interval_s
    if start_s != before_s or start.microsecond:
        raise RequestError(
            f"no interval of {channel.obis} starts at {isoformat(start)}",
            answer=f"its intervals are {channel.interval_s} s long",
            next_step=f"ask for the one that starts at {isoformat(from_epoch_s(before_s))}",
        )
    return start_s


def _versions(services: Services, stage: Stage, channel: Channel, start_s: int) -> tuple[Version, ...]:
    """Revisions of the block in which this very interval changed, oldest first."""
    versions: list[Version] = []
    for block in services.database.blocks.revisions(stage, channel.channel_id, utc_day(start_s)):
        version = _version(stage, block, start_s)
        before = (versions[-1].value, versions[-1].quality) if versions else (None, Quality.EMPTY)
        if (version.value, version.quality) != before:
            versions.append(version)
    return tuple(versions)


def _version(stage: Stage, block: Block, start_s: int) -> Version:
    slot = (start_s - block.first_start_s) // block.interval_s
    quality = Quality(int(block.qualities[slot]))
    value = int(block.values[slot]) if quality else None
    return Version(stage, value, quality, block.revision, block.source, block.recorded_at)


def _neighbours(services: Services, channel: Channel, start_s: int) -> tuple[Neighbour, ...]:
    """The nearest raw values before and after the interval, within a day of it."""
    day = utc_day(start_s)
    blocks = services.database.blocks.read(Stage.RAW, [channel.channel_id], day - 1, day + 1)
    known = [
        (block.first_start_s + int(slot) * block.interval_s, int(block.values[slot]))
        for block in blocks
        for slot in np.flatnonzero(block.qualities)
    ]
    before = max((pair for pair in known if pair[0] < start_s), default=None)
    after = min((pair for pair in known if pair[0] > start_s), default=None)
    return tuple(Neighbour(from_epoch_s(pair[0]), pair[1]) for pair in (before, after) if pair is not None)


def _sources(services: Services, channel: Channel, start_s: int) -> tuple[tuple[Source, ...], int]:
    sources: list[Source] = []
    undecodable = 0
    found = services.database.deliveries.find(channel.meter_id, bytes(channel.obis), start_s)
    for _, body in found[:_SOURCES_MAX]:
        try:
            source = _source(services.codec.decode(body), channel, start_s)
        except RemoteProtocolError:
            undecodable += 1
        else:
            sources.extend([source] if source is not None else [])
    return tuple(sources), undecodable


def _source(delivery: Delivery, channel: Channel, start_s: int) -> Source | None:
    for series in delivery.intervals:
        position = _position(series, channel, start_s)
        if position is not None:
            return Source(
                message_id=delivery.message_id,
                session_id=delivery.session_id,
                collected_at=delivery.collected_at,
                outcome=delivery.outcome,
                attempts=delivery.attempts,
                profile=delivery.profile,
                mapping_version=delivery.mapping_version,
                correlation_id=delivery.correlation_id,
                value=int(series.values[position]),
                quality=Quality(int(series.qualities[position])),
                evidence=explain(delivery.exchanges, series, start_s, _siblings(delivery, series)),
            )
    return None


def _siblings(delivery: Delivery, series: IntervalSeries) -> list[IntervalSeries]:
    return [other for other in delivery.intervals if other is not series and other.evidence == series.evidence]


def _position(series: IntervalSeries, channel: Channel, start_s: int) -> int | None:
    if series.reading_type.obis != channel.obis:
        return None
    found = np.flatnonzero(series.starts == start_s)
    return int(found[0]) if len(found) else None


def _summary(
    final: Version | None,
    raw: Version | None,
    findings: Sequence[VeeException],
    method: str,
    without_rule: KeptRaw | None,
) -> str:
    if final is None or final.value is None:
        missing = "no delivery brought this interval" if without_rule is None else _raw_words(without_rule)
        return f"No value: {missing}, and no rule was allowed to estimate it."
    if Quality.EDITED in final.quality:
        return f"A person changed it: {final.source}."
    if final.quality & (Quality.LINEAR | Quality.ESTIMATED):
        missing = "the meter sent nothing here" if without_rule is None else _raw_words(without_rule)
        return f"Estimated, for {missing}: {method}."
    doubts = ", ".join(sorted({finding.rule for finding in findings if not finding.resolved}))
    if Quality.QUESTIONABLE in final.quality:
        return f"Measured by the meter, but questioned{f' by {doubts}' if doubts else ''}; the value stands."
    if raw is not None and raw.value == final.value:
        return "Measured by the meter; validation left it as it came."
    return "Differs from what the meter sent; the versions below say since when and from what."


def _raw_words(without_rule: KeptRaw) -> str:
    thing = without_rule.objects[0]
    return (
        f"session {without_rule.session_id} brought this interval raw, as mapping {without_rule.mapping_version} has no"
        f" rule for {thing.obis} (class {thing.class_id}, attribute {thing.attribute})"
    )


def _method(channel: Channel, final: Version | None, neighbours: Sequence[Neighbour]) -> str:
    if final is None or Quality.LINEAR not in final.quality:
        return "by a rule that takes other days as its pattern"
    values = " and ".join(f"{channel.quantity(neighbour.value):f}" for neighbour in neighbours)
    return f"linear interpolation between its measured neighbours, {values} {Unit(channel.unit).symbol}"
