"""What a roof full of panels gives: clear-sky irradiance on a tilted plane, dimmed by cloud."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from amity.simulation.chance import Floats, Ints, between, stream
from amity.simulation.weather import Weather

_SYSTEM_EFFICIENCY = 0.84  # inverter, wiring, dirt, warm cells
_DIRECT_CLEAR = 0.95  # kW/m2 at the edge of a clear sky
_DIFFUSE_CLEAR = 0.11  # kW/m2


@dataclass(frozen=True, slots=True)
class SolarRoof:
    """A photovoltaic system: peak power in watts, tilt and azimuth (0 = south, west positive) in radians."""

    peak_w: float
    tilt: float
    azimuth: float

    @classmethod
    def from_seed(cls, seed: int, premise: str) -> Self:
        """A roof of 4 to 9 kWp that looks roughly south."""
        return cls(
            peak_w=round(between(stream(seed, premise, "peak"), 4_000, 9_000), -1),
            tilt=np.radians(between(stream(seed, premise, "tilt"), 18, 42)),
            azimuth=np.radians(between(stream(seed, premise, "azimuth"), -55, 55)),
        )

    def power_w(self, weather: Weather, at_s: Ints) -> Floats:
        """Generated power in watts at the given epoch seconds; exactly 0.0 while the sun is down."""
        elevation, azimuth = weather.sun(at_s)
        height = np.sin(elevation)
        up = height > 0
        on_roof = np.cos(elevation) * np.sin(self.tilt) * np.cos(azimuth - self.azimuth) + height * np.cos(self.tilt)
        direct = _DIRECT_CLEAR * np.exp(-0.14 / np.maximum(height, 0.02)) * np.maximum(on_roof, 0)
        cloud = weather.cloud(at_s)
        irradiance = direct * (1 - cloud) ** 1.2 + _DIFFUSE_CLEAR * np.sqrt(np.maximum(height, 0)) * (1 + cloud)
        return np.where(up, np.minimum(irradiance, 1.0) * self.peak_w * _SYSTEM_EFFICIENCY, 0.0)
