"""One household's electricity: who is at home, what runs, what the roof gives; Wh for any interval, from the seed.

Each component has a mean of one over the year and is scaled by its share of the yearly energy, so that a household
of 4,000 kWh uses about 4,000 kWh whichever way the dice fall.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np

from amity.kernel.time import SECONDS_PER_DAY, from_epoch_s
from amity.simulation.chance import Floats, Ints, between, draw, smooth, stream, uniform
from amity.simulation.solar import SolarRoof
from amity.simulation.weather import Weather

INTERVAL_S = 900
SLOTS = SECONDS_PER_DAY // INTERVAL_S
CHANNELS = 4  # import Wh, export Wh, reactive import varh, reactive export varh: OBIS C = 1, 2, 3, 4

_HOURS_PER_YEAR = 8_766
_COMFORT_C = 15.5
_MEAN_DEGREES = 6.9  # mean of max(0, comfort - outdoor) over the year in the weather of `weather.py`
_EV_MEAN_W = 170.0
_EV_CHARGER_W = 7_200.0
_EV_SESSION_SLOTS = 11
_SATURDAY = 5
_AWAY_WEEKS = 0.05
_AT_HOME, _AWAY = 1.05, 0.06  # mean of one over the year
_STOVE_DUTY = 0.22
_EV_ANNUAL_KWH_MIN = 4_000  # only larger homes charge a car
_EV_HOMES = 0.25
_HEAT_PUMP_HOMES = 0.2

# Relative use per hour of local time, from 0 h: people asleep, breakfast, noon, evening.
_WEEKDAY = (0.35, 0.25, 0.2, 0.2, 0.22, 0.4, 0.95, 1.3, 1.0, 0.75, 0.72, 0.9,
            1.15, 0.95, 0.75, 0.78, 1.05, 1.6, 2.15, 2.35, 2.1, 1.75, 1.25, 0.7)  # fmt: skip
_WEEKEND = (0.5, 0.35, 0.25, 0.2, 0.2, 0.25, 0.4, 0.75, 1.2, 1.45, 1.4, 1.5,
            1.65, 1.4, 1.2, 1.1, 1.2, 1.45, 1.8, 1.95, 1.8, 1.55, 1.2, 0.8)  # fmt: skip
_COOKING = (0, 0, 0, 0, 0, 0.1, 0.9, 1.2, 0.6, 0.2, 0.4, 2.0, 2.4, 0.6, 0.2, 0.3, 0.9, 2.6, 4.2, 3.6, 1.6, 0.6, 0.2, 0)


class LocalTime(NamedTuple):
    """Local calendar of some intervals: `hour` float64[n] in [0, 24), `weekend` bool[n], `day` and `week` int64[n]."""

    hour: Floats
    weekend: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    day: Ints
    week: Ints


@dataclass(frozen=True, slots=True)
class Shares:
    """Mean power in watts of each component over the year."""

    standby_w: float
    activity_w: float
    cooking_w: float
    laundry_w: float
    heating_w: float
    ev_w: float


@dataclass(frozen=True, slots=True)
class Household:
    """One premise's behaviour; `premise` names its streams of chance, `roof` is None without panels."""

    seed: int
    premise: str
    zone: str
    annual_kwh: float
    shares: Shares
    early_h: float
    reactive_ratio: float
    roof: SolarRoof | None

    @classmethod
    def from_seed(cls, seed: int, premise: str, *, zone: str = "Europe/Vienna", solar: bool = False) -> Self:
        """A household of 2.5 to 6 MWh a year; some heat with a heat pump, some charge a car."""
        annual_kwh = between(stream(seed, premise, "annual"), 2_500, 6_000)
        return cls(
            seed=seed,
            premise=premise,
            zone=zone,
            annual_kwh=annual_kwh,
            shares=_shares(seed, premise, annual_kwh),
            early_h=between(stream(seed, premise, "early"), -1.2, 1.2),
            reactive_ratio=between(stream(seed, premise, "reactive"), 0.08, 0.34),
            roof=SolarRoof.from_seed(seed, premise) if solar else None,
        )

    def energy(self, weather: Weather, first_day: int, last_day: int) -> Ints:
        """Wh and varh of the UTC days [first_day, last_day) as int64[(last_day - first_day) * 96, CHANNELS].

        The roof feeds the house first: an interval shows its net, as import or as export, never both.
        """
        at_s = np.arange(first_day * SLOTS, last_day * SLOTS, dtype=np.int64) * INTERVAL_S
        load_w = self.load_w(weather, at_s)
        roof_w = self.roof.power_w(weather, at_s + INTERVAL_S // 2) if self.roof else np.zeros_like(load_w)
        net = _whole_wh(load_w) - _whole_wh(roof_w)
        reactive = _whole_wh(load_w * self.reactive_ratio - self.shares.standby_w * 0.55)
        return np.stack((_positive(net), _positive(-net), _positive(reactive), _positive(-reactive)), axis=1)

    def load_w(self, weather: Weather, at_s: Ints) -> Floats:
        """Mean power in watts that the household uses in the quarter-hours that start at `at_s`."""
        local = local_time(self.zone, at_s)
        slots = at_s // INTERVAL_S
        home = self._presence(local)
        parts = self.shares
        return (
            parts.standby_w * (0.75 + 0.5 * uniform(self._stream("fridge"), slots))
            + home * parts.activity_w * self._activity(local, slots)
            + home * parts.cooking_w * self._cooking(local, slots)
            + home * parts.laundry_w * self._laundry(slots)
            + parts.heating_w * self._heating(weather, at_s)
            + home * parts.ev_w * self._charging(slots)
        )

    def _stream(self, name: str) -> int:
        return stream(self.seed, self.premise, name)

    def _presence(self, local: LocalTime) -> Floats:
        """Close to one at home, close to zero in the few weeks a year when nobody is."""
        return np.where(uniform(self._stream("away"), local.week) < _AWAY_WEEKS, _AWAY, _AT_HOME)

    def _activity(self, local: LocalTime, slots: Ints) -> Floats:
        """Light and devices: the hour's habit, darker months more, lively within the hour."""
        hour = (local.hour + self.early_h) % 24
        habit = np.where(local.weekend, _at_hour(_WEEKEND, hour), _at_hour(_WEEKDAY, hour))
        season = 1 + 0.22 * np.cos(2 * np.pi * (local.day % 365.25 - 10) / 365.25)
        mood = 0.5 + smooth(self._stream("mood"), slots / 6)
        return np.asarray(habit * season * mood * (0.7 + 0.6 * uniform(self._stream("devices"), slots)))

    def _cooking(self, local: LocalTime, slots: Ints) -> Floats:
        """Meals: blocks of half an hour in which the stove is on or not, likelier at meal times."""
        likely = _at_hour(_COOKING, (local.hour + self.early_h) % 24) * _STOVE_DUTY
        on = uniform(self._stream("meals"), slots // 2) < likely
        return np.where(on, (0.8 + 0.4 * uniform(self._stream("stove"), slots)) / _STOVE_DUTY, 0.0)

    def _laundry(self, slots: Ints) -> Floats:
        """Washing machine and dishwasher: a run of an hour and a half on about half of the days."""
        return _runs(self._stream("laundry"), slots, likely=0.5, first=28, last=84, length=6)

    def _heating(self, weather: Weather, at_s: Ints) -> Floats:
        """In proportion to the degrees below comfort."""
        return np.maximum(_COMFORT_C - weather.temperature_c(at_s), 0) / _MEAN_DEGREES

    def _charging(self, slots: Ints) -> Floats:
        """The car charges at full power on some nights, from late evening on (slots of UTC)."""
        likely = _EV_MEAN_W * SLOTS / (_EV_CHARGER_W * _EV_SESSION_SLOTS)
        return _runs(self._stream("car"), slots, likely=likely, first=76, last=90, length=_EV_SESSION_SLOTS)


def local_time(zone: str, at_s: Ints) -> LocalTime:
    """The local calendar of epoch seconds.

    The zone's offset is taken once per UTC day, at noon: on the two days of clock change habits are an hour early
    or late for a moment, which no household would notice; the intervals themselves are UTC and always 96.
    """
    utc_days = at_s // SECONDS_PER_DAY
    days, inverse = np.unique(utc_days, return_inverse=True)
    offsets = np.array([_offset_s(zone, int(day)) for day in days], np.int64)
    local_s = at_s + offsets[inverse.reshape(at_s.shape)]
    day = local_s // SECONDS_PER_DAY
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    return LocalTime(local_s % SECONDS_PER_DAY / 3600, weekday >= _SATURDAY, day, (day + 3) // 7)


@lru_cache(maxsize=4096)
def _offset_s(zone: str, day: int) -> int:
    offset = from_epoch_s(day * SECONDS_PER_DAY + SECONDS_PER_DAY // 2).astimezone(ZoneInfo(zone)).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def _shares(seed: int, premise: str, annual_kwh: float) -> Shares:
    mean_w = annual_kwh * 1000 / _HOURS_PER_YEAR
    has_car = annual_kwh > _EV_ANNUAL_KWH_MIN and draw(stream(seed, premise, "has car")) < _EV_HOMES
    ev_w = _EV_MEAN_W if has_car else 0.0
    rest_w = mean_w - ev_w
    heating = 0.34 if draw(stream(seed, premise, "heat pump")) < _HEAT_PUMP_HOMES else 0.05
    flexible = rest_w * (0.76 - heating)
    return Shares(
        standby_w=rest_w * 0.24,
        activity_w=flexible * 0.72,
        cooking_w=flexible * 0.16,
        laundry_w=flexible * 0.12,
        heating_w=rest_w * heating,
        ev_w=ev_w,
    )


def _at_hour(curve: tuple[float, ...], hour: Floats) -> Floats:
    """The curve at fractional hours, scaled to a mean of one over the day."""
    values = np.array((*curve, curve[0]), np.float64)
    mean = (values[:-1] + values[1:]).mean() / 2
    return np.asarray(np.interp(hour, np.arange(25), values) / mean)


def _runs(key: int, slots: Ints, *, likely: float, first: int, last: int, length: int) -> Floats:
    """Blocks of `length` slots that start on some days between slots `first` and `last`, with a mean of one.

    A run may reach over midnight, so the day before is asked as well.
    """
    on = np.zeros(slots.shape, bool)
    for day in (slots // SLOTS, slots // SLOTS - 1):
        start = day * SLOTS + first + (uniform(key + 1, day) * (last - first)).astype(np.int64)
        on |= (uniform(key, day) < likely) & (slots >= start) & (slots < start + length)
    return np.where(on, SLOTS / (likely * length), 0.0)


def _whole_wh(power_w: Floats) -> Ints:
    return np.rint(power_w * (INTERVAL_S / 3600)).astype(np.int64)


def _positive(values: Ints) -> Ints:
    return np.maximum(values, 0)
