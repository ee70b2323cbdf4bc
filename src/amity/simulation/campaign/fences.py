"""Leases seen from outside: one that another followed is worth nothing, nor is anything that it brings."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from amity.domain.jobs import Bundle, Lease
from amity.headend.jobs.ports import Finished, JobStore, LeaseTerms
from amity.headend.jobs.sessions import BundleReader, SessionResult
from amity.headend.ports import Saving
from amity.simulation.campaign.witness import Invariant, Witness


class Fences:
    """The newest lease of each meter, whichever node has it."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._newest: dict[str, int] = {}
        self._brought: dict[str, Lease] = {}

    def given(self, bundles: Sequence[Bundle]) -> None:
        """Somebody holds these from now on."""
        self._newest.update((one.lease.meter_id, one.lease.fence) for one in bundles)

    def brought(self, message_id: str, lease: Lease) -> None:
        """A session under this lease brought a delivery, which is not stored yet."""
        self._brought[message_id] = lease

    def stored(self, message_ids: Collection[str]) -> None:
        """These are going in: does nobody else have their meters?"""
        self._witness.checked(Invariant.NOTHING_OF_LOST_LEASES, len(message_ids))
        for lease in map(self._brought.get, message_ids):
            if lease is not None and lease.fence < self._newest.get(lease.meter_id, lease.fence):
                self._witness.violated(
                    Invariant.NOTHING_OF_LOST_LEASES,
                    f"what lease {lease.fence} of {lease.meter_id} brought, by {lease.worker}, was stored after"
                    f" {self._newest[lease.meter_id]}",
                )

    def accepted(self, leases: Collection[Lease]) -> None:
        """These were taken for the newest ones: are they?"""
        self._witness.checked(Invariant.FENCED, len(leases))
        for lease in leases:
            newest = self._newest.get(lease.meter_id, lease.fence)
            if lease.fence < newest:
                self._witness.violated(
                    Invariant.FENCED,
                    f"lease {lease.fence} of {lease.meter_id}, by {lease.worker}, was accepted after {newest}",
                )


class WatchedJobs:
    """Implements `headend.jobs.ports.JobStore`: another one, whose leases are compared."""

    def __init__(self, jobs: JobStore, fences: Fences, afterwards: Callable[[Callable[[], None]], None]) -> None:
        self._jobs = jobs
        self._fences = fences
        self._afterwards = afterwards

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    def lease(self, terms: LeaseTerms, limit: int, now: datetime) -> Sequence[Bundle]:
        """As the other."""
        bundles = self._jobs.lease(terms, limit, now)
        self._afterwards(lambda: self._fences.given(bundles))
        return bundles

    def renew(self, leases: Collection[Lease], now: datetime) -> frozenset[Lease]:
        """As the other."""
        return self._compared(self._jobs.renew(leases, now))

    def finish(self, finished: Collection[Finished], now: datetime) -> frozenset[Lease]:
        """As the other."""
        return self._compared(self._jobs.finish(finished, now))

    def _compared(self, held: frozenset[Lease]) -> frozenset[Lease]:
        self._fences.accepted(held)
        return held


class WatchedSessions:
    """Implements `headend.jobs.sessions.BundleReader`: another one; what it brings is noted with its lease."""

    def __init__(self, sessions: BundleReader, fences: Fences) -> None:
        self._sessions = sessions
        self._fences = fences
        self.announce = sessions.announce

    async def read(self, bundle: Bundle) -> SessionResult:
        """As the other."""
        result = await self._sessions.read(bundle)
        if result.saving is not None:
            self._fences.brought(result.saving.delivery.message_id, bundle.lease)
        return result

    def keep(self, savings: Sequence[Saving]) -> None:
        """As the other."""
        self._fences.stored([one.delivery.message_id for one in savings])
        self._sessions.keep(savings)
