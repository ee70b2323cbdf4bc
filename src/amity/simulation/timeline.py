"""States that switch while a meter runs: whether the customer has supply, and which tariff counts."""

from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise

from amity.simulation.chance import Ints
from amity.simulation.household import INTERVAL_S

IMPORT_CHANNEL, DAY_TARIFF_CHANNEL = 0, 4
"""Places of a flow that this module knows: the others are cut with the supply."""


class Timeline:
    """On or off: as `usual` says, and from the first switching on as it was switched.

    `usual` gives the state at an epoch second; it changes at the borders of intervals only.
    """

    __slots__ = ("_states", "_switched_s", "_usual")

    def __init__(self, usual: Callable[[int], bool]) -> None:
        self._usual = usual
        self._switched_s: list[int] = []
        self._states: list[bool] = []

    def on(self, at_s: int) -> bool:
        """The state at an epoch second."""
        place = bisect_right(self._switched_s, at_s)
        return self._states[place - 1] if place else self._usual(at_s)

    def switch(self, *, on: bool, at_s: int) -> bool:
        """Switch at an epoch second, no earlier than the last time; True when that changes anything."""
        at_s = max(at_s, self._switched_s[-1]) if self._switched_s else at_s
        if self.on(at_s) is on:
            return False
        self._switched_s.append(at_s)
        self._states.append(on)
        return True

    def switched_before(self, at_s: int) -> bool:
        """True when the state was ever switched before an epoch second."""
        return bool(self._switched_s) and self._switched_s[0] < at_s

    def between(self, start_s: int, end_s: int) -> list[int]:
        """The switchings in (start_s, end_s)."""
        return [at_s for at_s in self._switched_s if start_s < at_s < end_s]


def seconds_on(start_s: int, end_s: int, *timelines: Timeline) -> int:
    """How many seconds of [start_s, end_s), a part of one interval, all of them were on."""
    borders = sorted({start_s, end_s, *(at_s for line in timelines for at_s in line.between(start_s, end_s))})
    pieces = pairwise(borders)
    return sum(end - start for start, end in pieces if all(line.on(start) for line in timelines))


class Switching:
    """What of a household's flow a meter counts: nothing without supply, and import in the tariff that is active."""

    __slots__ = ("day_tariff", "supply")

    def __init__(self, is_day: Callable[[int], bool]) -> None:
        """`is_day(at_s)` tells when the day tariff is active as long as nobody switches tariffs."""
        self.supply = Timeline(lambda _at_s: True)
        self.day_tariff = Timeline(is_day)

    def touched_before(self, at_s: int) -> bool:
        """True when anything was ever switched before an epoch second."""
        return self.supply.switched_before(at_s) or self.day_tariff.switched_before(at_s)

    def touched_within(self, start_s: int, end_s: int) -> bool:
        """True when anything was switched in (start_s, end_s)."""
        return bool(self.supply.between(start_s, end_s) or self.day_tariff.between(start_s, end_s))

    def counted(self, flow: Ints, start_s: int, end_s: int) -> Ints:
        """int64[channels]: what is counted from `start_s` to `end_s` of a flow that is given for a whole interval."""
        counted = flow * seconds_on(start_s, end_s, self.supply) // INTERVAL_S
        in_day_s = seconds_on(start_s, end_s, self.supply, self.day_tariff)
        counted[DAY_TARIFF_CHANNEL] = flow[IMPORT_CHANNEL] * in_day_s // INTERVAL_S
        return counted
