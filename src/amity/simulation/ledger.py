"""A meter's counting: interval energies of any day and the running totals that follow from them, to the watt-hour."""

from collections.abc import Callable

import numpy as np

from amity.kernel.time import SECONDS_PER_DAY
from amity.simulation.chance import Ints
from amity.simulation.household import INTERVAL_S, SLOTS
from amity.simulation.timeline import Switching, seconds_on

EnergySource = Callable[[int, int], Ints]
"""(first day, last day) -> int64[days * 96, channels], Wh and varh of the UTC days [first, last)."""

_SECONDS_PER_HOUR = 3600
_DAYS_AHEAD = 8  # computed together with what is asked: one call for many days is much cheaper than many calls


class EnergyLedger:
    """Totals = initial + sum of all intervals since the UTC day `installed_day` + the running interval's share.

    Nothing runs in the background: days are computed when first asked for and kept, because totals at any instant
    are sums over all of them. Where `switching` says so, less is counted than the source gives.
    """

    def __init__(
        self,
        source: EnergySource,
        installed_day: int,
        initial: tuple[int, ...],
        switching: Switching | None = None,
    ) -> None:
        self.installed_day = installed_day
        self.switching = switching or Switching(lambda _at_s: True)
        self._source = source
        self._initial = np.array(initial, np.int64)
        self._channels = len(initial)
        self._energy = np.zeros((0, self._channels), np.int32)
        self._totals = np.zeros((1, self._channels), np.int64)  # totals at 00:00 of installed_day + i

    def energies(self, day: int) -> Ints:
        """int64[96, channels] of one UTC day; zeros before the installation."""
        if day < self.installed_day:
            return np.zeros((SLOTS, self._channels), np.int64)
        self._compute_until(day + 1)
        first = (day - self.installed_day) * SLOTS
        return self._energy[first : first + SLOTS].astype(np.int64)

    def boundaries(self, day: int) -> Ints:
        """int64[97, channels]: the totals at every interval boundary of one UTC day, both midnights included."""
        rows = np.zeros((SLOTS + 1, self._channels), np.int64)
        np.cumsum(self.energies(day), axis=0, out=rows[1:])
        return rows + self.midnight(day)

    def midnight(self, day: int) -> Ints:
        """int64[channels]: the totals at 00:00 UTC of a day; before the installation the initial ones."""
        if day <= self.installed_day:
            return self._initial
        self._compute_until(day)
        return np.asarray(self._initial + self._totals[day - self.installed_day])

    def at(self, at_s: int) -> Ints:
        """int64[channels]: the totals at an epoch second; the running interval counts with its elapsed share."""
        day, second = divmod(at_s, SECONDS_PER_DAY)
        slot, elapsed_s = divmod(second, INTERVAL_S)
        energies = self.energies(day)
        start_s = at_s - elapsed_s
        if self.switching.touched_within(start_s, start_s + INTERVAL_S):
            running = self.switching.counted(self._flow(day)[slot], start_s, at_s)
        else:
            running = energies[slot] * elapsed_s // INTERVAL_S
        return np.asarray(self.midnight(day) + energies[:slot].sum(axis=0) + running)

    def mean_w(self, at_s: int) -> Ints:
        """int64[channels]: the mean power of the running interval while there is supply in it; 0 without supply."""
        day, second = divmod(at_s, SECONDS_PER_DAY)
        start_s = at_s - second % INTERVAL_S
        supplied_s = seconds_on(start_s, start_s + INTERVAL_S, self.switching.supply)
        if not self.switching.supply.on(at_s) or not supplied_s:
            return np.zeros(self._channels, np.int64)
        return np.asarray(self.energies(day)[second // INTERVAL_S] * _SECONDS_PER_HOUR // supplied_s)

    def forget_from(self, at_s: int) -> None:
        """Something was switched at this instant: count the day again, and those after it."""
        days = max(at_s // SECONDS_PER_DAY - self.installed_day, 0)
        self._energy = self._energy[: days * SLOTS]
        self._totals = self._totals[: days + 1]

    def _compute_until(self, day: int) -> None:
        known = len(self._totals) - 1
        if day - self.installed_day <= known:
            return
        fresh = self._counted(self.installed_day + known, day + _DAYS_AHEAD)
        sums = fresh.reshape(-1, SLOTS, self._channels).sum(axis=1)
        self._energy = np.concatenate((self._energy, fresh.astype(np.int32)))
        self._totals = np.concatenate((self._totals, self._totals[-1] + np.cumsum(sums, axis=0)))

    def _counted(self, first_day: int, last_day: int) -> Ints:
        """What the source gives, less what was switched off."""
        flow = self._source(first_day, last_day)
        if not self.switching.touched_before(last_day * SECONDS_PER_DAY):
            return flow
        counted = flow.copy()
        for place, slot in enumerate(range(first_day * SLOTS, last_day * SLOTS)):
            start_s = slot * INTERVAL_S
            if self.switching.touched_before(start_s + INTERVAL_S):
                counted[place] = self.switching.counted(flow[place], start_s, start_s + INTERVAL_S)
        return counted

    def _flow(self, day: int) -> Ints:
        return self._source(day, day + 1)
