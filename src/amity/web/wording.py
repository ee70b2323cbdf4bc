"""How numbers, times and conditions are written for people, in the town's own time zone."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from amity.domain.collection import Outcome
from amity.domain.events import EventKind
from amity.usecases.condition import Condition

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
TIMES = "\N{MULTIPLICATION SIGN}"

CONDITION_WORDS = {
    Condition.ANSWERED: "answered",
    Condition.INCOMPLETE: "incomplete",
    Condition.FAILING: "failing",
    Condition.SILENT: "silent",
    Condition.WAITING: "not tried yet",
}
OUTCOME_WORDS = {
    Outcome.COMPLETE: "complete",
    Outcome.PARTIAL: "incomplete",
    Outcome.PUSHED: "called in",
    Outcome.REFUSED: "refused",
    Outcome.SILENT: "silent",
    Outcome.BROKEN: "broke off",
    Outcome.REJECTED: "rejected us",
    Outcome.WRONG_KEY: "wrong key",
}
EVENT_WORDS = {
    EventKind.POWER_DOWN: "power lost",
    EventKind.POWER_UP: "power back",
    EventKind.CLOCK_ADJUSTED: "clock adjusted",
    EventKind.CLOCK_INVALID: "clock invalid",
    EventKind.COVER_OPENED: "cover opened",
    EventKind.TERMINAL_COVER_OPENED: "terminal cover opened",
    EventKind.MAGNETIC_FIELD: "magnetic field",
    EventKind.VOLTAGE_HIGH: "voltage high",
    EventKind.VOLTAGE_LOW: "voltage low",
    EventKind.WATCHDOG: "watchdog reset",
    EventKind.OTHER: "other event",
}


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 meter`, `2,300 meters`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def energy(kwh: float) -> str:
    """`940 kWh`, `12.4 MWh`."""
    return f"{kwh / 1000:,.1f} MWh" if abs(kwh) >= 10_000 else f"{kwh:,.0f} kWh"  # noqa: PLR2004 - five digits tire


def power(kw: float) -> str:
    """`86.2 kW`, `12.40 MW`."""
    return f"{kw / 1000:,.2f} MW" if abs(kw) >= 10_000 else f"{kw:,.1f} kW"  # noqa: PLR2004 - five digits tire


def percent(share: float) -> str:
    """`99.4 %`; 100 only for all of it."""
    shown = min(share, 99.9) if share < 100 else share  # noqa: PLR2004 - percent
    return f"{shown:.0f} %" if shown in {0, 100} else f"{shown:.1f} %"


def clock(instant: datetime, timezone: ZoneInfo) -> str:
    """`14:40`."""
    return f"{instant.astimezone(timezone):%H:%M}"


def day(when: date) -> str:
    """`Wed 18 March`."""
    return f"{when:%a} {when.day} {when:%B}"


def moment(instant: datetime, timezone: ZoneInfo, now: datetime) -> str:
    """`14:40` for today, `yesterday 14:40`, else `Mon 16 March 14:40`."""
    local, today = instant.astimezone(timezone), now.astimezone(timezone).date()
    if local.date() == today:
        return f"{local:%H:%M}"
    if local.date() == today - timedelta(days=1):
        return f"yesterday {local:%H:%M}"
    return f"{day(local.date())} {local:%H:%M}"


def short_moment(instant: datetime, timezone: ZoneInfo) -> str:
    """`18 Mar 01:00`."""
    local = instant.astimezone(timezone)
    return f"{local.day} {local:%b %H:%M}"


def duration(seconds: int) -> str:
    """`45 min`, `2 h 15 min`, `3 days 4 h`."""
    minutes, hours, days = seconds // 60 % 60, seconds // 3600 % 24, seconds // 86_400
    if days:
        return count(days, "day") + (f" {hours} h" if hours else "")
    if hours:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    return f"{minutes} min"
