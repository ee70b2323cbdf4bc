"""The weather of one simulated town: temperature, cloud and sun for any quarter of an hour, from the seed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from amity.kernel.time import SECONDS_PER_DAY
from amity.simulation.chance import Floats, Ints, smooth, stream

_YEAR_D = 365.25
_SHORTEST_DAY = -10.0  # day of the year, 21 December
_COLDEST_DAY = 20.0


@dataclass(frozen=True)
class Weather:
    """Weather at one place; every method takes epoch seconds, int64[n], and returns float64[n]."""

    seed: int
    latitude: float
    longitude: float

    @cached_property
    def _fronts(self) -> int:
        return stream(self.seed, "weather", "fronts")

    @cached_property
    def _clouds(self) -> int:
        return stream(self.seed, "weather", "clouds")

    def temperature_c(self, at_s: Ints) -> Floats:
        """Outdoor temperature in degrees Celsius: season, fronts of some days, day and night."""
        days = at_s / SECONDS_PER_DAY
        season = -9.5 * np.cos(2 * np.pi * (days % _YEAR_D - _COLDEST_DAY) / _YEAR_D)
        fronts = 9 * (smooth(self._fronts, days / 4) - 0.5) + 4 * (smooth(self._fronts + 1, days) - 0.5)
        solar_hour = (days + self.longitude / 360) % 1 * 24
        night_and_day = 3.5 * np.cos(2 * np.pi * (solar_hour - 15) / 24) * (1.3 - self.cloud(at_s))
        return np.asarray(9.5 + season + fronts + night_and_day)

    def cloud(self, at_s: Ints) -> Floats:
        """Cover of the sky from 0 (clear) to 1: fronts of two days with hours of their own."""
        hours = at_s / 3600
        cover = 0.75 * smooth(self._clouds, hours / 48) + 0.25 * smooth(self._clouds + 1, hours / 2)
        return np.clip(1.5 * cover - 0.25, 0.0, 1.0)

    def sun(self, at_s: Ints) -> tuple[Floats, Floats]:
        """Elevation and azimuth (0 = south, west positive) of the sun in radians; good to about a degree."""
        days = at_s / SECONDS_PER_DAY
        declination = -0.4093 * np.cos(2 * np.pi * (days % _YEAR_D - _SHORTEST_DAY) / _YEAR_D)
        hour_angle = 2 * np.pi * ((days + self.longitude / 360) % 1 - 0.5)
        latitude = np.radians(self.latitude)
        sine = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
        azimuth = np.arctan2(
            np.sin(hour_angle), np.cos(hour_angle) * np.sin(latitude) - np.tan(declination) * np.cos(latitude)
        )
        return np.arcsin(sine), azimuth
