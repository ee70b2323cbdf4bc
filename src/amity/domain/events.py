"""What meters say on their own: entries of event logs and alarms, as domain events that are one however often told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

from amity.kernel.time import isoformat

STANDARD_LOG: Final = "standard"
"""The log that every meter has, and that of an event of which no log is named."""
_ID_DIGITS: Final = 32
_ALARM_REGISTERS: Final = "alarm-"


class EventKind(StrEnum):
    """Event kinds after normalisation; the meter's own code stands beside it."""

    POWER_DOWN = "power-down"
    POWER_UP = "power-up"
    CLOCK_ADJUSTED = "clock-adjusted"
    CLOCK_INVALID = "clock-invalid"
    COVER_OPENED = "cover-opened"
    TERMINAL_COVER_OPENED = "terminal-cover-opened"
    MAGNETIC_FIELD = "magnetic-field"
    FRAUD_ATTEMPT = "fraud-attempt"
    VOLTAGE_HIGH = "voltage-high"
    VOLTAGE_LOW = "voltage-low"
    WATCHDOG = "watchdog"
    OTHER = "other"


class EventClass(StrEnum):
    """What an event is about: who in the utility has to know."""

    POWER = "power"
    VOLTAGE = "voltage"
    TAMPER = "tamper"
    CLOCK = "clock"
    FIRMWARE = "firmware"
    COMMUNICATION = "communication"
    RELAY = "relay"
    OTHER = "other"


class Severity(StrEnum):
    """How soon somebody has to know: an ALARM travels ahead of everything else."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class EventMeaning:
    """What a code means; `text` in plain words, empty where nobody knows."""

    event_class: EventClass
    severity: Severity
    text: str = ""
    kind: EventKind = EventKind.OTHER


UNKNOWN_MEANING: Final = EventMeaning(EventClass.OTHER, Severity.INFO)

MEANING_OF: Final[Mapping[EventKind, EventMeaning]] = {
    meaning.kind: meaning
    for meaning in (
        EventMeaning(EventClass.POWER, Severity.ALARM, "power lost", EventKind.POWER_DOWN),
        EventMeaning(EventClass.POWER, Severity.INFO, "power back", EventKind.POWER_UP),
        EventMeaning(EventClass.CLOCK, Severity.INFO, "clock adjusted", EventKind.CLOCK_ADJUSTED),
        EventMeaning(EventClass.CLOCK, Severity.WARNING, "clock invalid", EventKind.CLOCK_INVALID),
        EventMeaning(EventClass.TAMPER, Severity.ALARM, "meter cover opened", EventKind.COVER_OPENED),
        EventMeaning(EventClass.TAMPER, Severity.ALARM, "terminal cover opened", EventKind.TERMINAL_COVER_OPENED),
        EventMeaning(EventClass.TAMPER, Severity.ALARM, "strong magnetic field", EventKind.MAGNETIC_FIELD),
        EventMeaning(EventClass.TAMPER, Severity.ALARM, "fraud attempt", EventKind.FRAUD_ATTEMPT),
        EventMeaning(EventClass.VOLTAGE, Severity.WARNING, "voltage high", EventKind.VOLTAGE_HIGH),
        EventMeaning(EventClass.VOLTAGE, Severity.WARNING, "voltage low", EventKind.VOLTAGE_LOW),
        EventMeaning(EventClass.OTHER, Severity.WARNING, "restarted by its watchdog", EventKind.WATCHDOG),
        UNKNOWN_MEANING,
    )
}
"""What a kind means where no table says more."""


@dataclass(frozen=True, slots=True)
class MeterEvent:
    """One event of one meter: `code` is the meter's own number, `at` its time in UTC, `pushed` if it called in.

    `log` is where the meter keeps it, or the alarm register whose bit `code` is. `occurrence` counts from 0 the entries
    of one log that have the same stamp and code. A code that no table names has an empty `text`.
    """

    kind: EventKind
    code: int
    at: datetime
    text: str = ""
    pushed: bool = False
    evidence: tuple[int, ...] = ()
    log: str = STANDARD_LOG
    occurrence: int = 0
    event_class: EventClass = EventClass.OTHER
    severity: Severity = Severity.INFO


def is_alarm_register(log: str) -> bool:
    """True for the name of an alarm register, whose codes are bits; False for that of a log."""
    return log.startswith(_ALARM_REGISTERS)


def event_id(meter_id: str, event: MeterEvent) -> str:
    """Who it is, whatever brought it and however often: 32 hexadecimal digits of meter, log, stamp, code, occurrence.

    How it was told and what a table makes of the code do not count: these change while the event stays the same.
    """
    said = "\0".join((meter_id, event.log, isoformat(event.at), str(event.code), str(event.occurrence)))
    return sha256(said.encode()).hexdigest()[:_ID_DIGITS]
