"""A day of readings in local time, and by when it was to be here; days of a clock change have 23 or 25 hours."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from amity.domain.spans import TimeSpan
from amity.headend.sla.definition import Measure

_MINUTES_PER_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class ReadDay:
    """A calendar day of a zone."""

    day: date
    zone: ZoneInfo

    @property
    def span(self) -> TimeSpan:
        """From its midnight to the next, in UTC."""
        return TimeSpan(self._midnight(0), self._midnight(1))

    def due(self, measure: Measure) -> datetime:
        """The last instant (excluded) at which the day's readings are in time by this measure of completeness.

        `by` is what a clock on the wall shows on the next day: 06:00 after a night that lost an hour comes five hours
        after midnight. `within` counts hours that pass. A time that is shown twice is the first; one that is skipped is
        as far after the change as it would have been before it.
        """
        if measure.within is not None:
            return self.span.end + measure.within
        minutes = measure.by_minute or 0
        days, minute = divmod(minutes, _MINUTES_PER_DAY)
        return self._at(1 + days, time(minute // 60, minute % 60))

    def _midnight(self, later: int) -> datetime:
        return self._at(later, time())

    def _at(self, later: int, shown: time) -> datetime:
        return datetime.combine(self.day + timedelta(days=later), shown, self.zone).astimezone(UTC)
