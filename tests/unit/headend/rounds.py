"""Rounds over a fleet as `amity demo --once` makes them: jobs for every meter, done until all have ended."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count

from amity.domain.collection import Delivery, Outcome
from amity.headend.jobs.meter_sessions import MeterSessions
from amity.headend.jobs.on_demand import Asker, OnDemand
from amity.headend.jobs.ports import LeaseTerms
from amity.headend.jobs.retry import RetryRules
from amity.headend.jobs.worker import Done, Worker
from amity.headend.ports import Endpoint
from amity.headend.reader import Collected
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import AmityError
from amity.storage.ot.database import OtDatabase

_ROUNDS = count()


@dataclass
class Round:
    """How a round ended: meters by the outcome of their last session, and those whose delivery was not kept."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    not_kept: dict[str, AmityError] = field(default_factory=dict)


class Rounds:
    """One head-end that reads the meters of a database, whenever it is asked to; `told` is told of every session."""

    def __init__(
        self,
        surroundings: Surroundings,
        database: OtDatabase,
        *,
        concurrent_sessions: int = 64,
        told: Callable[[Delivery], None] = lambda _delivery: None,
        on_unsolicited: Callable[[Endpoint, bytes], Awaitable[None]] | None = None,
        name: str = "w1",
        lease: timedelta = timedelta(seconds=60),
    ) -> None:
        self._database = database
        self._told = told
        self._round = Round()
        rules = surroundings.session
        terms = LeaseTerms(
            name,
            lease,
            look_every=timedelta(milliseconds=20),
            retry=RetryRules(rules.attempts_max, tries_a_day=1000, backoff=rules.backoff),
        )
        sessions = MeterSessions(
            surroundings,
            database.meter_states,
            surroundings.counters if hasattr(surroundings.counters, "reserve_all") else database.counters,
            on_collected=self._collected,
            on_unsolicited=on_unsolicited,
        )
        make_worker = partial(
            Worker,
            database.jobs,
            concurrency=concurrent_sessions,
            clock=surroundings.clock,
            disk=surroundings.disk,
            chance=surroundings.chance,
        )
        self._on_demand = OnDemand(
            database.jobs,
            database.job_book,
            sessions,
            make_worker,
            terms=lambda: terms,
            surroundings=surroundings,
            on_done=self._done,
        )

    async def read_fleet_once(self) -> Round:
        """Every meter once, with retries, until it has nothing more to give."""
        self._round = Round()
        await self._on_demand.fleet(self._database.fleet_pages, self._asker())
        return self._round

    async def read_meter(self, meter_id: str) -> Delivery:
        """One meter, now."""
        return await self._on_demand.meter(meter_id, self._asker())

    @staticmethod
    def _asker() -> Asker:
        return Asker("test", f"round/{os.getpid()}/{next(_ROUNDS)}")

    def _collected(self, collected: Collected) -> None:
        self._round.outcomes[collected.delivery.meter_id] = collected.delivery.outcome
        self._told(collected.delivery)

    def _done(self, done: Done) -> None:
        if done.not_kept is not None:
            self._round.not_kept[done.bundle.meter_id] = done.not_kept
