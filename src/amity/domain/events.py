"""What meters say on their own: entries of the event log and alarms."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EventKind(StrEnum):
    """Event kinds after normalisation; the meter's own code stands beside it."""

    POWER_DOWN = "power-down"
    POWER_UP = "power-up"
    CLOCK_ADJUSTED = "clock-adjusted"
    CLOCK_INVALID = "clock-invalid"
    COVER_OPENED = "cover-opened"
    TERMINAL_COVER_OPENED = "terminal-cover-opened"
    MAGNETIC_FIELD = "magnetic-field"
    VOLTAGE_HIGH = "voltage-high"
    VOLTAGE_LOW = "voltage-low"
    WATCHDOG = "watchdog"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class MeterEvent:
    """One event of one meter: `code` is the meter's own number, `at` its time in UTC, `pushed` if it called in."""

    kind: EventKind
    code: int
    at: datetime
    text: str = ""
    pushed: bool = False
    evidence: tuple[int, ...] = ()
