"""Leases of workers that are gone: found by their silence, taken back, so that others read the meters."""

import asyncio
from typing import Final

from amity.domain.jobs import Lease
from amity.headend.jobs.ports import JobStore
from amity.headend.ports import Disk

_LOOK_EVERY_S: Final = 10.0
_LOOKS: Final = 6


class LostLeases:
    """Tells the leases that nobody believes in any more from those that are held.

    Who holds a lease renews it long before its end, or ends its session. So one that stood unchanged before us for as
    long as it lasts has no holder left: that is told by time that passed here, and no clock is compared with that of
    another machine. Clocks that jump, all of them together or one alone, take no meter from a worker that lives.
    """

    def __init__(self, jobs: JobStore, disk: Disk) -> None:
        self._jobs = jobs
        self._disk = disk
        self._seen_s: dict[Lease, float] = {}
        self._next_s = 0.0

    async def look(self) -> bool:
        """Look, unless that was done a moment ago; True when meters are free that were not. Raise StorageError."""
        elapsed_s = asyncio.get_running_loop().time
        begun_s = elapsed_s()
        if begun_s < self._next_s:
            return False
        leases = await self._disk(self._jobs.leases)
        self._seen_s = {one: self._seen_s.get(one, elapsed_s()) for one in leases}  # after the look: at the latest
        self._next_s = begun_s + self.pause_s
        lost = [one for one, since_s in self._seen_s.items() if begun_s - since_s >= one.lasts.total_seconds()]
        return bool(lost) and bool(await self._disk(lambda: self._jobs.revoke(lost)))

    @property
    def pause_s(self) -> float:
        """Seconds to the next look: the shortest lease that stands is looked at six times before it is lost."""
        shortest_s = min((one.lasts.total_seconds() / _LOOKS for one in self._seen_s), default=_LOOK_EVERY_S)
        return min(shortest_s, _LOOK_EVERY_S)
