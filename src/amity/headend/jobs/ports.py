"""What schedules, workers and people need of the place where jobs are kept, as protocols."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from amity.domain.jobs import Bundle, Firing, Job, JobCounts, JobOutcome, JobRequest, JobState, Lease, Place, Rest
from amity.headend.jobs.retry import RetryRules
from amity.headend.jobs.throttle import ThrottleRules, network_of
from amity.headend.ports import Endpoint, Standing


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """Under which a worker takes work: how long a lease lasts, and what else due within `take_along` it brings.

    A worker without work looks every so often whether another node, or a person, has made some. `only` are the meters
    that it takes, None for any.
    """

    worker: str
    duration: timedelta = timedelta(seconds=60)
    take_along: timedelta = timedelta(0)
    look_every: timedelta = timedelta(milliseconds=500)
    throttle: ThrottleRules = field(default_factory=ThrottleRules)
    retry: RetryRules = field(default_factory=RetryRules)
    only: frozenset[str] | None = None


class Finished(NamedTuple):
    """A lease that is given back, with what became of its jobs.

    `tries` of the meter's day count as without an answer: none for one that answered, which so has its whole budget
    again. One that is to be left alone rests until then.
    """

    lease: Lease
    outcomes: tuple[JobOutcome, ...]
    tries: int = 0
    rests_until: datetime | None = None


class JobStore(Protocol):
    """Jobs by meter. Whoever changes a meter's jobs does so one at a time; at most one holds the meter's lease."""

    def transaction(self) -> AbstractContextManager[object]:
        """All calls within are committed together, or none of them."""
        ...

    def enqueue(self, requests: Sequence[JobRequest], now: datetime) -> Sequence[str]:
        """Take requests; return for each the id of the job that does it.

        A request whose key was seen is that job. One of the kind and span of a job of the same meter that still waits
        is coalesced into it: the earlier beginning, the more urgent class and the later deadline hold. One that waits
        for another try begins no earlier for that, unless the request is urgent.
        """
        ...

    def lease(self, terms: LeaseTerms, limit: int, now: datetime) -> Sequence[Bundle]:
        """At most `limit` meters with everything that is due for them, most pressing first, as the throttle lets them.

        A meter that is leased is nobody else's, whatever the time, until its lease is given back or revoked. What
        passed its deadline expires; a job that has had more than `attempts_max` leases is dead.
        """
        ...

    def renew(self, leases: Collection[Lease], now: datetime) -> frozenset[Lease]:
        """Hold on to leases for as long again as they last; those that are still ours."""
        ...

    def leases(self) -> Collection[Lease]:
        """All that are held, by whichever worker, as they were last renewed."""
        ...

    def note_silence(self, silences: Mapping[Lease, timedelta]) -> None:
        """For so long these were seen unrenewed: kept for those who look after us, until the lease is renewed."""
        ...

    def revoke(self, leases: Collection[Lease]) -> frozenset[Lease]:
        """Take leases from workers that are gone; those that were not renewed meanwhile. Their jobs wait again."""
        ...

    def finish(self, finished: Collection[Finished], now: datetime) -> frozenset[Lease]:
        """Give leases back; those that were still ours. Of the others nothing is changed: somebody else has them."""
        ...

    def expire(self, now: datetime) -> int:
        """End the waiting jobs whose deadline has passed; return how many."""
        ...

    def prune(self, before: datetime) -> int:
        """Forget the jobs that ended before this, dead letters apart; return how many."""
        ...


class JobsPutOff(Protocol):
    """Jobs that wait until there is a way to their meter."""

    def due_now(self, meter_id: str, now: datetime) -> None:
        """What waits for a way to this meter is due now; breaks that follow a failure are not cut short."""
        ...

    def put_off(
        self, meter_ids: Collection[str], collectors: Collection[str], now: datetime, limit: int
    ) -> Sequence[str]:
        """At most so many of these meters, and of those behind these collectors, whose jobs wait for a way to them."""
        ...


class JobQuery(NamedTuple):
    """Which jobs a person asks for; empty is any. `limit` (None: all) newest first, ended before those alive."""

    meter_id: str = ""
    states: frozenset[JobState] = frozenset()
    limit: int | None = 100
    correlation_id: str = ""


class JobBook(Protocol):
    """The jobs as people see and change them."""

    def find(self, query: JobQuery) -> Sequence[Job]:
        """The jobs of a query, the newest first."""
        ...

    def job(self, job_id: str) -> Job:
        """By its id or a beginning of it that only it has; raise NotFoundError otherwise."""
        ...

    def counts(self, now: datetime) -> JobCounts:
        """How many there are."""
        ...

    def rests(self, meter_ids: Collection[str], now: datetime) -> Mapping[str, Rest]:
        """Of these meters those that rest."""
        ...

    def in_hand(self, job_ids: Collection[str], now: datetime) -> frozenset[str]:
        """Those of them that are alive, but for what waits until there is a way to its meter."""
        ...

    def retry(self, job_id: str, now: datetime) -> Job:
        """Let a job that ended wait again, with all its attempts and no deadline; raise RequestError if it is alive."""
        ...

    def discard(self, job_id: str, by: str, now: datetime) -> Job:
        """End a job that is alive or dead, for good; raise RequestError when it ended otherwise.

        What waits or runs is cancelled, or has expired if its deadline has passed; what was dead has failed.
        """
        ...


class Member(NamedTuple):
    """A meter as a schedule selects it, the collector it is reached through and the cell it is in, if any."""

    meter_id: str
    profile: str
    host: str
    collector: str = ""
    cell: str = ""

    @property
    def place(self) -> Place:
        """What it shares with others on the way to it."""
        return Place(self.collector, self.cell, network_of(self.host))


def place_of(endpoint: Endpoint) -> Place:
    """What a meter shares with others on the way to it."""
    return Place(endpoint.route.collector, endpoint.route.cell, network_of(endpoint.route.host))


class FleetPages(Protocol):
    """The fleet, a page at a time, in the order of meter ids."""

    def page(self, after: str, limit: int) -> Sequence[Member]:
        """The next meters after this id; empty at the end."""
        ...


class FiringStore(Protocol):
    """How far each schedule has fired, for all schedulers of a cluster."""

    def transaction(self) -> AbstractContextManager[object]:
        """The same as the job store's."""
        ...

    def firing(self, schedule: str) -> Firing | None:
        """None for a schedule that is new here."""
        ...

    def moved(self, before: Firing | None, after: Firing) -> bool:
        """Store `after` if `before` still stands (None: nothing stored yet); False when another was first."""
        ...


class MeterStates(Protocol):
    """What a session needs to know of meters."""

    def of(self, meter_ids: Sequence[str]) -> Mapping[str, tuple[Endpoint, Standing]]:
        """Endpoint and standing of those that are known."""
        ...
