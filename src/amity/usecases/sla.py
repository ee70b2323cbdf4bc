"""Completeness of a local day as the MDM side saw it come, judged by a service level."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

import numpy as np

from amity.domain.spans import TimeSpan
from amity.headend.sla.definition import MeasureKind, ServiceLevel, preset
from amity.headend.sla.read_day import ReadDay
from amity.headend.sla.records import Completion
from amity.headend.sla.report import ServiceReport, report
from amity.kernel.errors import RequestError
from amity.kernel.time import SECONDS_PER_DAY, epoch_s, isoformat, utc_day
from amity.usecases.ports import Arrival, Database, Mask
from amity.usecases.services import Services

_YEARS: Final = range(1970, 2200)
SOURCE: Final = "deliveries"


def completeness(services: Services, preset_name: str, day: date | None = None) -> ServiceReport:
    """The measures of completeness of one preset, for the meters of the registry, by device profile too.

    A meter's day is complete when every interval of it, on every channel that the store knows of the meter, has come.
    `day` None is the day before yesterday. Raise RequestError for a day outside 1970 to 2199, ConfigurationError for a
    preset that is none.
    """
    level, now = preset(preset_name), services.clock.now()
    wanted = day or now.astimezone(level.zone).date() - timedelta(days=2)
    if wanted.year not in _YEARS:
        raise RequestError(f"{wanted} is outside 1970 to 2199", next_step="ask for another day")
    town = services.database.registry.town()
    groups = {meter.meter_id: (f"profile={meter.profile}",) for meter in (town.meters if town else ())}
    completions = completions_by_deliveries(services.database, ReadDay(wanted, level.zone).span)
    days = level.only(MeasureKind.COMPLETENESS)
    made = report(days, wanted, groups, lambda: (), now, completions=completions)
    return replace(made, remarks=_left_out(level))


def _left_out(level: ServiceLevel) -> tuple[str, ...]:
    jobs = [measure.name for measure in level.measures if measure.kind is not MeasureKind.COMPLETENESS]
    return (f"only the head-end knows of jobs (`amity sla report`): {', '.join(jobs)}",) if jobs else ()


def completions_by_deliveries(database: Database, day: TimeSpan) -> dict[str, Completion]:
    """Of each meter with channels of intervals: when the last of its day had come, None where some never did.

    Whatever brought them counts, at the time at which it was stored: a session, a push, a late look for a gap.
    """
    start_s, end_s = epoch_s(day.start), epoch_s(day.end)
    wanted: dict[str, set[tuple[bytes, int]]] = defaultdict(set)
    for channel in database.blocks.channels():
        if channel.interval_s:
            wanted[channel.meter_id].add((bytes(channel.obis), channel.interval_s))
    came = database.deliveries.arrivals(utc_day(start_s), utc_day(end_s - 1))
    whole = _whole_channels(came, start_s, end_s)
    return {meter_id: _completion(whole[meter_id], channels) for meter_id, channels in wanted.items()}


def _completion(whole: Mapping[tuple[bytes, int], Arrival], channels: set[tuple[bytes, int]]) -> Completion:
    missing = sorted(channels - whole.keys())
    if missing:
        return Completion(why=f"intervals are missing on {len(missing)} of {len(channels)} channels")
    last = max((whole[channel] for channel in channels), key=lambda arrival: arrival.received_at)
    return Completion(last.received_at, last.message_id, f"the last came at {isoformat(last.received_at)}")


def _whole_channels(
    arrivals: Iterable[Arrival], start_s: int, end_s: int
) -> Mapping[str, dict[tuple[bytes, int], Arrival]]:
    """By meter and channel, the arrival with which the last interval of [start_s, end_s) had come."""
    here: dict[tuple[str, bytes, int], Mask] = {}
    whole: dict[str, dict[tuple[bytes, int], Arrival]] = defaultdict(dict)
    for one in arrivals:
        channel = (bytes(one.obis), one.interval_s)
        if channel in whole[one.meter_id]:
            continue
        slots = (end_s - start_s) // one.interval_s
        mask = here.setdefault((one.meter_id, *channel), np.zeros(slots, np.bool_))
        first = (one.day * SECONDS_PER_DAY - start_s) // one.interval_s
        begin, end = max(first, 0), min(first + len(one.slots), slots)
        mask[begin:end] |= one.slots[begin - first : end - first]
        if mask.all():
            whole[one.meter_id][channel] = one
            del here[one.meter_id, bytes(one.obis), one.interval_s]
    return whole
