"""Local days of the town as half-open spans of epoch seconds; a day of 23 or 25 hours is one too."""

from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from amity.kernel.errors import ConfigurationError
from amity.kernel.time import epoch_s


class Span(NamedTuple):
    """[start_s, end_s) in epoch seconds."""

    start_s: int
    end_s: int


def zone(name: str) -> ZoneInfo:
    """The time zone of that name; raise ConfigurationError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigurationError(
            f"{name!r} is not a time zone",
            next_step="name it as the IANA database does, for example Europe/Vienna",
        ) from error


def local_day(day: date, timezone: ZoneInfo) -> Span:
    """From local midnight to the next local midnight."""
    return Span(_midnight_s(day, timezone), _midnight_s(day + timedelta(days=1), timezone))


def local_date(instant: datetime, timezone: ZoneInfo) -> date:
    """The calendar day that it is there at this instant."""
    return instant.astimezone(timezone).date()


def _midnight_s(day: date, timezone: ZoneInfo) -> int:
    return epoch_s(datetime.combine(day, time(), timezone))
