"""What is said in one session once the association stands: name, time, registers, profiles, events."""

from collections.abc import Callable
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
    """

    clock_offset_s: int
    registers: tuple[RegisterReadout, ...]
    load_profile: ProfileReadout | None
    billing_profile: ProfileReadout | None
    event_log: ProfileReadout | None
    refusals: tuple[str, ...]


@dataclass(slots=True)
class KnownLayouts:
    """What the columns of a meter's profiles are, remembered between sessions."""

    layouts: dict[Obis, ProfileLayout] = field(default_factory=dict)

    def forget(self) -> None:
        """Read them again next time: what came did not fit."""
        self.layouts.clear()


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
        load = yield from self._optional(self._load_profile(plan))
        events = yield from self._optional(self._event_log(plan))
        return MeterReadout(round(offset.total_seconds()), registers, load, billing, events, tuple(self._refusals))

    def _begin(self, meter_id: str, plan: Plan) -> Conversation[_Beginning]:
        """Clock offset and registers, once it is sure whose they are; in one request where the meter takes it."""
        together = read_in_one_request(self._session, plan.registers)
        if together is None:
            return (yield from self._begin_one_by_one(meter_id, plan))
        asked_at = self._now()
        first = yield from together
        offset = self._offset(first.clock, asked_at)
        _check_name(first.name, meter_id)
        return offset, first.registers

    def _begin_one_by_one(self, meter_id: str, plan: Plan) -> Conversation[_Beginning]:
        _check_name((yield from read_logical_device_name(self._session)), meter_id)
        asked_at = self._now()
        offset = self._offset((yield from read_clock(self._session)), asked_at)
        return offset, (yield from read_registers(self._session, plan.registers))

    def _offset(self, clock: ClockReadout, asked_at: datetime) -> timedelta:
        """The meter's time against the middle of the exchange that brought it, which has just ended."""
        return clock.to_utc(self._profile.clock) - (asked_at + (self._now() - asked_at) / 2)

    def _load_profile(self, plan: Plan) -> Conversation[ProfileReadout | None]:
        """One row more before the range: totals are differenced against it."""
        if plan.intervals_from is None or plan.intervals_until is None:
            return None
        rules = self._profile.load_profile
        period = timedelta(seconds=rules.capture_period_s)
        first, last = stamp_range(plan.intervals_from - period, plan.intervals_until, rules)
        return (yield from self._profile_rows(rules.obis, first, last, rules.access))

    def _billing_profile(self, plan: Plan) -> Conversation[ProfileReadout | None]:
        if plan.snapshots_after is None:
            return None
        access = self._profile.load_profile.access
        return (yield from self._profile_rows(BILLING_PROFILE, plan.snapshots_after, self._now(), access))

    def _event_log(self, plan: Plan) -> Conversation[ProfileReadout]:
        obis, access = self._profile.event_log.obis, self._profile.load_profile.access
        return (yield from self._profile_rows(obis, plan.events_after, self._now() + _CLOCK_AHEAD, access))

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
