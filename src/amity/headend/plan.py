"""What one session with a meter is to read: the registers it is asked for, of the profiles what is new and due."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from amity.devices.profiles import DeviceProfile, Form
from amity.domain.spans import TimeSpan
from amity.headend.ports import Progress
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY, epoch_s, from_epoch_s

BILLING_PROFILE: Final = Obis.parse("1.0.98.1.0.255")
"""Data of billing period 1 (IEC 62056-6-1): snapshots of the registers."""
TOTAL_IMPORT: Final = Obis.parse("1.0.1.8.0.255")
_REGISTER_CLASSES: Final = frozenset({3, 4})


class Part(Enum):
    """What a session can be asked for; the meter's name and clock are read in each."""

    TOTAL = auto()  # one register: that the meter answers, and what it counts
    REGISTERS = auto()  # each by itself, and their snapshots in the billing profile
    INTERVALS = auto()
    EVENTS = auto()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one session is asked for: of the parts what is new, and stretches of the load profile that are missing."""

    parts: frozenset[Part] = frozenset({Part.REGISTERS, Part.INTERVALS, Part.EVENTS})
    stretches: tuple[TimeSpan, ...] = ()


EVERYTHING: Final = Wanted()


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """How much is read at a time.

    `first_read` is how far back a meter is read at first contact; later everything since the last session, as far as
    its profile holds it. One session reads at most `session_span` of load profile, so that a long gap is made up in
    pieces that are safe one by one. A row counts as due `settle` after its interval ended. A clock that is off by more
    than `clock_tolerance` makes the values of its session suspect.
    """

    first_read: timedelta = timedelta(days=3)
    session_span: timedelta = timedelta(days=7)
    settle: timedelta = timedelta(seconds=5)
    clock_tolerance: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read: [intervals_from, intervals_until) of the load profile, snapshots and events after an instant.

    `intervals_from` is where the first wanted interval starts. None leaves a profile out.
    `meets_unknown_past` is true at first contact: the meter may be younger than what is asked for. `more_past` is true
    when intervals after `intervals_until` have ended too. `stretches` are asked for besides. `lost` was never read and
    is older than anything that the meter keeps.
    """

    registers: tuple[tuple[int, Obis], ...]
    intervals_from: datetime | None
    intervals_until: datetime | None
    snapshots_after: datetime | None
    events_after: datetime | None
    meets_unknown_past: bool
    more_past: bool
    stretches: tuple[TimeSpan, ...] = ()
    lost: TimeSpan | None = None


def make_plan(
    profile: DeviceProfile, progress: Progress, now: datetime, rules: ReadingRules, wanted: Wanted = EVERYTHING
) -> Plan:
    """Plan the session that would take place now."""
    parts, known_until = wanted.parts, progress.intervals_until
    start, newest_end = _intervals(profile, progress, now, rules)
    until = min(newest_end, start + rules.session_span)
    with_intervals = Part.INTERVALS in parts and start < until
    midnight = from_epoch_s(epoch_s(now - rules.settle) // SECONDS_PER_DAY * SECONDS_PER_DAY)
    snapshots_after = progress.registers_until or now - rules.first_read
    return Plan(
        registers=_registers(profile, parts),
        intervals_from=start if with_intervals else None,
        intervals_until=until if with_intervals else None,
        snapshots_after=snapshots_after if Part.REGISTERS in parts and snapshots_after < midnight else None,
        events_after=(progress.events_until or now - rules.first_read) if Part.EVENTS in parts else None,
        meets_unknown_past=known_until is None,
        more_past=with_intervals and until < newest_end,
        stretches=tuple(_ended(wanted.stretches, profile.load_profile.capture_period_s, newest_end)),
        lost=TimeSpan(known_until, start)
        if with_intervals and known_until is not None and known_until < start
        else None,
    )


def _registers(profile: DeviceProfile, parts: frozenset[Part]) -> tuple[tuple[int, Obis], ...]:
    known = registers_of(profile)
    if Part.REGISTERS in parts:
        return known
    return tuple(one for one in known if one[1] == TOTAL_IMPORT) if Part.TOTAL in parts else ()


def _ended(stretches: Iterable[TimeSpan], period_s: int, newest_end: datetime) -> Iterator[TimeSpan]:
    """The intervals that begin in them and have ended, as spans on the grid."""
    for one in stretches:
        start, end = _floor(one.start, period_s), min(_floor(one.end, period_s), newest_end)
        if start < end:
            yield TimeSpan(start, end)


def _intervals(
    profile: DeviceProfile, progress: Progress, now: datetime, rules: ReadingRules
) -> tuple[datetime, datetime]:
    period_s = profile.load_profile.capture_period_s
    kept = timedelta(seconds=period_s * profile.load_profile.entries_max)
    newest_end = _floor(now - rules.settle, period_s)
    start = _floor(max(progress.intervals_until or now - rules.first_read, newest_end - kept), period_s)
    return start, newest_end


def _floor(instant: datetime, period_s: int) -> datetime:
    return from_epoch_s(epoch_s(instant) // period_s * period_s)


def registers_of(profile: DeviceProfile) -> tuple[tuple[int, Obis], ...]:
    """Class and name of the objects that are read by themselves."""
    return tuple(
        (measured.class_id, measured.obis)
        for measured in profile.objects
        if measured.form in {Form.TOTAL, Form.INSTANT} and measured.class_id in _REGISTER_CLASSES
    )
