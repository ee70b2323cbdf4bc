"""Local days of the town as half-open spans of epoch seconds; a day of 23 or 25 hours is one too."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from amity.domain.spans import EpochSpan
from amity.kernel.errors import RequestError
from amity.kernel.time import epoch_s

KEPT_FROM, KEPT_UNTIL = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def kept_instant(instant: datetime) -> datetime:
    """What somebody typed as a time, in UTC; raise RequestError outside the years that are kept."""
    if not KEPT_FROM <= instant < KEPT_UNTIL:  # before any arithmetic: year 1 east of Greenwich is year 0 in UTC
        raise RequestError(
            f"the time {instant.isoformat()} is outside the years that are kept",
            answer=f"they run from {KEPT_FROM.year} to {KEPT_UNTIL.year - 1}",
            next_step="check the year of that time",
        )
    return instant.astimezone(UTC)


def local_day(day: date, timezone: ZoneInfo) -> EpochSpan:
    """From local midnight to the next local midnight."""
    return EpochSpan(_midnight_s(day, timezone), _midnight_s(day + timedelta(days=1), timezone))


def local_date(instant: datetime, timezone: ZoneInfo) -> date:
    """The calendar day that it is there at this instant."""
    return instant.astimezone(timezone).date()


def _midnight_s(day: date, timezone: ZoneInfo) -> int:
    return epoch_s(datetime.combine(day, time(), timezone))
