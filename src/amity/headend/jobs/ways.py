"""Ways to meters that open, lines or collectors: what waited for them is done here before a node without them tries."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from amity.headend.jobs.ports import JobsPutOff
from amity.headend.jobs.worker import Worker
from amity.headend.ports import Disk
from amity.kernel.errors import AmityError
from amity.kernel.time import Clock

_LOOK_EVERY_S: Final = 5.0
_PUT_OFF_MAX: Final = 256


class Ways(NamedTuple):
    """Who is with this node now: meters that opened a line, collectors that are connected."""

    meters: frozenset[str] = frozenset()
    collectors: frozenset[str] = frozenset()


class WaysFollowed:
    """`ways` says who is with this node; it is looked at every `look_every_s`."""

    def __init__(
        self,
        ways: Callable[[], Ways],
        jobs: JobsPutOff,
        worker: Worker,
        *,
        clock: Clock,
        disk: Disk,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self._ways = ways
        self._jobs = jobs
        self._worker = worker
        self._clock = clock
        self._disk = disk
        self._look_every_s = look_every_s

    async def called_in(self, meter_id: str) -> None:
        """A meter is on the line of this node."""
        with suppress(AmityError):  # told by whoever reads; looked at again by `run`
            await self._take([meter_id])

    async def run(self) -> None:
        """What waits for a collector or a line that is here is done, and not only what waited when that came.

        A node without the way may have taken a meter's jobs, and put them off, while another had it all the time.
        """
        while True:
            with suppress(AmityError):  # told by whoever reads; looked at again
                await self._follow(self._ways())
            await asyncio.sleep(self._look_every_s)

    async def _follow(self, ways: Ways) -> None:
        """By and by everything that waits now; raise AmityError when the disk fails, as it would at once again."""
        more = any(ways)
        while more:
            meter_ids = await self._disk(lambda: self._jobs.put_off(*ways, self._clock.now(), _PUT_OFF_MAX))
            if meter_ids:
                await self._take(meter_ids)
            more = len(meter_ids) == _PUT_OFF_MAX

    async def _take(self, meter_ids: Sequence[str]) -> None:
        now = self._clock.now()

        def due() -> Sequence[str]:
            for meter_id in meter_ids:
                self._jobs.due_now(meter_id, now)
            return meter_ids

        await self._worker.take(due)
