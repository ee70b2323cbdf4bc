"""A worker: leases meters, holds one association with each, and gives back jobs and readings in one transaction.

Any number of workers share one database. A worker that dies loses its leases when they run out, and another takes
those meters; should it only have been slow, the fence of its leases keeps it from storing anything twice.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from amity.domain.jobs import Bundle, Job, JobKind, JobOutcome, JobState, Lease
from amity.headend.jobs.ports import Finished, JobStore, LeaseTerms
from amity.headend.jobs.retry import RetryRules, after_failure, failure_of, rests_until
from amity.headend.jobs.sessions import BundleReader, SessionResult
from amity.headend.ports import Disk
from amity.headend.reader import defect
from amity.kernel.backoff import Chance
from amity.kernel.errors import AmityError
from amity.kernel.time import Clock

LEASED_AT_ONCE_MAX: Final = 256
SAVED_AT_ONCE_MAX: Final = 128
_WATCH_S: Final = 1.0
_RENEWALS: Final = 3
"""A lease is renewed when a third of its time has passed, so that two renewals may fail."""
_MARGIN: Final = timedelta(seconds=5)
"""So long before its end a lease that could not be renewed is let go: the meter's next holder finds it free."""
_PAUSE_AFTER_TROUBLE_S: Final = 5.0


class Done(NamedTuple):
    """One bundle is done with. `accepted` is false when the lease was lost before; `not_kept` is the disk's refusal."""

    bundle: Bundle
    outcomes: tuple[JobOutcome, ...]
    accepted: bool
    not_kept: AmityError | None = None


OnDone = Callable[[Done], None]


@dataclass(slots=True, eq=False)
class _Held:
    """A lease of ours: valid until then, and its session while that runs."""

    bundle: Bundle
    until: datetime
    session: asyncio.Task[None] | None = None


