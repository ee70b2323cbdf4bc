"""A worker: leases meters, holds one association with each, and gives back jobs and readings in one transaction.

Any number of workers share one database. A worker that dies renews its leases no more, and another takes those meters;
should it only have been slow, the fence of its leases keeps it from storing anything twice.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from amity.domain.jobs import Bundle, JobOutcome, Lease
from amity.headend.jobs.giving_back import failed_session, finished_of, given_back, told_of
from amity.headend.jobs.lost_leases import LostLeases
from amity.headend.jobs.ports import Finished, JobStore, LeaseTerms
from amity.headend.jobs.sessions import BundleReader, SessionResult
from amity.headend.ports import Disk
from amity.kernel.backoff import Chance
from amity.kernel.errors import AmityError, StorageError
from amity.kernel.time import Clock

LEASED_AT_ONCE_MAX: Final = 256
SAVED_AT_ONCE_MAX: Final = 128
_WATCH_S: Final = 1.0
_RENEWALS: Final = 3
"""A lease is renewed when a third of its time has passed, so that two renewals may fail."""
_MARGIN: Final = timedelta(seconds=5)
"""So long before its end a lease that could not be renewed is let go: its session ends before others take the meter."""
_PAUSE_AFTER_TROUBLE_S: Final = 5.0


class Done(NamedTuple):
    """One bundle is done with. `accepted` is false when the lease was lost before.

    `not_kept` is why what the session brought is not on the disk, though its jobs may be given back.
    """

    bundle: Bundle
    outcomes: tuple[JobOutcome, ...]
    accepted: bool
    not_kept: AmityError | None = None


OnDone = Callable[[Done], None]
Meters = Callable[[], Collection[str]]
"""Says which meters to lease, on the disk's thread, within the transaction of the lease."""


@dataclass(slots=True, eq=False)
class _Held:
    """A lease of ours, and its session while that runs.

    It is valid until then by the clock, which sees what passed while this machine stood still, and by the loop's time,
    which nobody sets: whichever comes first.
    """

    bundle: Bundle
    until: datetime
    until_s: float
    session: asyncio.Task[None] | None = None


class _Ended(NamedTuple):
    """A session that is over; `not_kept` is why what it really brought could not be stored."""

    held: _Held
    result: SessionResult
    not_kept: AmityError | None = None


class _NobodyFreeError(Exception):
    """No meter could be leased: what was written for it is rolled back."""


