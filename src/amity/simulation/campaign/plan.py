"""What goes wrong in a world and when: drawn from its seed alone, so that a seed is a story that can be told again."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from amity.simulation.campaign.settings import WorldSettings
from amity.simulation.chance import stream


class Trouble(StrEnum):
    """Everything that can go wrong."""

    NODE_KILLED = "head-end node killed"
    NODE_POWER_CUT = "head-end node loses power"
    NODE_FROZEN = "head-end node stands still"
    MDM_KILLED = "MDM ingest killed"
    BROKER_KILLED = "broker killed"
    BROKER_FULL = "broker full"
    METERS_CUT_OFF = "some meters cut off"
    NODE_CUT_OFF = "a head-end node cut off from the meters"
    BROKER_CUT_FROM_NODES = "broker cut off from the head-end"
    BROKER_CUT_FROM_MDM = "broker cut off from the MDM side"
    BAD_LINES = "bad lines"
    LATE_LINES = "late lines"
    OT_DISK_SLOW = "head-end's disk slow"
    IT_DISK_SLOW = "MDM's disk slow"
    OT_DISK_FULL = "head-end's disk full"
    IT_DISK_FULL = "MDM's disk full"
    CLOCKS_JUMP = "the head-end's clocks jump"
    MDM_CLOCK_JUMPS = "the MDM side's clock jumps"
    METER_RESTARTS = "a meter restarts"
    METER_FORGETS = "a meter loses its counters"
    TECHNICIAN = "a technician used the meter's counters"
    PUSHES_REPLAYED = "recorded pushes are replayed"
    SESSION_REPLAYED = "a recorded session is replayed to the meter"
    READ_NOW = "somebody asks for readings now"
    COLLECTOR_KILLED = "a collector killed"
    COLLECTOR_POWER_CUT = "a collector loses power"
    WAN_CUT = "a collector cut off from the head-end"
    NAN_CUT = "a collector cut off from its meters"
    COLLECTOR_DISK_FULL = "a collector's disk full"
    COLLECTOR_DISK_SLOW = "a collector's disk slow"


OF_COLLECTORS: Final = frozenset(
    (
        Trouble.COLLECTOR_KILLED,
        Trouble.COLLECTOR_POWER_CUT,
        Trouble.WAN_CUT,
        Trouble.NAN_CUT,
        Trouble.COLLECTOR_DISK_FULL,
        Trouble.COLLECTOR_DISK_SLOW,
    )
)


_WEIGHT: Final = {
    Trouble.NODE_KILLED: 4,
    Trouble.MDM_KILLED: 2,
    Trouble.OT_DISK_FULL: 2,
    Trouble.PUSHES_REPLAYED: 2,
    Trouble.WAN_CUT: 3,
}
_STEPS_MAX: Final = 60
_LASTS_S: Final = (5.0, 1500.0)


@dataclass(frozen=True, slots=True)
class Event:
    """One trouble: seconds after the start, how long it lasts, and numbers in [0, 1) that say whom and how."""

    at_s: float
    trouble: Trouble
    lasts_s: float
    whom: float
    how: float
    steps: int

    def __str__(self) -> str:
        """As a trace and a failure show it."""
        return f"{self.trouble} for {self.lasts_s:.0f} s"


def plan_of(settings: WorldSettings) -> Sequence[Event]:
    """The troubles of a world in the order of time; all are over when its span is."""
    chance = Random(stream(settings.seed, "plan"))
    kinds = [kind for kind in Trouble if settings.collectors or kind not in OF_COLLECTORS]
    weights = [_WEIGHT.get(kind, 1) for kind in kinds]
    span_s = settings.span.total_seconds()
    events = []
    for trouble in chance.choices(kinds, weights, k=settings.faults):
        at_s = chance.uniform(0.0, span_s * 0.95)
        lasts_s = min(_LASTS_S[0] + (_LASTS_S[1] - _LASTS_S[0]) * chance.random() ** 3, span_s - at_s)
        events.append(Event(at_s, trouble, lasts_s, chance.random(), chance.random(), chance.randrange(_STEPS_MAX)))
    return sorted(events, key=lambda event: event.at_s)