class _Ended(NamedTuple):
    held: _Held
    result: SessionResult


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
        self.last_error: AmityError | None = None

    async def run(self) -> None:
        """Work until cancelled; leases that are still held then are given back."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._lease_for_ever(tasks))
                tasks.create_task(self._save_for_ever())
                tasks.create_task(self._renew_for_ever())
                tasks.create_task(self._let_go_for_ever())
        finally:
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
        working = asyncio.create_task(self.run())
        idle = asyncio.create_task(self._until_idle())
        try:
            await asyncio.wait({working, idle}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            idle.cancel()
            working.cancel()
            await asyncio.gather(idle, working, return_exceptions=True)
        for ended in (idle, working):
            if not ended.cancelled():
                ended.result()

    # ------------------------------------------------------------------ taking work
    async def _lease_for_ever(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            self._changed.clear()
            room = min(self._concurrency - self._running, LEASED_AT_ONCE_MAX)
            taken = await self._lease(room, tasks) if room > 0 else 0
            if taken < room or room == 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._look_every_s):
                        await self._changed.wait()

    async def _lease(self, room: int, tasks: asyncio.TaskGroup) -> int:
        """Take work for so many sessions and begin them; how many there were."""
        terms, now = self._terms(), self._clock.now()
        try:
            bundles = await self._disk(lambda: self._jobs.lease(terms, room, now))
            helds = [_Held(one, one.lease.until) for one in bundles]
            self._held.update(helds)
            await self._reader.announce(bundles)
            self.last_error = None
        except AmityError as error:
            self.last_error = error
            await asyncio.sleep(_PAUSE_AFTER_TROUBLE_S)
            return 0
        for held in helds:
            self._running += 1
            held.session = tasks.create_task(self._hold(held))
        return len(helds)

    async def _hold(self, held: _Held) -> None:
        """The session of one bundle; its result waits to be saved."""
        try:
            result = await self._reader.read(held.bundle)
        except asyncio.CancelledError:
            if held in self._held:
                raise
            return  # the lease was lost
        except Exception as error:  # noqa: BLE001 - what one meter brings about must not reach the others
            known = error if isinstance(error, AmityError) else defect(error)
            result = SessionResult(failure=failure_of(known, passing=False))
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
        now, rules = self._clock.now(), self._terms().retry
        finished = [finished_of(one.held.bundle, one.result, now, rules, self._chance) for one in batch]
        try:
            accepted = await self._disk(lambda: self._keep(batch, finished, now))
        except AmityError as error:
            await self._save_singly(batch, finished, error)
            return
        for one, given_back in zip(batch, finished, strict=True):
            self._held.discard(one.held)
            ours = given_back.lease in accepted
            if ours:
                one.result.kept()
            self._tell(Done(one.held.bundle, given_back.outcomes, accepted=ours))

    async def _save_singly(self, batch: Sequence[_Ended], finished: Sequence[Finished], error: AmityError) -> None:
        """One that cannot be kept must not take the others with it; its lease runs out and the meter is read again."""
        if len(batch) > 1:
            for one in batch:
                await self._save([one])
            return
        self._held.discard(batch[0].held)
        self._tell(Done(batch[0].held.bundle, finished[0].outcomes, accepted=False, not_kept=error))

    def _keep(self, batch: Sequence[_Ended], finished: Sequence[Finished], now: datetime) -> frozenset[Lease]:
        """On the disk's thread: jobs and readings of all sessions, or none of them."""
        with self._jobs.transaction():
            accepted = self._jobs.finish(finished, now)
            ours = [one for one in batch if one.held.bundle.lease in accepted]
            self._reader.keep([one.result.saving for one in ours if one.result.saving is not None])
            self._jobs.enqueue([request for one in ours for request in one.result.follow_ups], now)
        return accepted

    async def _give_back(self) -> None:
        """When the worker stops: what has ended is saved, the other jobs wait again as if they had not been taken."""
        await self._save(self._ended_now())
        now = self._clock.now()
        released = [
            Finished(
                one.bundle.lease,
                tuple(JobOutcome(job.job_id, JobState.WAITING, now, afresh=True) for job in one.bundle.jobs),
            )
            for one in self._held
        ]
        self._held.clear()
        with suppress(AmityError):  # they run out by themselves
            await self._disk(lambda: self._jobs.finish(released, now))

    # ------------------------------------------------------------------ leases
    async def _renew_for_ever(self) -> None:
        while True:
            duration = self._terms().duration
            await asyncio.sleep(duration.total_seconds() / _RENEWALS)
            with suppress(AmityError):  # tried again before the lease ends
                await self._renew(self._clock.now() + duration)

    async def _renew(self, until: datetime) -> None:
        helds = {one.bundle.lease: one for one in self._held}
        still = await self._disk(lambda: self._jobs.renew(helds.keys(), until))
        for lease, held in helds.items():
            if lease in still:
                held.until = until
            else:
                self._let_go(held)

    async def _let_go_for_ever(self) -> None:
        """A session never outlives its lease, whatever keeps the disk from renewing it."""
        while True:
            await asyncio.sleep(_WATCH_S)
            last = self._clock.now() + _MARGIN
            for held in [one for one in self._held if one.until <= last]:
                self._let_go(held)

    def _let_go(self, held: _Held) -> None:
        if held in self._held:
            self._held.discard(held)
            if held.session is not None:
                held.session.cancel()
            self._tell(Done(held.bundle, (), accepted=False))

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
        if self._on_done is not None:
            self._on_done(done)


def finished_of(bundle: Bundle, result: SessionResult, now: datetime, rules: RetryRules, chance: Chance) -> Finished:
    """What becomes of each job of a bundle after this session; those that wait again wait equally long."""
    drawn = chance()
    outcomes = tuple(_outcome(job, result, now, rules, lambda: drawn) for job in bundle.jobs)
    answered = result.failure is None
    rests = None if answered else rests_until(bundle.lease, now, rules)
    return Finished(bundle.lease, outcomes, answered, rests)


def _outcome(job: Job, result: SessionResult, now: datetime, rules: RetryRules, chance: Chance) -> JobOutcome:
    failure = result.failure or result.refused.get(job.job_id)
    if failure is not None:
        return after_failure(job, failure, now, rules, chance)
    if result.behind and job.kind is JobKind.PROFILES and job.span is None:
        return JobOutcome(job.job_id, JobState.WAITING, now, told="more of the past is to be read", afresh=True)
    return JobOutcome(job.job_id, JobState.DONE, told=result.remarks.get(job.job_id, ""))
