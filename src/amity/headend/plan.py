"""What one session with a meter is to read: the registers each time, of the profiles what is new and due."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from amity.devices.profiles import DeviceProfile, Form
from amity.headend.ports import Progress
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY, epoch_s, from_epoch_s

BILLING_PROFILE: Final = Obis.parse("1.0.98.1.0.255")
"""Data of billing period 1 (IEC 62056-6-1): snapshots of the registers."""
_REGISTER_CLASSES: Final = frozenset({3, 4})


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
    when intervals after `intervals_until` have ended too.
    """

    registers: tuple[tuple[int, Obis], ...]
    intervals_from: datetime | None
    intervals_until: datetime | None
    snapshots_after: datetime | None
    events_after: datetime
    meets_unknown_past: bool
    more_past: bool


def make_plan(profile: DeviceProfile, progress: Progress, now: datetime, rules: ReadingRules) -> Plan:
    """Plan the session that would take place now."""
    start, newest_end = _intervals(profile, progress, now, rules)
    until = min(newest_end, start + rules.session_span)
    midnight = from_epoch_s(epoch_s(now - rules.settle) // SECONDS_PER_DAY * SECONDS_PER_DAY)
    snapshots_after = progress.registers_until or now - rules.first_read
    return Plan(
        registers=registers_of(profile),
        intervals_from=start if start < until else None,
        intervals_until=until if start < until else None,
        snapshots_after=snapshots_after if snapshots_after < midnight else None,
        events_after=progress.events_until or now - rules.first_read,
        meets_unknown_past=progress.intervals_until is None,
        more_past=until < newest_end,
    )


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
