"""When a schedule fires, and when each of its meters begins: jitter and blackout windows, the same in every replay."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from itertools import islice, takewhile
from typing import Final
from zoneinfo import ZoneInfo

from amity.domain.jobs import Blackout, JobRequest, MissedFires, Place, ReadingSchedule
from amity.headend.jobs.cron import Cron, offset_change, parse_cron
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import EPOCH, isoformat

_HASH_OCTETS: Final = 8
FIRES_AT_ONCE_MAX: Final = 366
LATE_MAX: Final = timedelta(minutes=1)
"""A fire that is later than this counts as missed."""
_OPENS_WITHIN: Final = timedelta(days=15)
"""Windows come again each week, and the one opening of a week may be skipped when clocks change."""
_LOOK_BACK: Final = (timedelta(hours=1), timedelta(days=1), timedelta(days=40), timedelta(days=366 * 9))


@dataclass(frozen=True)
class Calendar:
    """A schedule that can say when."""

    schedule: ReadingSchedule

    @cached_property
    def cron(self) -> Cron:
        """Raise ConfigurationError when the expression or the zone is none."""
        return parse_cron(self.schedule.cron, self.schedule.zone)

    def next_fire(self, after: datetime) -> datetime | None:
        """The first fire strictly after the instant within the schedule's validity; None when there is none."""
        schedule = self.schedule
        if schedule.valid_from is not None:
            after = max(after, schedule.valid_from - timedelta(microseconds=1))
        fire = self._after(after)
        ended = fire is not None and schedule.valid_until is not None and fire >= schedule.valid_until
        return None if ended else fire

    def fires(self, after: datetime) -> Iterator[datetime]:
        """Every fire strictly after the instant, in order."""
        fire = self.next_fire(after)
        while fire is not None:
            yield fire
            fire = self.next_fire(fire)

    def starts_from(self, now: datetime) -> datetime:
        """As of when a schedule that is new here counts as having fired."""
        return now - (self.schedule.every or timedelta(0))

    def due_fires(self, last: datetime, now: datetime) -> Sequence[datetime]:
        """The fires in (last, now] that are to be carried out, by the schedule's rule for missed ones, oldest first.

        Where each is made up, the oldest FIRES_AT_ONCE_MAX come now and the others when these are done.
        """
        if self.schedule.missed is MissedFires.EACH:
            return list(islice(self._between(last, now), FIRES_AT_ONCE_MAX))
        newest = self._newest(last, now)
        if newest is None or (self.schedule.missed is MissedFires.SKIP and now - newest > LATE_MAX):
            return []
        return [newest]

    def begin(self, meter_id: str, fire: datetime) -> datetime:
        """When this meter's job of this fire may begin: jitter first, then out of any blackout window.

        Past a window the jitter counts from its end, so that what a window held back does not start all at once.
        """
        clear = self._clear(fire)
        jittered = clear + self._jitter(meter_id, fire)
        pushed = self._clear(jittered)
        if pushed == jittered:
            return jittered
        return self._clear(pushed + self._jitter(meter_id, fire))

    def requests(self, meter_id: str, fire: datetime, place: Place) -> Iterator[JobRequest]:
        """The jobs of one meter for one fire; the same fire makes the same jobs, however often."""
        schedule, begin = self.schedule, self.begin(meter_id, fire)
        at = isoformat(fire)
        for kind in schedule.kinds:
            yield JobRequest(
                meter_id=meter_id,
                kind=kind,
                priority=schedule.priority,
                not_before=begin,
                key=f"schedule/{schedule.name}/{at}/{meter_id}/{kind}",
                deadline=None if schedule.deadline is None else begin + schedule.deadline,
                requested_by=f"schedule {schedule.name}",
                reason=at,
                correlation_id=f"{schedule.name}@{at}",
                place=place,
            )

    def check(self) -> None:
        """Raise ConfigurationError when the schedule could never fire, or never let a job begin."""
        if self._after(datetime(2000, 1, 1, tzinfo=UTC)) is None:
            raise ConfigurationError(f"the cron expression {self.schedule.cron!r} names a day that never comes")
        self._clear(datetime(2001, 1, 1, tzinfo=UTC))

    @property
    def shortest_period(self) -> timedelta | None:
        """The least time between two fires, by the clock on the wall; None when there are no two."""
        return self.schedule.every or self.cron.shortest_gap()

    def _after(self, instant: datetime) -> datetime | None:
        every = self.schedule.every
        if every is None:
            return self.cron.after(instant)
        return EPOCH + ((instant - EPOCH) // every + 1) * every

    def _newest(self, last: datetime, now: datetime) -> datetime | None:
        """The newest fire in (last, now], looked for in growing steps back: a long absence costs no more."""
        for back in _LOOK_BACK:
            after = max(last, now - back)
            fires = list(self._between(after, now))
            if fires:
                return fires[-1]
            if after == last:
                break
        return None

    def _between(self, last: datetime, now: datetime) -> Iterator[datetime]:
        return takewhile(lambda fire: fire <= now, self.fires(last))

    def _jitter(self, meter_id: str, fire: datetime) -> timedelta:
        return jitter(self.schedule.name, meter_id, fire, self.schedule.jitter)

    def _clear(self, instant: datetime) -> datetime:
        """The first instant from this one on at which the wall shows a time in no blackout window."""
        clear, zone = instant, self.cron.zone
        while held_by := self._held_by(clear):
            clear = _next_turn(held_by, clear, zone)
            if clear - instant > _OPENS_WITHIN:
                raise ConfigurationError(
                    f"the blackout windows of schedule {self.schedule.name} leave no time to begin",
                    next_step="leave out a window or make it shorter",
                )
        return clear

    def _held_by(self, instant: datetime) -> Blackout | None:
        windows = self.schedule.blackouts
        if not windows:
            return None
        shown = instant.astimezone(self.cron.zone)
        return next((one for one in windows if _holds(one, shown)), None)


def jitter(schedule: str, meter_id: str, fire: datetime, most: timedelta) -> timedelta:
    """A delay in [0, most), in whole seconds, spread evenly over the meters and always the same for the same three."""
    seconds = int(most.total_seconds())
    if seconds <= 0:
        return timedelta(0)
    digest = blake2b("\0".join((schedule, meter_id, isoformat(fire))).encode(), digest_size=_HASH_OCTETS).digest()
    return timedelta(seconds=int.from_bytes(digest, "big") * seconds >> 8 * _HASH_OCTETS)


def _holds(window: Blackout, shown: datetime) -> bool:
    """Whether the wall shows a time in the window: of a day on which it begins, or of the night after one."""
    today, now = shown.weekday(), shown.time()
    if window.start < window.end:
        return today in window.weekdays and window.start <= now < window.end
    begun_today = today in window.weekdays and window.start <= now
    return begun_today or ((today - 1) % 7 in window.weekdays and now < window.end)


def _next_turn(window: Blackout, instant: datetime, zone: ZoneInfo) -> datetime:
    """The first instant after this one, which the window holds, at which it may let go.

    That is when the wall shows its end, in either pass of a time that comes twice, or when the clocks change.
    """
    today = instant.astimezone(zone).date()
    ends = [datetime.combine(day, window.end, zone) for day in (today, today + timedelta(days=1))]
    turns = [end.replace(fold=fold).astimezone(UTC) for end in ends for fold in (0, 1)]
    last = max(turns)
    if instant.astimezone(zone).utcoffset() != last.astimezone(zone).utcoffset():
        turns.append(offset_change(instant, last, zone))
    return min(turn for turn in turns if turn > instant)
