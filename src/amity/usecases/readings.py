"""Interval readings of one channel over a time range, each with what is known of its quality."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from amity.domain.blocks import Channel, Stage
from amity.domain.readings import Int64Column, Quality, QualityColumn
from amity.kernel.errors import NotFoundError, RequestError
from amity.kernel.obis import Obis
from amity.kernel.time import date_of, day_of, epoch_s, isoformat, utc_day
from amity.usecases.calendar import kept_instant
from amity.usecases.meters import no_such_meter
from amity.usecases.services import Services

RANGE_MAX = timedelta(days=400)  # a year to compare with and some weeks; more is a matter for the lake


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """Every interval of [start, end), also those without a value (quality EMPTY).

    starts: int64[n] epoch seconds, values: int64[n] in 10**channel.exponent of its unit, qualities: uint8[n].
    """

    channel: Channel
    starts: Int64Column
    values: Int64Column
    qualities: QualityColumn

    @property
    def known(self) -> int:
        """How many intervals have a value."""
        return int(np.count_nonzero(self.qualities))


def read_channel(
    services: Services,
    meter_id: str,
    obis: Obis,
    start: datetime,
    end: datetime,
    *,
    stage: Stage = Stage.FINAL,
    as_known_at: datetime | None = None,
) -> Readings:
    """Read the intervals that start in [start, end); with `as_known_at`, as they stood at that time.

    Raise NotFoundError for an unknown meter or channel, RequestError for an empty or too long range or another age.
    """
    start, end = kept_instant(start), kept_instant(end)
    as_known_at = kept_instant(as_known_at) if as_known_at is not None else None
    _check_range(start, end)
    channel = find_channel(services, meter_id, obis)
    step = channel.interval_s
    first_s, last_s = -(-epoch_s(start) // step) * step, -(-epoch_s(end) // step) * step
    starts = np.arange(first_s, last_s, step, dtype=np.int64)
    values, qualities = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.uint8)
    days = (utc_day(first_s), utc_day(max(first_s, last_s - 1)))
    for block in services.database.blocks.read(stage, [channel.channel_id], *days, as_known_at=as_known_at):
        offset = (block.first_start_s - first_s) // step
        source = slice(max(0, -offset), max(0, min(block.slots, len(starts) - offset)))
        target = slice(source.start + offset, source.stop + offset)
        values[target], qualities[target] = block.values[source], block.qualities[source]
    return Readings(channel, starts, np.where(qualities, values, 0), qualities)


def find_channel(services: Services, meter_id: str, obis: Obis) -> Channel:
    """The interval channel; raise NotFoundError that names the meter's channels when it has no such one."""
    channels = services.database.blocks.channels(meter_id)
    found = next((channel for channel in channels if channel.obis == obis), None)
    if found is not None:
        return found
    if not channels and services.database.registry.meter(meter_id) is None:
        raise no_such_meter(meter_id)
    raise NotFoundError(
        f"meter {meter_id} has no interval channel {obis}",
        answer=f"it has {', '.join(sorted(str(c.obis) for c in channels)) or 'none yet'}",
        next_step="ask for one of its channels; registers stand in the meter's own page",
    )


def newest_day(services: Services, channel: Channel, today: date) -> date:
    """The UTC day of the channel's newest values up to `today`; `today` when there are none."""
    day = day_of(today)
    stored = services.database.blocks
    if stored.read(Stage.FINAL, [channel.channel_id], day, day):
        return today
    return date_of(stored.span_with_neighbours(Stage.FINAL, channel.channel_id, day, day)[0])


def quality_words(quality: int) -> list[str]:
    """What the quality octet of one interval says, as words."""
    return Quality(int(quality)).words()


def _check_range(start: datetime, end: datetime) -> None:
    asked = f"{isoformat(start)} to {isoformat(end)}"
    if end <= start:
        raise RequestError(
            f"the range {asked} is empty", next_step="give a `to` after `from`; the range is half-open: [from, to)"
        )
    if end - start > RANGE_MAX:
        raise RequestError(
            f"the range {asked} is longer than {RANGE_MAX.days} days",
            next_step=f"ask for at most {RANGE_MAX.days} days at a time",
        )
