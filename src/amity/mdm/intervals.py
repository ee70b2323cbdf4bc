"""From interval series as meters deliver them to channel-days as we keep them."""

import numpy as np

from amity.domain.blocks import Block
from amity.domain.readings import IntervalSeries
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.time import SECONDS_PER_DAY

_EXPONENT_MAX = 127  # the scaler of scal_unit_type is an int8 (IEC 62056-6-2)
_FIRST_START_S = 0  # 1970-01-01: COSEM's date-time is younger
_LAST_START_S = 2**32  # February 2106: a later interval is a clock that was never set


def day_blocks(series: IntervalSeries, channel_id: int = 0) -> list[Block]:
    """Cut a series into dense channel-days, in order of time; slots it does not mention are EMPTY.

    Raise RemoteProtocolError when the series is not what `IntervalSeries` promises: lengths that differ, an interval
    that does not divide the day, starts off the grid, out of order or out of this age, or a value without quality.
    """
    _check(series)
    interval_s = series.reading_type.interval_s
    slots = SECONDS_PER_DAY // interval_s
    days, seconds = np.divmod(series.starts, SECONDS_PER_DAY)
    stored_days, rows = np.unique(days, return_inverse=True)
    values = np.zeros((len(stored_days), slots), np.int64)
    qualities = np.zeros((len(stored_days), slots), np.uint8)
    values[rows, seconds // interval_s] = series.values
    qualities[rows, seconds // interval_s] = series.qualities
    return [
        Block(channel_id, day, interval_s, values[row], qualities[row]) for row, day in enumerate(stored_days.tolist())
    ]


def _check(series: IntervalSeries) -> None:
    interval_s, starts = series.reading_type.interval_s, series.starts
    if abs(series.reading_type.exponent) > _EXPONENT_MAX:
        raise _broken(series, f"10^{series.reading_type.exponent} is no scale of any unit")
    if interval_s <= 0 or SECONDS_PER_DAY % interval_s:
        raise _broken(series, f"an interval of {interval_s} s does not divide a day")
    if not len(starts) == len(series.values) == len(series.qualities):
        raise _broken(series, "starts, values and qualities differ in length")
    if (np.diff(starts) <= 0).any():
        raise _broken(series, "its intervals are not in order, or one comes twice")
    if len(starts) and not _FIRST_START_S <= starts[0] <= starts[-1] < _LAST_START_S:
        raise _broken(series, "an interval starts before 1970 or after 2106")
    if (starts % interval_s).any():
        raise _broken(series, f"an interval starts off the grid of {interval_s} s")
    if (series.qualities == 0).any():
        raise _broken(series, "a value comes without quality")


def _broken(series: IntervalSeries, reason: str) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"the interval series of {series.reading_type.obis} cannot be stored: {reason}",
        tried="lay its intervals on the grid of the UTC day",
        next_step="look at the profile and mapping of this meter's model; the delivery is kept as a dead letter",
    )
