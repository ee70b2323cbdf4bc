"""Turns schedules into jobs. Every node may run one: a page of a fire is handed out by whoever moves its mark first."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from amity.domain.jobs import Firing, JobRequest
from amity.headend.jobs.calendar import Calendar
from amity.headend.jobs.ports import FiringStore, FleetPages, JobStore, Member
from amity.headend.ports import Disk
from amity.kernel.errors import AmityError
from amity.kernel.time import Clock

PAGE: Final = 500
LOOK_EVERY_S: Final = 1.0
_PAUSE_AFTER_TROUBLE_S: Final = 5.0


class Scheduler:
    """Fires every schedule once in the cluster; `last_error` is why it is held up, None while it is not."""

    def __init__(
        self,
        calendars: Callable[[], Sequence[Calendar]],
        *,
        firings: FiringStore,
        pages: FleetPages,
        jobs: JobStore,
        clock: Clock,
        disk: Disk,
        on_jobs: Callable[[], None] | None = None,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._calendars = calendars
        self._firings = firings
        self._pages = pages
        self._jobs = jobs
        self._clock = clock
        self._disk = disk
        self._on_jobs = on_jobs
        self._look_every_s = look_every_s
        self.last_error: AmityError | None = None

    async def run(self) -> None:
        """Fire what is due, until cancelled."""
        while True:
            pause_s = self._look_every_s
            try:
                await self.fire_due()
                self.last_error = None
            except AmityError as error:
                self.last_error, pause_s = error, _PAUSE_AFTER_TROUBLE_S
            await asyncio.sleep(pause_s)

    async def fire_due(self) -> int:
        """Hand out everything that is due now; return how many pages. Raise StorageError when the disk fails."""
        pages = 0
        for calendar in self._calendars():
            while await self._disk(lambda one=calendar: self.hand_out_page(one)):  # type: ignore[misc]
                pages += 1
                if self._on_jobs is not None:
                    self._on_jobs()
        return pages

    def begin_now(self, calendar: Calendar) -> None:
        """Let a schedule fire as of now, unless it is firing; `hand_out_page` does the rest."""
        now, name = self._clock.now(), calendar.schedule.name
        with self._firings.transaction():
            before = self._firings.firing(name)
            if before is None or before.current is None:
                last = now if before is None else before.last
                self._firings.moved(before, Firing(name, last, now.replace(microsecond=0)))

    def hand_out_page(self, calendar: Calendar) -> bool:
        """The next page of a due fire, jobs and mark in one transaction; False when nothing is due or another did it.

        A crash between two pages leaves the mark at the first: whoever looks next goes on behind it.
        """
        now, name = self._clock.now(), calendar.schedule.name
        with self._firings.transaction():
            before = self._firings.firing(name)
            if before is None:
                return self._firings.moved(None, Firing(name, calendar.starts_from(now)))
            begun = before if before.current is not None else _next_fire(calendar, before, now)
            if begun.current is None:
                return False
            members = self._pages.page(begun.cursor, PAGE)
            if not self._firings.moved(before, _moved_behind(members, begun, begun.current)):
                return False
            self._jobs.enqueue(list(_requests(calendar, members, begun.current)), now)
            return True


def _next_fire(calendar: Calendar, before: Firing, now: datetime) -> Firing:
    due = calendar.due_fires(before.last, now)
    return replace(before, current=due[0], cursor="") if due else before


def _moved_behind(members: Sequence[Member], begun: Firing, fire: datetime) -> Firing:
    if len(members) < PAGE:
        return Firing(begun.schedule, fire)
    return replace(begun, cursor=members[-1].meter_id)


def _requests(calendar: Calendar, members: Sequence[Member], fire: datetime) -> Iterator[JobRequest]:
    for member in members:
        if calendar.schedule.group.selects(member.meter_id, member.profile, member.host):
            yield from calendar.requests(member.meter_id, fire, member.place)
