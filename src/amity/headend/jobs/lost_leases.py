"""Leases of workers that are gone: found by their silence, taken back, so that others read the meters."""

import asyncio
from datetime import timedelta
from math import inf
from typing import Final

from amity.domain.jobs import Lease
from amity.headend.jobs.ports import JobStore
from amity.headend.ports import Disk

_LOOK_EVERY_S: Final = 10.0
_LOOKS: Final = 6


class LostLeases:
    """Tells the leases that nobody believes in any more from those that are held.

    Who holds a lease renews it long before its end, or ends its session. So one that stood unchanged for as long as it
    lasts has no holder left: that is told by time that passed before us, and no clock is compared with that of another
    machine. Clocks that jump, all of them together or one alone, take no meter from a worker that lives. What we saw is
    noted with the lease: should we not live long enough ourselves, the next one goes on from there.
    """

    def __init__(self, jobs: JobStore, disk: Disk) -> None:
        self._jobs = jobs
        self._disk = disk
        self._silent_since_s: dict[Lease, float] = {}
        self._next_s = 0.0

    async def look(self) -> bool:
        """Look, unless that was done a moment ago; True when meters are free that were not. Raise StorageError."""
        elapsed_s = asyncio.get_running_loop().time
        begun_s = elapsed_s()
        if begun_s < self._next_s:
            return False
        leases = await self._disk(self._jobs.leases)
        seen_s = elapsed_s()  # after they were read: who was renewed a moment before is not silent for longer
        self._silent_since_s = {one: self._since_s(one, seen_s) for one in leases}
        self._next_s = begun_s + self.pause_s
        return await self._judge(begun_s)

    def _since_s(self, lease: Lease, seen_s: float) -> float:
        return min(self._silent_since_s.get(lease, inf), seen_s - lease.silent.total_seconds())

    async def _judge(self, now_s: float) -> bool:
        silences = {one: timedelta(seconds=now_s - since_s) for one, since_s in self._silent_since_s.items()}
        lost = [one for one, silence in silences.items() if silence >= one.lasts]
        noted = {one: silence for one, silence in silences.items() if one.silent < silence < one.lasts}
        if noted:
            await self._disk(lambda: self._jobs.note_silence(noted))
        return bool(await self._disk(lambda: self._jobs.revoke(lost))) if lost else False

    @property
    def pause_s(self) -> float:
        """Seconds to the next look: the shortest lease that stands is looked at six times before it is lost."""
        shortest_s = min((one.lasts.total_seconds() / _LOOKS for one in self._silent_since_s), default=_LOOK_EVERY_S)
        return min(shortest_s, _LOOK_EVERY_S)
