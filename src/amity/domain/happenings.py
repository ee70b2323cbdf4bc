"""One happening, told more than once: the alarm bit that a meter pushes, and the entry that its log keeps of the same.

Nothing in the bit names the entry. They are taken for one happening of a meter when
* one is a bit of an alarm register or descriptor, the other an entry of a log;
* they say the same: same class and same words (what a table calls both), or the bit only says that somebody tampers and
  the entry is a tamper alarm;
* the bit came at most BEFORE ahead of the entry's stamp or AFTER behind it. Of several entries it is the nearest.
A bit told again within AFTER of its first telling is the same happening too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from amity.domain.events import EventClass, EventKind, MeterEvent, Severity, is_alarm_register

BEFORE: Final = timedelta(minutes=1)
"""A bit bears the time of its push, the entry that of its happening: ahead it is by the resolution of clocks alone."""
AFTER: Final = timedelta(minutes=15)
"""Meters push alarms at random within a window, and again when nobody confirms."""


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened once: `event` tells it best (the entry, else the first bit), `also` the other tellings by time."""

    event: MeterEvent
    also: tuple[MeterEvent, ...] = ()

    @property
    def tellings(self) -> tuple[MeterEvent, ...]:
        """All who tell it, the best first."""
        return (self.event, *self.also)


@dataclass(frozen=True, slots=True)
class Outage:
    """No power at one meter: from `began`, to `ended` unless it lasts or its end was not told."""

    began: datetime
    ended: datetime | None
    told_by: tuple[MeterEvent, ...]

    @property
    def lasted(self) -> timedelta | None:
        """How long; None for one without an end."""
        return None if self.ended is None else self.ended - self.began


def happenings(events: Iterable[MeterEvent]) -> tuple[Happening, ...]:
    """What happened to one meter, by time, of all that was told of it in whatever order."""
    ordered = sorted(events, key=lambda one: (one.at, one.log, one.code, one.occurrence))
    told = [[one] for one in ordered if _is_entry(one)]
    entries = len(told)
    for bit in (one for one in ordered if not _is_entry(one)):
        near = [one for one in told[:entries] if _tells_of(bit, one[0])]
        again = [one for one in told[entries:] if _tells_again(bit, one[0])]
        if near:
            min(near, key=lambda one: abs(bit.at - one[0].at)).append(bit)
        elif again:
            again[-1].append(bit)
        else:
            told.append([bit])
    found = (Happening(one[0], tuple(one[1:])) for one in told)
    return tuple(sorted(found, key=lambda one: one.event.at))


def outages(events: Iterable[MeterEvent]) -> tuple[Outage, ...]:
    """The outages of one meter by time: a loss of power, told once or often, up to the next return.

    A return before which no loss was told ends nothing. A loss that the log enters after another one has a return
    between them that was not told: the first stays without an end.
    """
    found: list[Outage] = []
    lasting: tuple[MeterEvent, ...] = ()
    for one in happenings(events):
        if one.event.kind is EventKind.POWER_DOWN:
            if lasting and _is_entry(one.event) and any(map(_is_entry, lasting)):
                found.append(Outage(lasting[0].at, None, lasting))
                lasting = ()
            lasting = (*lasting, *one.tellings)
        elif one.event.kind is EventKind.POWER_UP and lasting:
            found.append(Outage(lasting[0].at, one.event.at, (*lasting, *one.tellings)))
            lasting = ()
    return (*found, Outage(lasting[0].at, None, lasting)) if lasting else tuple(found)


def _is_entry(event: MeterEvent) -> bool:
    return not is_alarm_register(event.log)


def _tells_of(bit: MeterEvent, entry: MeterEvent) -> bool:
    return -BEFORE <= bit.at - entry.at <= AFTER and bit.event_class is entry.event_class and _says_the_same(bit, entry)


def _says_the_same(bit: MeterEvent, entry: MeterEvent) -> bool:
    if bit.kind is EventKind.FRAUD_ATTEMPT:
        return entry.event_class is EventClass.TAMPER and entry.severity is Severity.ALARM
    return bool(bit.text) and bit.text.casefold() == entry.text.casefold()


def _tells_again(bit: MeterEvent, first: MeterEvent) -> bool:
    return (bit.log, bit.code) == (first.log, first.code) and bit.at - first.at <= AFTER
