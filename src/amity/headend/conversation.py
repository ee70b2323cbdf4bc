"""What is said in one session once the association stands: name, time, registers, profiles, events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from amity.devices.client import AttributeRefusedError, Conversation, Session
from amity.devices.profiles import DeviceProfile, Selector
from amity.devices.readout import (
    ClockReadout,
    ProfileLayout,
    ProfileReadout,
    RegisterReadout,
    read_clock,
    read_in_one_request,
    read_logical_device_name,
    read_profile,
    read_profile_layout,
    read_registers,
    stamp_range,
)
from amity.domain.spans import TimeSpan
from amity.headend.plan import BILLING_PROFILE, Plan
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis

_Beginning = tuple[timedelta, tuple[RegisterReadout, ...]]

_CLOCK_AHEAD: Final = timedelta(days=1)
"""An event log is read this far into the future: a meter whose clock is ahead writes there."""


@dataclass(frozen=True, slots=True)
class MeterReadout:
    """All that a meter gave in one session; a profile is None when it was not due or the meter refused it.

    `clock_offset_s` is the meter's clock minus ours. `refusals` are the meter's words on what it did not give.
    `stretches` are those of the plan, in its order.
    """

    clock_offset_s: int
    registers: tuple[RegisterReadout, ...]
    load_profile: ProfileReadout | None
    billing_profile: ProfileReadout | None
    event_log: ProfileReadout | None
    refusals: tuple[str, ...]
    stretches: tuple[ProfileReadout | None, ...] = ()
    other_event_logs: tuple[ProfileReadout, ...] = ()


@dataclass(slots=True)
class KnownLayouts:
    """What the columns of a meter's profiles are, remembered between sessions."""

    layouts: dict[Obis, ProfileLayout] = field(default_factory=dict)
    absent: set[Obis] = field(default_factory=set)

    def forget(self) -> None:
        """Read them again next time: what came did not fit."""
        self.layouts.clear()
        self.absent.clear()


def read_clock_offset(session: Session, profile: DeviceProfile, now: Callable[[], datetime]) -> Conversation[timedelta]:
    """The meter's time against the middle of the exchange that brought it."""
    asked_at = now()
    clock = yield from read_clock(session)
    return _offset(clock, profile, asked_at, now())


def _offset(clock: ClockReadout, profile: DeviceProfile, asked_at: datetime, answered_at: datetime) -> timedelta:
    return clock.to_utc(profile.clock) - (asked_at + (answered_at - asked_at) / 2)


class MeterConversation:
    """The conversation with one meter by its profile, as generators over an open association."""

    def __init__(
        self, session: Session, profile: DeviceProfile, layouts: KnownLayouts, now: Callable[[], datetime]
    ) -> None:
        self._session = session
        self._profile = profile
        self._layouts = layouts
        self._now = now
        self._refusals: list[str] = []

    def read(self, meter_id: str, plan: Plan) -> Conversation[MeterReadout]:
        """Carry the plan out.

        Raises:
            ConfigurationError: another meter than `meter_id` answers.
            AmityError: whatever the exchanges raise; the session is then over.
        """
        offset, registers = yield from self._begin(meter_id, plan)
        billing = yield from self._optional(self._billing_profile(plan))
        load = yield from self._optional(self._load_profile(plan.intervals_from, plan.intervals_until))
        stretches = yield from self._stretches(plan.stretches)
        events = yield from self._optional(self._event_log(plan))
        others = yield from self._other_event_logs(plan)
        return MeterReadout(
            clock_offset_s=round(offset.total_seconds()),
            registers=registers,
            load_profile=load,
            billing_profile=billing,
            event_log=events,
            refusals=tuple(self._refusals),
            stretches=stretches,
            other_event_logs=others,
        )

    def _begin(self, meter_id: str, plan: Plan) -> Conversation[_Beginning]:
        """Clock offset and registers, once it is sure whose they are; in one request where the meter takes it."""
        together = read_in_one_request(self._session, plan.registers)
        if together is None:
            return (yield from self._begin_one_by_one(meter_id, plan))
        asked_at = self._now()
        first = yield from together
        offset = _offset(first.clock, self._profile, asked_at, self._now())
        _check_name(first.name, meter_id)
        return offset, first.registers

    def _begin_one_by_one(self, meter_id: str, plan: Plan) -> Conversation[_Beginning]:
        _check_name((yield from read_logical_device_name(self._session)), meter_id)
        offset = yield from read_clock_offset(self._session, self._profile, self._now)
        return offset, (yield from read_registers(self._session, plan.registers)) if plan.registers else ()

    def _load_profile(self, start: datetime | None, until: datetime | None) -> Conversation[ProfileReadout | None]:
        """One row more before the range: totals are differenced against it."""
        if start is None or until is None:
            return None
        rules = self._profile.load_profile
        period = timedelta(seconds=rules.capture_period_s)
        first, last = stamp_range(start - period, until, rules)
        return (yield from self._profile_rows(rules.obis, first, last, rules.access))

    def _stretches(self, spans: Sequence[TimeSpan]) -> Conversation[tuple[ProfileReadout | None, ...]]:
        read: list[ProfileReadout | None] = []
        for span in spans:
            rows = yield from self._optional(self._load_profile(*span))
            read.append(rows)
        return tuple(read)

    def _billing_profile(self, plan: Plan) -> Conversation[ProfileReadout | None]:
        if plan.snapshots_after is None:
            return None
        access = self._profile.load_profile.access
        return (yield from self._profile_rows(BILLING_PROFILE, plan.snapshots_after, self._now(), access))

    def _event_log(self, plan: Plan) -> Conversation[ProfileReadout | None]:
        if plan.events_after is None:
            return None
        return (yield from self._log_rows(self._profile.event_log.obis, plan.events_after))

    def _other_event_logs(self, plan: Plan) -> Conversation[tuple[ProfileReadout, ...]]:
        """Those that the model may have beside the first; a meter without one of them lacks nothing."""
        found: list[ProfileReadout] = []
        for obis in self._profile.event_log.others if plan.events_after is not None else ():
            if obis in self._layouts.absent:
                continue
            try:
                found.append((yield from self._log_rows(obis, plan.events_after or self._now())))
            except AttributeRefusedError:
                self._layouts.absent.add(obis)
        return tuple(found)

    def _log_rows(self, obis: Obis, after: datetime) -> Conversation[ProfileReadout]:
        access = self._profile.load_profile.access
        return (yield from self._profile_rows(obis, after, self._now() + _CLOCK_AHEAD, access))

    def _profile_rows(
        self, obis: Obis, first: datetime, last: datetime, access: tuple[Selector, ...]
    ) -> Conversation[ProfileReadout]:
        layout = self._layouts.layouts.get(obis)
        if layout is None:
            layout = yield from read_profile_layout(self._session, obis)
            self._layouts.layouts[obis] = layout
        return (
            yield from read_profile(
                self._session, layout, first, last, clock=self._profile.clock, access=access, now=self._now()
            )
        )

    def _optional(self, part: Conversation[ProfileReadout | None]) -> Conversation[ProfileReadout | None]:
        """A profile that the meter refuses does not spoil the rest of the session."""
        try:
            return (yield from part)
        except AttributeRefusedError as refusal:
            self._refusals.append(refusal.what)
            return None


def _check_name(name: str, meter_id: str) -> None:
    if name != meter_id:
        raise ConfigurationError(
            f"meter {name} answers where {meter_id} was expected",
            next_step=f"correct the address of {meter_id}: its readings were not taken from here",
        )
