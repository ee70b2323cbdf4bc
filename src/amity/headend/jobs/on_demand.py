"""What somebody waits for, done here and now: jobs like all others, under the leases of the whole cluster."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from amity.domain.collection import Delivery
from amity.domain.jobs import NOWHERE, Bundle, JobKind, JobRequest, Place, Priority
from amity.headend.jobs.ports import FleetPages, JobBook, JobStore, LeaseTerms
from amity.headend.jobs.retry import RetryRules
from amity.headend.jobs.sessions import BundleReader, SessionResult
from amity.headend.jobs.worker import Done, OnDone, Worker
from amity.headend.ports import Saving
from amity.headend.surroundings import Surroundings
from amity.kernel.backoff import Chance
from amity.kernel.errors import AmityError, RequestError

A_PING: Final = (JobKind.PING,)
ALL_READINGS: Final = (JobKind.REGISTERS, JobKind.PROFILES, JobKind.EVENTS)
WAIT_FOR_METER: Final = timedelta(seconds=90)
"""Long enough that a worker which died a moment ago with the meter in hand has lost it by then."""
_LOOK_EVERY_S: Final = 0.1
_PAGE: Final = 500


class Asker(NamedTuple):
    """Who asks, under which word of the logs; `key` makes what is asked for a thing of its own."""

    name: str
    key: str
    correlation_id: str = ""
    reason: str = ""

    def request(self, meter_id: str, kind: JobKind, place: Place, now: datetime) -> JobRequest:
        """A job of theirs, due now; once nobody can still be waiting for it, it expires."""
        return JobRequest(
            meter_id,
            kind,
            Priority.ON_DEMAND,
            now,
            f"{self.key}/{meter_id}/{kind}",
            deadline=now + WAIT_FOR_METER,
            requested_by=self.name,
            reason=self.reason,
            correlation_id=self.correlation_id,
            place=place,
        )


class MakeWorker(Protocol):
    """Makes a worker of this node."""

    def __call__(self, reader: BundleReader, *, terms: Callable[[], LeaseTerms], on_done: OnDone) -> Worker:
        """One that reads through this, under these terms."""
        ...


class OnDemand:
    """Reads one meter, or all of them, while somebody waits."""

    def __init__(
        self,
        jobs: JobStore,
        book: JobBook,
        reader: BundleReader,
        make_worker: MakeWorker,
        *,
        terms: Callable[[], LeaseTerms],
        surroundings: Surroundings,
        on_done: OnDone,
    ) -> None:
        self._jobs = jobs
        self._book = book
        self._reader = reader
        self._make_worker = make_worker
        self._terms = terms
        self._clock, self._disk, self._chance = surroundings.clock, surroundings.disk, surroundings.chance
        self._on_done = on_done

    async def meter(
        self, meter_id: str, asker: Asker, place: Place = NOWHERE, kinds: Sequence[JobKind] = A_PING
    ) -> Delivery:
        """One association with the meter, tried again at once as the rules allow; how it went is told in the delivery.

        The jobs are made in the transaction of their lease: nobody else can take them. While somebody else has the
        meter they are not made at all. Those that fail make no dead letter; what came along goes its own way.
        Raise RequestError when that takes too long or the lease is lost, StorageError when the disk fails, and what
        kept the session from being one.
        """
        told: list[Done] = []

        def requests() -> Sequence[JobRequest]:
            return [asker.request(meter_id, kind, place, self._clock.now()) for kind in kinds]

        def asked() -> Collection[str]:
            self._jobs.enqueue(requests(), self._clock.now())
            return (meter_id,)

        persistent = _Persistent(self._reader, self._terms().retry, self._chance)
        told_at_once = frozenset(one.job_id for one in requests())
        worker = self._make_worker(persistent, terms=lambda: self._terms_telling(told_at_once), on_done=told.append)

        until = self._clock.now() + WAIT_FOR_METER
        while not await worker.do(asked):
            if self._clock.now() >= until:
                raise _busy(meter_id)
            await asyncio.sleep(_LOOK_EVERY_S)
        self._on_done(told[-1])
        return _brought(told[-1], persistent.result)

    async def fleet(self, pages: FleetPages, asker: Asker, kinds: Sequence[JobKind] = ALL_READINGS) -> None:
        """Every meter once; return when all of it has ended, whichever worker did it. Raise what keeps us from work.

        What waits for a way to its meter is not waited for.
        """
        asked = await self._disk(lambda: self._ask_all(pages, asker, kinds))
        worker = self._make_worker(self._reader, terms=self._terms, on_done=self._on_done)
        await worker.run_until(self._until_ended(worker, asked))

    def _terms_telling(self, told_at_once: frozenset[str]) -> LeaseTerms:
        terms = self._terms()
        return replace(terms, retry=replace(terms.retry, told_at_once=told_at_once))

    def _ask_all(self, pages: FleetPages, asker: Asker, kinds: Sequence[JobKind]) -> frozenset[str]:
        done_by: set[str] = set()
        page = pages.page("", _PAGE)
        while page:
            now = self._clock.now()
            wanted = [asker.request(one.meter_id, kind, one.place, now) for one in page for kind in kinds]
            done_by.update(self._jobs.enqueue([replace(one, deadline=None) for one in wanted], now))
            page = pages.page(page[-1].meter_id, _PAGE)
        return frozenset(done_by)

    async def _until_ended(self, worker: Worker, asked: frozenset[str]) -> None:
        while asked:
            await asyncio.sleep(_LOOK_EVERY_S)
            if worker.last_error is not None:
                raise worker.last_error
            asked = await self._disk(lambda left=asked: self._book.in_hand(left, self._clock.now()))  # type: ignore[misc]


class _Persistent:
    """Implements `BundleReader`: sessions with a meter one after another, until one succeeds, under one lease.

    `result` is that of the last one.
    """

    def __init__(self, reader: BundleReader, rules: RetryRules, chance: Chance) -> None:
        self._reader = reader
        self._rules = rules
        self._chance = chance
        self.result = SessionResult()

    async def announce(self, bundles: Sequence[Bundle]) -> None:
        """As it is."""
        await self._reader.announce(bundles)

    async def read(self, bundle: Bundle) -> SessionResult:
        """The last session's result."""
        for attempt in range(1, self._rules.attempts_max + 1):
            self.result = await self._reader.read(replace(bundle, lease=replace(bundle.lease, tries=attempt)))
            failure = self.result.failure
            if failure is None or not (failure.passing and failure.tried) or attempt == self._rules.attempts_max:
                break
            await asyncio.sleep(self._rules.backoff.wait_s(attempt, self._chance))
            await self._reader.announce([bundle])
        return self.result

    def keep(self, savings: Sequence[Saving]) -> None:
        """As it is."""
        self._reader.keep(savings)


def _brought(done: Done, result: SessionResult) -> Delivery:
    if done.not_kept is not None:
        raise done.not_kept
    if not done.accepted:
        raise _busy(done.bundle.meter_id)
    if result.saving is None:
        failure = result.failure
        raise AmityError(failure.told if failure else "nothing was read", next_step=failure.remedy if failure else None)
    return result.saving.delivery


def _busy(meter_id: str) -> RequestError:
    return RequestError(
        f"meter {meter_id} is being read by somebody else, or the way to it is full",
        next_step="ask again; `amity jobs list` tells who has it, `amity meter read` puts it in the queue",
    )
