"""One simulated meter: who it is, what it measured, how its clock runs and what is wrong with it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from amity.devices.profiles import DeviceProfile
from amity.domain.registry import UsagePoint
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY, epoch_s, utc_day
from amity.simulation.chance import Ints, between, stream
from amity.simulation.faults import FaultKind, Mask
from amity.simulation.happenings import Happenings, Outage
from amity.simulation.household import CHANNELS, INTERVAL_S, SLOTS, Household
from amity.simulation.keys import SimulatedKeys, derive
from amity.simulation.ledger import EnergyLedger
from amity.simulation.measuring import CHANNEL_OF, MeasuringElement, scaled
from amity.simulation.rows import LoadProfileRows
from amity.simulation.timeline import Switching
from amity.simulation.weather import Weather

DAY_TARIFF_HOURS = (6, 22)
"""Tariff 1 counts from 6 h to 22 h local standard time, tariff 2 the rest."""

_DRIFT_PPM_MAX = 8.0
_CLOCK_OFFSET_S_MAX = 4.0
_RESET_DAYS = 30  # the drift starts again: somebody sets the clock
_CHANNEL_OF_OBIS = {Obis.parse(f"1.0.{channel + 1}.29.0.255"): channel for channel in range(CHANNELS)}


@dataclass(frozen=True, slots=True)
class ClockDrift:
    """A clock that is `offset_s` off after being set and runs `ppm` too fast from then on."""

    offset_s: float
    ppm: float

    @classmethod
    def from_seed(cls, seed: int, serial: str) -> "ClockDrift":
        """A few seconds and a few parts per million, either way."""
        return cls(
            offset_s=between(stream(seed, serial, "offset"), -_CLOCK_OFFSET_S_MAX, _CLOCK_OFFSET_S_MAX),
            ppm=between(stream(seed, serial, "ppm"), -_DRIFT_PPM_MAX, _DRIFT_PPM_MAX),
        )

    def seconds_ahead(self, at_s: float) -> float:
        """How far the clock is ahead of the truth at an epoch second."""
        return self.offset_s + self.ppm * 1e-6 * (at_s % (_RESET_DAYS * SECONDS_PER_DAY))


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedMeter:
    """A meter before it is put on a socket; `keys` are those that the fleet document gives to the head-end."""

    meter_id: str
    serial: str
    profile: DeviceProfile
    usage_point: UsagePoint
    system_title: bytes
    keys: SimulatedKeys
    element: MeasuringElement
    rows: LoadProfileRows
    happenings: Happenings
    drift: ClockDrift

    @property
    def kinds(self) -> frozenset[FaultKind]:
        """What is wrong with it."""
        return self.element.faults.kinds

    @property
    def own_guek(self) -> bytes:
        """The encryption key it really holds."""
        if FaultKind.WRONG_KEY in self.kinds:
            return derive(self.element.faults.seed, self.serial, "guek nobody was told of", len(self.keys.guek))
        return self.keys.guek

    def clock_now(self, now: datetime) -> datetime:
        """What its clock shows."""
        jump_s = self.element.faults.clock_offset_s(epoch_s(now))
        return now + timedelta(seconds=self.drift.seconds_ahead(now.timestamp()) + jump_s)

    def is_on(self, now: datetime) -> bool:
        """False while the area has no power."""
        return not any(outage.covers(epoch_s(now)) for outage in self.happenings.outages)

    def switch_supply(self, now: datetime, *, on: bool) -> None:
        """From now on the household has supply, or none: then nothing flows, either way."""
        if self.element.ledger.switching.supply.switch(on=on, at_s=epoch_s(now)):
            self._count_again_from(now)

    def switch_tariff(self, now: datetime, *, day: bool) -> None:
        """From now on import counts in the day tariff, or in the night tariff."""
        if self.element.ledger.switching.day_tariff.switch(on=day, at_s=epoch_s(now)):
            self._count_again_from(now)

    def _count_again_from(self, now: datetime) -> None:
        self.element.ledger.forget_from(epoch_s(now))
        self.rows.forget_from(utc_day(epoch_s(now)))

    def truth_wh(self, obis: Obis, start_s: int) -> int:
        """What the meter counted in the interval that starts at `start_s`, in whole Wh or varh; see `truth_of_day`."""
        day, slot = divmod(start_s // INTERVAL_S, SLOTS)
        return int(self.truth_of_day(obis, day)[slot])

    def truth_of_day(self, obis: Obis, day: int) -> Ints:
        """What the meter counted in each interval of a UTC day: int64[96], whole Wh or varh.

        `obis` is one of 1.0.{1,2,3,4}.29.0.255; raises ConfigurationError for another. A meter that resolves no finer
        than 10 Wh counts in steps of 10 Wh: the steps of its own register, so that they add up to it exactly. Faults
        change the record, not the truth.
        """
        channel = _CHANNEL_OF_OBIS.get(obis)
        if channel is None:
            raise ConfigurationError(
                f"there is no truth about {obis}", next_step=f"ask for {', '.join(map(str, _CHANNEL_OF_OBIS))}"
            )
        scaler = self._scaler(channel)
        counts = np.diff(scaled(self.element.ledger.boundaries(day)[:, channel], scaler))
        return np.asarray(scaled(counts, -scaler))

    def _scaler(self, channel: int) -> int:
        """The resolution of the load profile's column for a channel."""
        columns = set(self.profile.load_profile.columns)
        captured = (measured for measured in self.profile.objects if measured.name in columns)
        return next((found.scaler for found in captured if CHANNEL_OF.get(found.quantity) == channel), 0)


def powered(outages: tuple[Outage, ...], day: int) -> Mask:
    """bool[96]: the intervals of a UTC day that no outage touches."""
    return np.asarray(np.logical_and.reduce([np.ones(SLOTS, bool), *(outage.powered(day) for outage in outages)]))


def ledger_of(
    household: Household, weather: Weather, outages: tuple[Outage, ...], installed_day: int, standard_offset_min: int
) -> EnergyLedger:
    """The ledger of a household's meter: its four channels and, as the fifth, import in the day tariff."""

    def source(first_day: int, last_day: int) -> Ints:
        energy = household.energy(weather, first_day, last_day)
        if outages:
            on = np.concatenate([powered(outages, day) for day in range(first_day, last_day)])
            energy = energy * on[:, np.newaxis]
        slots = np.arange(first_day * SLOTS, last_day * SLOTS)
        hour = (slots * INTERVAL_S + standard_offset_min * 60) // 3600 % 24
        in_day = (hour >= DAY_TARIFF_HOURS[0]) & (hour < DAY_TARIFF_HOURS[1])
        return np.column_stack((energy, energy[:, 0] * in_day))

    def is_day(at_s: int) -> bool:
        first_h, end_h = DAY_TARIFF_HOURS
        return first_h <= (at_s + standard_offset_min * 60) // 3600 % 24 < end_h

    return EnergyLedger(source, installed_day, _initial_totals(household), Switching(is_day))


def _initial_totals(household: Household) -> tuple[int, ...]:
    """The meter was tested and used before it came here; a roof's export starts at zero."""
    used_wh = int(between(stream(household.seed, household.premise, "used before"), 1e6, 2.4e7))
    return used_wh, 0, used_wh // 7, used_wh // 60, used_wh * 2 // 3
