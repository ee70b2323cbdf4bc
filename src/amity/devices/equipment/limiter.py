"""A load limiter (class 71): watches a value, acts when it was above its threshold for long enough, and below it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from amity.devices.cosem import fields
from amity.devices.cosem.limits import (
    LIMITER_OBIS,
    NO_EMERGENCY,
    NOTHING,
    EmergencyProfile,
    MonitoredValue,
    ScriptCall,
)
from amity.devices.equipment.minutes import Minutes
from amity.devices.equipment.script_table import Run
from amity.devices.equipment.stored import Accept, StoredObject
from amity.devices.interface_classes import LIMITER
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import (
    Data,
    Tag,
    array,
    boolean,
    double_long_unsigned,
    long_unsigned,
    structure,
)

Measure = Callable[[datetime], int]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a limiter is set to; thresholds in the unit and scale of the monitored value."""

    monitored: MonitoredValue
    normal: int
    emergency: int
    over_s: int = 0
    under_s: int = 0
    emergency_profile: EmergencyProfile = NO_EMERGENCY
    groups: tuple[int, ...] = ()
    over: ScriptCall = NOTHING
    under: ScriptCall = NOTHING


class Limiter:
    """The value is looked at once a minute; a script runs when its side of the threshold has lasted long enough."""

    def __init__(self, limits: Limits, measure: Measure, run: Run, started: datetime) -> None:
        self.limits = limits
        self._measure = measure
        self._run = run
        self._minutes = Minutes(started)
        self._above = False  # the side that the last script was run for
        self._turned_at: datetime | None = None  # since when the value has been on the other side

    def advance(self, now: datetime) -> None:
        """Look at every minute until `now`; without anything to do there is nothing to look for."""
        if self.limits.over == self.limits.under == NOTHING:
            self._minutes.skip_to(now)
            return
        for minute in self._minutes.until(now):
            self._look(minute)

    def emergency_active(self, now: datetime) -> bool:
        """True while an emergency profile of one of this meter's groups is in force."""
        profile = self.limits.emergency_profile
        if not profile.duration_s or profile.profile_id not in self.limits.groups or profile.start.year is None:
            return False
        return 0 <= (now - profile.start.to_utc(0)).total_seconds() < profile.duration_s

    def threshold(self, now: datetime) -> int:
        """The threshold that holds."""
        return self.limits.emergency if self.emergency_active(now) else self.limits.normal

    def _look(self, at: datetime) -> None:
        above = self._measure(at) > self.threshold(at)
        if above is self._above:
            self._turned_at = None
            return
        self._turned_at = self._turned_at or at
        patience_s = self.limits.over_s if above else self.limits.under_s
        if (at - self._turned_at).total_seconds() >= patience_s:
            self._above, self._turned_at = above, None
            self._run(self.limits.over if above else self.limits.under, at)


def limiter_object(limiter: Limiter, obis: Obis = LIMITER_OBIS) -> StoredObject:
    """Class 71: the limiter as the head-end sees and sets it; thresholds are double-long-unsigned."""

    def change(name: str, read: Callable[[Data], object]) -> Accept:
        def accept(value: Data, _now: datetime) -> None:
            limiter.limits = replace(limiter.limits, **{name: read(value)})  # type: ignore[arg-type]  # read gives it

        return accept

    def actions(value: Data, _now: datetime) -> None:
        over, under = fields.parts(value, 2, "actions")
        limiter.limits = replace(limiter.limits, over=ScriptCall.from_data(over), under=ScriptCall.from_data(under))

    return StoredObject(
        LIMITER,
        obis,
        _shown(limiter),
        accept={
            "monitored_value": change("monitored", MonitoredValue.from_data),
            "threshold_normal": change("normal", _level),
            "threshold_emergency": change("emergency", _level),
            "min_over_threshold_duration": change("over_s", _level),
            "min_under_threshold_duration": change("under_s", _level),
            "emergency_profile": change("emergency_profile", _emergency),
            "emergency_profile_group_id_list": change("groups", _groups),
            "actions": actions,
        },
    )


def _level(value: Data) -> int:
    return fields.number(value, "threshold or duration", Tag.DOUBLE_LONG_UNSIGNED)


def _emergency(value: Data) -> EmergencyProfile:
    profile = EmergencyProfile.from_data(value)
    if profile.start.year is not None:
        profile.start.to_utc(0)  # refuses a start that names no moment
    return profile


def _groups(value: Data) -> tuple[int, ...]:
    return fields.elements(value, lambda item: fields.number(item, "group id", Tag.LONG_UNSIGNED), "groups")


def _shown(limiter: Limiter) -> dict[str, Callable[[datetime], Data]]:
    def of(show: Callable[[Limits], Data]) -> Callable[[datetime], Data]:
        return lambda _now: show(limiter.limits)

    return {
        "monitored_value": of(lambda limits: limits.monitored.to_data()),
        "threshold_active": lambda now: double_long_unsigned(limiter.threshold(now)),
        "threshold_normal": of(lambda limits: double_long_unsigned(limits.normal)),
        "threshold_emergency": of(lambda limits: double_long_unsigned(limits.emergency)),
        "min_over_threshold_duration": of(lambda limits: double_long_unsigned(limits.over_s)),
        "min_under_threshold_duration": of(lambda limits: double_long_unsigned(limits.under_s)),
        "emergency_profile": of(lambda limits: limits.emergency_profile.to_data()),
        "emergency_profile_group_id_list": of(lambda limits: array(long_unsigned(group) for group in limits.groups)),
        "emergency_profile_active": lambda now: boolean(limiter.emergency_active(now)),
        "actions": of(lambda limits: structure(limits.over.to_data(), limits.under.to_data())),
    }
