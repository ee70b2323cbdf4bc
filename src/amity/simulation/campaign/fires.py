"""What the schedulers hand out, seen from outside: the mark that moves over the fleet, and the jobs behind it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from amity.domain.jobs import NOWHERE, Firing, JobRequest
from amity.headend.jobs.calendar import Calendar
from amity.headend.jobs.ports import FiringStore, JobStore
from amity.simulation.campaign.machine import Machine
from amity.simulation.campaign.moments import Moments
from amity.simulation.campaign.witness import Invariant, Witness

Afterwards = Callable[[Callable[[], None]], None]
"""Does something once what is being written is committed."""


class _Page(NamedTuple):
    """The meters after one and up to another that a mark has moved over; None: to the end of the fleet."""

    after: str
    until: str | None

    def has(self, meter_id: str) -> bool:
        return self.after < meter_id and (self.until is None or meter_id <= self.until)


class Fires:
    """What all schedulers of a world have committed."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._pages: defaultdict[datetime, list[_Page]] = defaultdict(list)
        self._done_by: defaultdict[str, set[str]] = defaultdict(set)
        self._moves = Moments()

    def moved(self, before: Firing | None, after: Firing, by: Machine) -> None:
        """A mark was moved; one that only says where a fire begins has passed nobody."""
        if before is None or (after.current is not None and not after.cursor):
            return
        until = None if after.current is None else after.cursor
        self._pages[after.current or after.last].append(_Page(before.cursor, until))
        self._moves.tell(by)

    async def next_moved(self, by: Machine, within_s: float) -> None:
        """Wait until this machine has moved a mark; only so long."""
        await self._moves.next(by, within_s)

    def asked(self, requests: Sequence[JobRequest], jobs: Sequence[str]) -> None:
        """A scheduler has committed these requests, which these jobs do."""
        for request, job_id in zip(requests, jobs, strict=True):
            self._done_by[request.key].add(job_id)

    def judge(self, calendar: Calendar, meters: Sequence[str], jobs: frozenset[str], due: datetime | None) -> None:
        """Every meter that a mark has passed has one job of each kind among `jobs`, which may have waited already.

        The fire that was due has been handed out, or a later one.
        """
        for fire, pages in self._pages.items():
            for meter_id in meters:
                self._witness.checked(Invariant.FIRES)
                for wrong in self._wrong(calendar, fire, pages, meter_id, jobs):
                    self._witness.violated(Invariant.FIRES, f"the fire of {fire}, {meter_id}: {wrong}")
        whole = max((fire for fire, pages in self._pages.items() if pages[-1].until is None), default=None)
        if due is not None and (whole is None or whole < due):
            self._witness.violated(Invariant.FIRES, f"the fire of {due} was due, that of {whole} was the last")

    def _wrong(
        self, calendar: Calendar, fire: datetime, pages: Sequence[_Page], meter_id: str, jobs: frozenset[str]
    ) -> Iterator[str]:
        passed = sum(page.has(meter_id) for page in pages)
        if passed > 1:
            yield f"handed out {passed} times"
        for request in calendar.requests(meter_id, fire, NOWHERE) if passed else ():
            done_by = self._done_by[request.key]
            if len(done_by) != 1 or not done_by <= jobs:
                yield f"{len(done_by)} jobs for {request.kind}"


class WatchedFirings:
    """Implements `headend.jobs.ports.FiringStore`: another one, whose moves are noted when they are committed."""

    def __init__(self, firings: FiringStore, fires: Fires, machine: Machine, afterwards: Afterwards) -> None:
        self._firings = firings
        self._fires = fires
        self._machine = machine
        self._afterwards = afterwards
        self.transaction, self.firing = firings.transaction, firings.firing

    def moved(self, before: Firing | None, after: Firing) -> bool:
        """As the other's."""
        if not self._firings.moved(before, after):
            return False
        self._afterwards(lambda: self._fires.moved(before, after, self._machine))
        return True


class WatchedRequests:
    """Implements `headend.jobs.ports.JobStore` for a scheduler: what it asks for is noted when it is committed."""

    def __init__(self, jobs: JobStore, fires: Fires, afterwards: Afterwards) -> None:
        self._jobs = jobs
        self._fires = fires
        self._afterwards = afterwards

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    def enqueue(self, requests: Sequence[JobRequest], now: datetime) -> Sequence[str]:
        """As the other's."""
        done_by = self._jobs.enqueue(requests, now)
        self._afterwards(lambda: self._fires.asked(requests, done_by))
        return done_by
