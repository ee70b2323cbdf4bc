"""How numbers, times and conditions are written for people, in the town's own time zone."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from amity.domain.collection import Outcome
from amity.domain.events import EventKind
from amity.kernel.units import Unit
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
    EventKind.FRAUD_ATTEMPT: "fraud attempt",
    EventKind.VOLTAGE_HIGH: "voltage high",
    EventKind.VOLTAGE_LOW: "voltage low",
    EventKind.WATCHDOG: "watchdog reset",
    EventKind.OTHER: "other event",
}


RULE_WORDS = {
    "missing-intervals": "Missing intervals",
    "ends-early": "Ends early",
    "linear-interpolation": "Interpolated",
    "register-sum-check": "Intervals and register disagree",
    "spike-check": "Implausible peak",
}
CHANNEL_WORDS = {
    "1.0.1.29.0.255": "Import",
    "1.0.2.29.0.255": "Export",
    "1.0.3.29.0.255": "Reactive +",
    "1.0.4.29.0.255": f"Reactive {MINUS}",
}
REGISTER_WORDS = {
    "1.0.1.8.0.255": "Import",
    "1.0.1.8.1.255": "Import, tariff 1",
    "1.0.1.8.2.255": "Import, tariff 2",
    "1.0.2.8.0.255": "Export",
    "1.0.3.8.0.255": "Reactive +",
    "1.0.4.8.0.255": f"Reactive {MINUS}",
    "1.0.1.7.0.255": "Power",
    "1.0.32.7.0.255": "Voltage L1",
    "1.0.52.7.0.255": "Voltage L2",
    "1.0.72.7.0.255": "Voltage L3",
    "1.0.31.7.0.255": "Current L1",
    "1.0.51.7.0.255": "Current L2",
    "1.0.71.7.0.255": "Current L3",
}


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 meter`, `2,300 meters`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def amount(value: Decimal, unit: Unit) -> str:
    """`1,234.5 Wh`: every digit that there is."""
    return f"{value:,f} {unit.symbol}".rstrip()


def register_value(value: Decimal, *, whole: bool) -> str:
    """`10,406,612.5`: every digit; without decimals when the value is known to be `whole`."""
    return f"{value:,.0f}" if whole else f"{value:,f}"


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


def span(start: datetime, end: datetime, timezone: ZoneInfo, now: datetime) -> str:
    """`yesterday 14:00-19:00`, or both days where they differ."""
    same_day = start.astimezone(timezone).date() == end.astimezone(timezone).date()
    until = clock(end, timezone) if same_day else f" {moment(end, timezone, now)}"
    return f"{moment(start, timezone, now)}{'' if same_day else ' '}{DASH}{until}"


def clock(instant: datetime, timezone: ZoneInfo) -> str:
    """`14:40`."""
    return f"{instant.astimezone(timezone):%H:%M}"


def day(when: date, today: date | None = None) -> str:
    """`Wed 18 March`; with the year where it is not that of `today`."""
    year = "" if today is None or when.year == today.year else f" {when.year}"
    return f"{when:%a} {when.day} {when:%B}{year}"


def moment(instant: datetime, timezone: ZoneInfo, now: datetime) -> str:
    """`14:40` for today, `yesterday 14:40`, else `Mon 16 Mar 14:40`, with the year where it is another one."""
    local, today = instant.astimezone(timezone), now.astimezone(timezone).date()
    if local.date() == today:
        return f"{local:%H:%M}"
    if local.date() == today - timedelta(days=1):
        return f"yesterday {local:%H:%M}"
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local:%a} {local.day} {local:%b}{year} {local:%H:%M}"


def dated_moment(instant: datetime, timezone: ZoneInfo, now: datetime) -> str:
    """Like `moment`, with `today` said: inside a sentence a bare time could be of any day."""
    words = moment(instant, timezone, now)
    return f"today {words}" if words == clock(instant, timezone) else words


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
