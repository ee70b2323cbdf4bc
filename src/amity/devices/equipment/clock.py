"""A clock that can be set and adjusted (class 8)."""

from collections.abc import Callable
from datetime import datetime, timedelta

from amity.devices.cosem import fields
from amity.devices.cosem.clock import SHIFT_S_MAX
from amity.devices.equipment.stored import StoredObject
from amity.devices.interface_classes import CLOCK
from amity.devices.objects import NOT_SPECIFIED_TIME, Answer, Source
from amity.kernel.errors import LocalProtocolError
from amity.kernel.obis import Obis
from amity.kernel.time import from_epoch_s
from amity.protocols.dlms.data import Data, boolean, enum, integer, long, octet_string, unsigned
from amity.protocols.dlms.results import ActionResult

_QUARTER_S, _MINUTE_S = 900, 60
_INTERNAL_CRYSTAL = 1
_YEARS = range(1990, 2130)

Shown = Callable[[datetime], datetime]
Render = Callable[[datetime, datetime], Answer]
"""How an instant is written: (what the clock shows, the true instant of asking)."""


class AdjustableClock:
    """What the clock shows: the instant `runs` gives, and what it has been corrected by.

    `adjusted` is told the new correction with the instant.
    """

    def __init__(
        self,
        runs: Shown,
        *,
        measuring_period_s: int = _QUARTER_S,
        adjusted: Callable[[timedelta, datetime], None] | None = None,
    ) -> None:
        self._runs = runs
        self._measuring_period_s = measuring_period_s
        self._adjusted = adjusted
        self.correction = timedelta(0)
        self._preset: tuple[datetime, datetime, datetime] | None = None

    def shows(self, now: datetime) -> datetime:
        """What it shows at an instant."""
        return self._runs(now) + self.correction

    def set_to(self, shown: datetime, now: datetime) -> None:
        """Show this from now on; raise LocalProtocolError for a year in which no meter stands."""
        if shown.year not in _YEARS:
            raise LocalProtocolError(f"a clock is not set to the year {shown.year}")
        self.correction += shown - self.shows(now)
        if self._adjusted is not None:
            self._adjusted(self.correction, now)

    def shift(self, seconds: int, now: datetime) -> None:
        """Move it; raise LocalProtocolError for more than 15 minutes."""
        if abs(seconds) > SHIFT_S_MAX:
            raise LocalProtocolError(f"a clock is shifted by {SHIFT_S_MAX} s at most, not by {seconds}")
        self.set_to(self.shows(now) + timedelta(seconds=seconds), now)

    def round_to(self, period_s: int, now: datetime) -> None:
        """Set it to the nearest multiple of a period."""
        shown_s = self.shows(now).timestamp()
        self.set_to(from_epoch_s(int((shown_s + period_s / 2) // period_s) * period_s), now)

    def round_to_measuring_period(self, now: datetime) -> None:
        """Set it to the nearest start of a measuring period."""
        self.round_to(self._measuring_period_s, now)

    def preset(self, to: datetime, valid_from: datetime, valid_to: datetime) -> None:
        """Remember a time for `go_to_preset`."""
        self._preset = to, valid_from, valid_to

    def go_to_preset(self, now: datetime) -> None:
        """Set it to the time remembered; raise LocalProtocolError outside its validity by this clock."""
        if self._preset is None:
            raise LocalProtocolError("no adjusting time was preset")
        to, valid_from, valid_to = self._preset
        if not valid_from <= self.shows(now) <= valid_to:
            raise LocalProtocolError("the preset adjusting time is not valid now")
        self.set_to(to, now)


def clock_object(
    clock: AdjustableClock, obis: Obis, render: Render, *, deviation_min: int, status: Source | None = None
) -> StoredObject:
    """Class 8 without daylight saving; `deviation_min` are the minutes from local time to UTC (attribute time_zone)."""
    never = octet_string(NOT_SPECIFIED_TIME)

    def instant(value: Data) -> datetime:
        return fields.date_time(value, "date-time").to_utc(deviation_min)

    def take(value: Data, now: datetime) -> None:
        clock.set_to(instant(value), now)

    def preset(value: Data, _now: datetime) -> ActionResult:
        clock.preset(*(instant(part) for part in fields.parts(value, 3, "preset adjusting time")))
        return ActionResult.SUCCESS

    def shift(value: Data, now: datetime) -> ActionResult:
        clock.shift(fields.number(value, "shift"), now)
        return ActionResult.SUCCESS

    def done(adjust: Callable[[datetime], None]) -> Callable[[Data, datetime], ActionResult]:
        def call(_parameter: Data, now: datetime) -> ActionResult:
            adjust(now)
            return ActionResult.SUCCESS

        return call

    return StoredObject(
        CLOCK,
        obis,
        {
            "time": lambda now: render(clock.shows(now), now),
            "time_zone": long(deviation_min),
            "status": unsigned(0) if status is None else status,
            "daylight_savings_begin": never,
            "daylight_savings_end": never,
            "daylight_savings_deviation": integer(0),
            "daylight_savings_enabled": boolean(False),
            "clock_base": enum(_INTERNAL_CRYSTAL),
        },
        accept={"time": take},
        methods={
            "adjust_to_quarter": done(lambda now: clock.round_to(_QUARTER_S, now)),
            "adjust_to_measuring_period": done(clock.round_to_measuring_period),
            "adjust_to_minute": done(lambda now: clock.round_to(_MINUTE_S, now)),
            "adjust_to_preset_time": done(clock.go_to_preset),
            "preset_adjusting_time": preset,
            "shift_time": shift,
        },
    )
