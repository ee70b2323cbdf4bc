"""What happened to a simulated meter and stands in its event log: outages, dips, clock changes, opened covers."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from amity.domain.events import EventKind
from amity.kernel.time import SECONDS_PER_DAY
from amity.simulation.chance import Ints, draw, stream, uniform
from amity.simulation.faults import FaultKind, Mask, RecordFaults
from amity.simulation.household import INTERVAL_S, SLOTS

_DIPS_PER_DAY = 0.03
_OPENED_COVERS = 0.015
_DIP_S_MAX = 80


@dataclass(frozen=True, slots=True)
class Outage:
    """Everything behind one transformer without power in [start_s, end_s); None: it is not back yet."""

    transformer_id: str
    start_s: int
    end_s: int | None = None

    def covers(self, at_s: int) -> bool:
        """True when power is off at this instant."""
        return self.start_s <= at_s and (self.end_s is None or at_s < self.end_s)

    def powered(self, day: int) -> Mask:
        """bool[96]: the intervals of a UTC day without any of the outage in them."""
        starts = (np.arange(SLOTS) + day * SLOTS) * INTERVAL_S
        before = starts + INTERVAL_S <= self.start_s
        return np.asarray(before if self.end_s is None else before | (starts >= self.end_s))


@dataclass(frozen=True, slots=True)
class Happening:
    """One event: the epoch second at which it happened and what it was."""

    at_s: int
    kind: EventKind


@dataclass(frozen=True, slots=True)
class Happenings:
    """All events of one meter; dips come to every meter of a transformer at once."""

    faults: RecordFaults
    transformer_id: str
    installed_day: int
    outages: tuple[Outage, ...]

    def until(self, now_s: int) -> list[Happening]:
        """What has happened so far, oldest first."""
        days = np.arange(self.installed_day, now_s // SECONDS_PER_DAY + 1)
        found = [*self._outages(), *self._covers(), *self._dips(days), *self._clock_jumps(days)]
        found.append(Happening(self.installed_day * SECONDS_PER_DAY + 1, EventKind.POWER_UP))
        return sorted((event for event in found if event.at_s <= now_s), key=lambda event: event.at_s)

    def _outages(self) -> Iterator[Happening]:
        for outage in self.outages:
            yield Happening(outage.start_s, EventKind.POWER_DOWN)
            if outage.end_s is not None:
                yield Happening(outage.end_s, EventKind.POWER_UP)

    def _covers(self) -> Iterator[Happening]:
        chance = stream(self.faults.seed, self.faults.serial, "cover")
        if draw(chance) < _OPENED_COVERS:
            day = self.faults.anchor_day - 1
            yield Happening(day * SECONDS_PER_DAY + int((8 + 8 * draw(chance, 1)) * 3600), EventKind.COVER_OPENED)

    def _dips(self, days: Ints) -> Iterator[Happening]:
        chance = stream(self.faults.seed, "dips", self.transformer_id)
        for day in days[uniform(chance, days) < _DIPS_PER_DAY].tolist():
            at_s = day * SECONDS_PER_DAY + int(draw(chance + 1, day) * (SECONDS_PER_DAY - _DIP_S_MAX))
            yield Happening(at_s, EventKind.POWER_DOWN)
            yield Happening(at_s + 1 + int(draw(chance + 2, day) * (_DIP_S_MAX - 1)), EventKind.POWER_UP)

    def _clock_jumps(self, days: Ints) -> Iterator[Happening]:
        for day in days.tolist() if FaultKind.CLOCK_JUMP in self.faults.kinds else ():
            jumped = np.flatnonzero(self.faults.jumped(day))
            if len(jumped):
                midnight_s = day * SECONDS_PER_DAY
                yield Happening(midnight_s + int(jumped[0]) * INTERVAL_S, EventKind.CLOCK_INVALID)
                yield Happening(midnight_s + (int(jumped[-1]) + 1) * INTERVAL_S, EventKind.CLOCK_ADJUSTED)
