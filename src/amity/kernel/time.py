"""Instants and days: aware UTC everywhere, epoch seconds in columns, UTC days as numbers since 1970-01-01."""

from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from amity.kernel.errors import ConfigurationError

SECONDS_PER_DAY = 86_400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = EPOCH.date()


class Clock(Protocol):
    """Where the time comes from; passed in, so that a test or a simulation can own it."""

    def now(self) -> datetime:
        """Return the present instant in aware UTC."""
        ...


def epoch_s(instant: datetime) -> int:
    """Whole seconds since 1970-01-01T00:00Z, rounded down; raise ValueError for a naive datetime."""
    if instant.tzinfo is None:
        raise ValueError(f"a naive datetime has no place on the time line: {instant.isoformat()}")
    return (instant - EPOCH) // timedelta(seconds=1)


def from_epoch_s(seconds: int) -> datetime:
    """The aware UTC instant of so many epoch seconds."""
    return EPOCH + timedelta(seconds=int(seconds))


def utc_day(seconds: int) -> int:
    """The number of the UTC day that holds this epoch second."""
    return int(seconds) // SECONDS_PER_DAY


def day_of(day: date) -> int:
    """The number of a calendar day."""
    return (day - _EPOCH_DAY).days


def date_of(day_number: int) -> date:
    """The calendar day of a day number."""
    return _EPOCH_DAY + timedelta(days=int(day_number))


def isoformat(instant: datetime) -> str:
    """`2026-11-20T06:15:00Z`, the one way an instant is printed; microseconds only where there are some."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def time_zone(name: str, where: str = "") -> ZoneInfo:
    """The time zone of that IANA name; raise ConfigurationError, with `where` it stands, for none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: the name of a folder of zones
        raise ConfigurationError(
            f"{where}: there is no time zone {name!r}" if where else f"there is no time zone {name!r}",
            next_step="use an IANA name, like Europe/Vienna or UTC",
        ) from error
