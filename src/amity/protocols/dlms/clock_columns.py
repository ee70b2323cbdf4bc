"""Many date-times (IEC 62056-6-2, 4.1.6.1) to epoch seconds at once, by tables instead of calendar arithmetic.

Each table gives seconds for one or two octets of the date-time; what no date-time can hold gives a number so far below
zero that the sum shows it. So every field of every row is checked by adding five numbers.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_IMPOSSIBLE = -(1 << 50)
_OCTET, _TWO_OCTETS = 1 << 8, 1 << 16
_YEAR_FIRST, _YEAR_LAST = 1970, 2199
_DAY_S = 86_400
_DEVIATION_MIN_MAX = 840
_DEVIATION_NOT_SPECIFIED = 0x8000

CLOCK_FIELDS = (("year", ">u2", 0), ("month_day", ">u2", 2), ("hour_minute", ">u2", 5), ("second", "u1", 7),
                ("hundredths", "u1", 8), ("deviation", ">u2", 9), ("status", "u1", 11))  # fmt: skip


class _Tables(NamedTuple):
    year_s: NDArray[np.int64]
    leap_shift: NDArray[np.int64]
    month_day_s: NDArray[np.int64]
    hour_minute_s: NDArray[np.int64]
    second_s: NDArray[np.int64]


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    years = np.arange(_YEAR_FIRST, _YEAR_LAST + 1)
    starts = np.array([np.datetime64(f"{year}-01-01", "s").astype(np.int64) for year in years])
    year_s = np.full(_TWO_OCTETS, _IMPOSSIBLE, np.int64)
    year_s[years] = starts
    leap_shift = np.zeros(_TWO_OCTETS, np.int64)
    leap_shift[years[(years % 4 == 0) & ((years % 100 != 0) | (years % 400 == 0))]] = _TWO_OCTETS
    month_day_s = np.concatenate([_month_day_s(2001), _month_day_s(2000)])
    hour_minute_s = np.full(_TWO_OCTETS, _IMPOSSIBLE, np.int64)
    for hour in range(24):
        hour_minute_s[(hour << 8) + np.arange(60)] = hour * 3600 + np.arange(60) * 60
    second_s = np.full(_OCTET, _IMPOSSIBLE, np.int64)
    second_s[:60] = np.arange(60)
    second_s[0xFF] = 0  # not specified: meters that count in minutes
    return _Tables(year_s, leap_shift, month_day_s, hour_minute_s, second_s)


def _month_day_s(year: int) -> NDArray[np.int64]:
    """Seconds since New Year for month and day as two octets."""
    table = np.full(_TWO_OCTETS, _IMPOSSIBLE, np.int64)
    days = np.arange(np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01"))
    months = days.astype("datetime64[M]")
    month_numbers = months.astype(np.int64) % 12 + 1
    day_numbers = (days - months).astype(np.int64) + 1
    table[(month_numbers << 8) + day_numbers] = np.arange(days.size) * _DAY_S
    return table


@lru_cache(maxsize=64)
def _deviation_s(default_min: int | None, inverted: bool) -> NDArray[np.int64]:
    table = np.full(_TWO_OCTETS, _IMPOSSIBLE, np.int64)
    minutes = np.arange(-_DEVIATION_MIN_MAX, _DEVIATION_MIN_MAX + 1)
    table[minutes % _TWO_OCTETS] = minutes * (-60 if inverted else 60)
    if default_min is not None:
        table[_DEVIATION_NOT_SPECIFIED] = default_min * 60
    return table


def clock_seconds(
    clocks: NDArray[np.void], default_deviation_min: int | None, *, deviation_inverted: bool
) -> NDArray[np.int64] | None:
    """Epoch seconds of date-times given as a structured array with CLOCK_FIELDS.

    None when a row holds no instant from 1970 to 2199, or leaves the deviation open and there is no default: whoever
    asked then reads row by row and finds out which.
    """
    tables = _tables()
    year = clocks["year"]
    seconds: NDArray[np.int64] = tables.year_s[year]
    seconds += tables.month_day_s[tables.leap_shift[year] + clocks["month_day"]]
    seconds += tables.hour_minute_s[clocks["hour_minute"]]
    seconds += tables.second_s[clocks["second"]]
    seconds += _deviation_s(default_deviation_min, deviation_inverted)[clocks["deviation"]]
    if seconds.size and seconds.min() < -_DAY_S:
        return None
    return seconds