class Worker:
    """Works until cancelled; `last_error` is why it gets no work at this moment, None while it does."""

    def __init__(
        self,
        jobs: JobStore,
        reader: BundleReader,
        *,
        terms: Callable[[], LeaseTerms],
        concurrency: int,
        clock: Clock,
        disk: Disk,
        chance: Chance,
        on_done: OnDone | None = None,
    ) -> None:
        self._jobs = jobs
        self._reader = reader
        self._terms = terms
        self._concurrency = concurrency
        self._clock = clock
        self._disk = disk
        self._chance = chance
        self._on_done = on_done
        self._held: set[_Held] = set()
        self._ended: asyncio.Queue[_Ended] = asyncio.Queue(2 * SAVED_AT_ONCE_MAX)
        self._running = 0
        self._changed = asyncio.Event()
        self._granted: Sequence[_Held] = ()
        self._tasks: asyncio.TaskGroup | None = None
        self._taking = asyncio.Lock()
        self._lost = LostLeases(jobs, disk)
        self.last_error: AmityError | None = None

    async def run(self) -> None:
        """Work until cancelled; leases that are still held then are given back."""
        async with self._at_work(self._take_back_for_ever()):
            while True:
                await self._lease_or_wait()

    async def do(self, meters: Meters) -> bool:
        """One session with each of these meters for all that is due for it; return when they are given back.

        False when none of them could be leased: what `meters` wrote is then taken back. Raise what the disk raises.
        """
        async with self._at_work():
            taken = await self._take(LEASED_AT_ONCE_MAX, meters)
            if not taken:
                await self._lost.look()
            while self._held:
                self._changed.clear()
                await self._changed.wait()
        return taken > 0

    async def take(self, meters: Meters) -> None:
        """Lease these meters before another node can, while this runs; what `meters` wrote holds in any case.

        Raise StorageError when the disk fails.
        """
        async with self._taking:
            taken = 0 if self._tasks is None or self._room <= 0 else await self._take(self._room, meters)
        if not taken:
            await self._disk(meters)
            self.wake()

    @asynccontextmanager
    async def _at_work(self, *more: Coroutine[None, None, None]) -> AsyncIterator[None]:
        """All that goes on beside the leasing; ends when the sessions that were begun have ended."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                endless = (self._save_for_ever(), self._renew_for_ever(), self._let_go_for_ever(), *more)
                beside = [self._tasks.create_task(one) for one in endless]
                yield
                for task in beside:
                    task.cancel()
        finally:
            self._tasks = None
            await asyncio.shield(self._give_back())

    @property
    def open_sessions(self) -> int:
        """How many meters this worker speaks with now."""
        return self._running

    def wake(self) -> None:
        """Look for work now: somebody knows of some."""
        self._changed.set()

    async def drain(self) -> None:
        """Work until nothing is due, then return; raise what keeps it from getting work."""
        await self.run_until(self._until_idle())

    async def run_until(self, over: Awaitable[None]) -> None:
        """Work until this is over; raise what it or the work raises."""
        working, ending = asyncio.ensure_future(self.run()), asyncio.ensure_future(over)
        try:
            await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            working.cancel()
            await asyncio.gather(ending, working, return_exceptions=True)
        for ended in (ending, working):
            if not ended.cancelled():
                ended.result()

    # ------------------------------------------------------------------ taking work
    @property
    def _room(self) -> int:
        return min(self._concurrency - self._running, LEASED_AT_ONCE_MAX)

    async def _lease_or_wait(self) -> None:
        """Fill the room that there is, or wait until there may be something to fill it with."""
        self._changed.clear()
        async with self._taking:
            room = self._room
            taken = await self._lease(room) if room > 0 else 0
        if taken < room or room == 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_every_s):
                    await self._changed.wait()

    async def _lease(self, room: int) -> int:
        """Take work for so many sessions and begin them; how many there were."""
        try:
            taken = await self._take(room)
        except AmityError as error:
            self.last_error = error
            await asyncio.sleep(_PAUSE_AFTER_TROUBLE_S)
            return 0
        self.last_error = None
        return taken

    async def _take(self, room: int, meters: Meters | None = None) -> int:
        """Lease and begin; how many meters. A lease that ran out while the disk was waited for is not begun."""
        elapsed_s = asyncio.get_running_loop().time
        try:
            await self._disk(lambda: self._leased(room, meters, elapsed_s))
        except _NobodyFreeError:
            return 0
        helds = self._accept_granted()
        try:
            known = await self._announced(helds)
        except AmityError:
            self._held.difference_update(helds)  # nobody reads them: the leases run out
            raise
        for held in known:
            self._begin(held)
        return len(helds)

    def _accept_granted(self) -> Sequence[_Held]:
        """What the disk's thread leased is ours from here on."""
        helds, self._granted = self._granted, ()
        self._held.update(helds)
        return helds

    def _leased(self, room: int, meters: Meters | None, elapsed_s: Callable[[], float]) -> None:
        """On the disk's thread: the time that a lease lasts begins when it is granted, however long the disk took."""
        terms = self._terms()
        if meters is None:
            begun_s = elapsed_s()
            bundles = self._jobs.lease(terms, room, self._clock.now())
        else:
            with self._jobs.transaction():
                only, begun_s = frozenset(meters()), elapsed_s()
                bundles = self._jobs.lease(replace(terms, only=only), room, self._clock.now())
                if not bundles:
                    raise _NobodyFreeError
        self._granted = [_Held(one, one.lease.until, begun_s + _seconds(one.lease)) for one in bundles]

    async def _announced(self, helds: Sequence[_Held]) -> Sequence[_Held]:
        """Those that can be read. A meter that cannot be told apart from its defect takes no other with it."""
        if not helds:
            return helds
        try:
            await self._reader.announce([one.bundle for one in helds])
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - what one meter brings about must not reach the others
            if len(helds) > 1:
                return [one for held in helds for one in await self._announced([held])]
            await self._ended.put(_Ended(helds[0], failed_session(error)))
            return []
        return helds

    def _begin(self, held: _Held) -> None:
        if self._is_over(held):
            self._let_go(held)
        if held in self._held and self._tasks is not None:
            self._running += 1
            held.session = self._tasks.create_task(self._hold(held))

    async def _hold(self, held: _Held) -> None:
        """The session of one bundle; its result waits to be saved."""
        try:
            result = await self._reader.read(held.bundle)
        except asyncio.CancelledError:
            if held in self._held:
                raise
            return  # the lease was lost
        except Exception as error:  # noqa: BLE001 - what one meter brings about must not reach the others
            result = failed_session(error)
        finally:
            self._running -= 1
        await self._ended.put(_Ended(held, result))
        self._changed.set()

    # ------------------------------------------------------------------ giving it back
    async def _save_for_ever(self) -> None:
        """What ended while the last batch was being written makes the next one."""
        while True:
            await self._save([await self._ended.get(), *self._ended_now()])

    def _ended_now(self) -> list[_Ended]:
        return [self._ended.get_nowait() for _ in range(min(self._ended.qsize(), SAVED_AT_ONCE_MAX - 1))]

    async def _save(self, ended: Sequence[_Ended]) -> None:
        batch = [one for one in ended if one.held in self._held]
        if not batch:
            return
        now, rules = self._clock.now(), self._terms().retry
        finished = [finished_of(one.held.bundle, one.result, now, rules, self._chance) for one in batch]
        try:
            accepted = await self._disk(lambda: self._keep(batch, finished, now))
        except Exception as error:  # noqa: BLE001 - what one session brought must not reach the others
            await self._save_singly(batch, error)
            return
        for one, ending in zip(batch, finished, strict=True):
            self._held.discard(one.held)
            ours = ending.lease in accepted
            if ours:
                one.result.kept()
            self._tell(Done(one.held.bundle, ending.outcomes, accepted=ours, not_kept=one.not_kept))

    async def _save_singly(self, batch: Sequence[_Ended], error: Exception) -> None:
        """One that cannot be kept must not take the others with it.

        Its jobs are given back as failed; where not even that can be kept its lease runs out, and the meter is read
        again.
        """
        if len(batch) > 1:
            for one in batch:
                await self._save([one])
            return
        (one,) = batch
        if one.not_kept is None:
            await self._save([_Ended(one.held, failed_session(error), told_of(error))])
            return
        self._held.discard(one.held)
        self._tell(Done(one.held.bundle, (), accepted=False, not_kept=one.not_kept))

    def _keep(self, batch: Sequence[_Ended], finished: Sequence[Finished], now: datetime) -> frozenset[Lease]:
        """On the disk's thread: jobs and readings of all sessions, or none of them."""
        with self._jobs.transaction():
            accepted = self._jobs.finish(finished, now)
            ours = [one for one in batch if one.held.bundle.lease in accepted]
            savings = [one.result.saving for one in ours if one.result.saving is not None]
            if savings:
                self._reader.keep(savings)
            self._jobs.enqueue([request for one in ours for request in one.result.follow_ups], now)
        return accepted

    async def _give_back(self) -> None:
        """When the worker stops: what has ended is saved, the other jobs wait again as if they had not been taken."""
        await self._save(self._ended_now())
        self._accept_granted()  # the disk may have leased for one who was told to end meanwhile
        now, rules = self._clock.now(), self._terms().retry
        released = [given_back(one.bundle, now, rules) for one in self._held]
        self._held.clear()
        with suppress(AmityError):  # they run out by themselves
            await self._disk(lambda: self._jobs.finish(released, now))

    # ------------------------------------------------------------------ leases
    async def _renew_for_ever(self) -> None:
        while True:
            duration = self._terms().duration
            await asyncio.sleep(duration.total_seconds() / _RENEWALS)
            with suppress(AmityError):  # tried again before the lease ends
                await self._renew(self._clock.now(), asyncio.get_running_loop().time())

    async def _renew(self, now: datetime, now_s: float) -> None:
        helds = {one.bundle.lease: one for one in self._held}
        if not helds:
            return
        still = await self._disk(lambda: self._jobs.renew(helds.keys(), now))
        for lease, held in helds.items():
            if lease in still:
                held.until, held.until_s = now + lease.lasts, now_s + _seconds(lease)
            else:
                self._let_go(held)

    async def _let_go_for_ever(self) -> None:
        """A session never outlives its lease, whatever keeps the disk from renewing it."""
        while True:
            await asyncio.sleep(_WATCH_S)
            for held in [one for one in self._held if self._is_over(one)]:
                self._let_go(held)

    def _is_over(self, held: _Held) -> bool:
        last_s = asyncio.get_running_loop().time() + _MARGIN.total_seconds()
        return held.until <= self._clock.now() + _MARGIN or held.until_s <= last_s

    def _let_go(self, held: _Held) -> None:
        if held in self._held:
            self._held.discard(held)
            if held.session is not None:
                held.session.cancel()
            self._tell(Done(held.bundle, (), accepted=False))

    async def _take_back_for_ever(self) -> None:
        """The meters of workers that are gone are free again."""
        while True:
            with suppress(AmityError):  # looked for again
                if await self._lost.look():
                    self.wake()
            await asyncio.sleep(self._lost.pause_s)

    async def _until_idle(self) -> None:
        """Returns when a look for work with nothing in hand found none."""
        quiet = 0
        while quiet < 2:  # noqa: PLR2004 - one whole pause without work
            await asyncio.sleep(self._look_every_s)
            if self.last_error is not None:
                raise self.last_error
            quiet = 0 if self._held else quiet + 1

    @property
    def _look_every_s(self) -> float:
        return self._terms().look_every.total_seconds()

    def _tell(self, done: Done) -> None:
        self._changed.set()
        if self._on_done is not None:
            self._on_done(done)


def _seconds(lease: Lease) -> float:
    return lease.lasts.total_seconds()
