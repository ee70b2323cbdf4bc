"""What the job store gives and takes back, seen from outside: a lease that another one followed is worth nothing."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from amity.domain.jobs import Bundle, Lease
from amity.headend.jobs.ports import Finished, JobStore, LeaseTerms
from amity.simulation.campaign.witness import Invariant, Witness


class Fences:
    """The newest lease of each meter, whichever node has it."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._newest: dict[str, int] = {}

    def given(self, bundles: Sequence[Bundle]) -> None:
        """Somebody holds these from now on."""
        self._newest.update((one.lease.meter_id, one.lease.fence) for one in bundles)

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

    def __init__(self, jobs: JobStore, fences: Fences) -> None:
        self._jobs = jobs
        self._fences = fences

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    def lease(self, terms: LeaseTerms, limit: int, now: datetime) -> Sequence[Bundle]:
        """As the other."""
        bundles = self._jobs.lease(terms, limit, now)
        self._fences.given(bundles)
        return bundles

    def renew(self, leases: Collection[Lease], until: datetime) -> frozenset[Lease]:
        """As the other."""
        return self._compared(self._jobs.renew(leases, until))

    def finish(self, finished: Collection[Finished], now: datetime) -> frozenset[Lease]:
        """As the other."""
        return self._compared(self._jobs.finish(finished, now))

    def _compared(self, held: frozenset[Lease]) -> frozenset[Lease]:
        self._fences.accepted(held)
        return held
