"""The head-end at work: schedules make jobs, a worker does them, what is old is forgotten."""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache, partial
from typing import Final

import structlog

from amity.domain.collection import Delivery
from amity.domain.jobs import JobState, ReadingSchedule
from amity.headend.jobs.calendar import Calendar
from amity.headend.jobs.meter_sessions import MeterSessions, OnUnsolicited, correlation_of
from amity.headend.jobs.on_demand import ALL_READINGS, Asker, OnDemand
from amity.headend.jobs.plan import JobPlan
from amity.headend.jobs.ports import LeaseTerms, MeterStates, place_of
from amity.headend.jobs.retry import RetryRules
from amity.headend.jobs.scheduler import Scheduler
from amity.headend.jobs.sessions import OnSession
from amity.headend.jobs.ways import Ways, WaysFollowed
from amity.headend.jobs.worker import Done, OnDone, Worker
from amity.headend.ports import Endpoint, NoWayHereError, Standing
from amity.headend.reader import Collected
from amity.headend.surroundings import Surroundings
from amity.kernel.backoff import Backoff
from amity.kernel.errors import AmityError, ConfigurationError, StorageError
from amity.kernel.time import SECONDS_PER_DAY
from amity.runtime.files.headend import look_at_schedules
from amity.runtime.files.schedules import ScheduleFile
from amity.runtime.files.watch import FileWatch
from amity.runtime.fleet.meter_defaults import EndpointsWithDefaults
from amity.runtime.folder import Folder
from amity.runtime.logs.lines import CORRELATION
from amity.runtime.logs.traces import session_traces
from amity.runtime.settings import HeadendSettings
from amity.storage.ot.database import OtDatabase

DEFAULT_SCHEDULE: Final = "default"
_TIDY_EVERY_S: Final = 60.0
_TRIES_A_DAY: Final = 24
_BREAKS: Final = Backoff(base_s=30.0, limit_s=900.0)
"""Between tries of a job for which nobody waits: what ails a line is seldom over in seconds."""


class JobWork:
    """Reads the fleet by jobs; `tell` is told of every session, `on_unsolicited` of what a meter pushed meanwhile.

    `ways` says who is with this node, `on_done` is told of every bundle that is given back.
    """

    def __init__(
        self,
        folder: Folder,
        settings: HeadendSettings,
        surroundings: Surroundings,
        database: OtDatabase,
        tell: OnSession,
        on_unsolicited: OnUnsolicited,
        *,
        ways: Callable[[], Ways] = Ways,
        on_done: OnDone | None = None,
    ) -> None:
        self._settings = settings
        self._surroundings = surroundings
        self._database = database
        self._traces = session_traces()
        self._tell = tell if self._traces is None else self._traces.tracing(tell)
        self._on_done = on_done
        self._schedules = ScheduleFile(folder.schedules, folder.last_good_schedules)
        self._watch = FileWatch("schedules", lambda: look_at_schedules(self._schedules, otherwise=DEFAULT_SCHEDULE))
        self._name = worker_name()
        self._states = WholeStates(database.meter_states, EndpointsWithDefaults(database.endpoints, settings))
        sessions = MeterSessions(
            surroundings,
            self._states,
            database.counters,
            bands=lambda: self._plan.clock,
            backfill=lambda: self._plan.backfill,
            on_collected=self._tell_of,
            on_unsolicited=on_unsolicited,
        )
        make_worker = partial(
            Worker,
            database.jobs,
            concurrency=settings.concurrency,
            clock=surroundings.clock,
            disk=surroundings.disk,
            chance=surroundings.chance,
        )
        self._worker = make_worker(sessions, terms=self._terms, on_done=self._tell_of_end)
        self._followed = WaysFollowed(
            ways, database.called_in, self._worker, clock=surroundings.clock, disk=surroundings.disk
        )
        self._on_demand = OnDemand(
            database.jobs,
            database.job_book,
            sessions,
            make_worker,
            terms=self._terms_while_waiting,
            surroundings=surroundings,
            on_done=self._tell_of_end,
        )
        self._scheduler = Scheduler(
            lambda: calendars_of(self._plan, settings),
            firings=database.firings,
            pages=database.fleet_pages,
            jobs=database.jobs,
            clock=surroundings.clock,
            disk=surroundings.disk,
            on_jobs=self._worker.wake,
        )

    @property
    def last_error(self) -> AmityError | None:
        """Why work is held up; None while all is well."""
        return self._worker.last_error or self._scheduler.last_error

    @property
    def open_sessions(self) -> int:
        """How many meters are spoken with now."""
        return self._worker.open_sessions

    async def called_in(self, meter_id: str) -> None:
        """A meter is on the line of this node: what waited for it is done here, before a node without it tries."""
        await self._followed.called_in(meter_id)

    async def ping(self, meter_id: str, asker: Asker) -> Delivery:
        """Ping one meter at once; what it brought, and what was due for it, waits in the outbox.

        Raise ConfigurationError when the meter is not known, or is one that only the running head-end has a way to.
        Else see `OnDemand.meter`.
        """
        known = await self._surroundings.disk(lambda: self._states.of([meter_id]))
        if meter_id not in known:
            raise ConfigurationError(
                f"no meter is called {meter_id!r}", next_step="amity meter list: copy the name from there"
            )
        endpoint, _ = known[meter_id]
        if endpoint.route.calls_in or endpoint.route.collector:
            raise ConfigurationError(
                f"meter {meter_id} is reached by {endpoint.route}, which only the running head-end has",
                next_step=f"amity meter read {meter_id}: it has the running head-end read the meter",
            )
        return await self._on_demand.meter(meter_id, asker, place_of(endpoint))

    async def read_all_once(self, asker: Asker) -> None:
        """Everything of every meter, once: see `OnDemand.fleet`."""
        await self._on_demand.fleet(self._database.fleet_pages, asker)

    async def run(self) -> None:
        """Work until cancelled. Who has no schedule of their own sees their meters read at once."""
        if not self._plan.schedules:
            await self._begin_default()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._worker.run())
            tasks.create_task(self._scheduler.run())
            tasks.create_task(self._watch.run())
            tasks.create_task(self._followed.run())
            tasks.create_task(self._tidy_for_ever())

    async def _begin_default(self) -> None:
        (calendar,) = calendars_of(self._plan, self._settings)
        with suppress(StorageError):  # it fires at its time; trouble is told once work begins
            await self._surroundings.disk(lambda: self._scheduler.begin_now(calendar))

    @property
    def _plan(self) -> JobPlan:
        return self._schedules.plan

    def _terms(self) -> LeaseTerms:
        plan = self._plan
        lease = timedelta(seconds=self._settings.lease_s)
        retry = replace(plan.retry or default_retry(self._settings), busy_break=lease)
        return LeaseTerms(self._name, lease, take_along=plan.take_along, throttle=plan.throttle, retry=retry)

    def _terms_while_waiting(self) -> LeaseTerms:
        """Somebody waits: tried again with the short breaks of a session."""
        terms, rules = self._terms(), self._surroundings.session
        retry = RetryRules(rules.attempts_max, terms.retry.tries_a_day, rules.backoff)
        return replace(terms, retry=retry)

    def _tell_of(self, collected: Collected) -> None:
        """Where nobody could be called there was no session; the job and the delivery say what is waited for."""
        if not isinstance(collected.error, NoWayHereError):
            self._tell(collected.delivery)

    def _tell_of_end(self, done: Done) -> None:
        if self._on_done is not None:
            self._on_done(done)
        if self._traces is not None:
            self._traces.jobs(done, self._surroundings.clock.now())
        _tell_of_trouble(done)

    async def _tidy_for_ever(self) -> None:
        log: structlog.stdlib.BoundLogger = structlog.get_logger("headend")
        jobs, clock = self._database.jobs, self._surroundings.clock
        while True:
            now = clock.now()
            kept = timedelta(days=self._settings.jobs_kept_days)
            try:
                await self._surroundings.disk(lambda now=now: jobs.expire(now))  # type: ignore[misc]
                await self._surroundings.disk(lambda before=now - kept: jobs.prune(before))  # type: ignore[misc]
            except StorageError as error:
                log.error("old jobs not pruned", reason=error.lines())  # noqa: TRY400 - structured, no traceback
            await asyncio.sleep(_TIDY_EVERY_S)


class WholeStates:
    """Implements `headend.jobs.ports.MeterStates`: what an endpoint leaves open is filled in."""

    def __init__(self, states: MeterStates, defaults: EndpointsWithDefaults) -> None:
        self._states = states
        self._defaults = defaults

    def of(self, meter_ids: Sequence[str]) -> Mapping[str, tuple[Endpoint, Standing]]:
        """Endpoint, whole, and standing of those that are known."""
        known = self._states.of(meter_ids)
        return {one: (self._defaults.whole(endpoint), standing) for one, (endpoint, standing) in known.items()}


@lru_cache(maxsize=4)
def calendars_of(plan: JobPlan, settings: HeadendSettings) -> Sequence[Calendar]:
    """Those of the file; where there are none, the default: every meter, every poll interval."""
    return [Calendar(one) for one in plan.schedules or (default_schedule(settings),)]


def default_schedule(settings: HeadendSettings) -> ReadingSchedule:
    """Everything of every meter, every `poll_interval_s`."""
    every = timedelta(seconds=settings.poll_interval_s)
    return ReadingSchedule(DEFAULT_SCHEDULE, "* * * * *", "UTC", ALL_READINGS, every=every)


def default_retry(settings: HeadendSettings) -> RetryRules:
    """A meter may be tried as often as the default schedule asks for it."""
    polls = SECONDS_PER_DAY // settings.poll_interval_s
    tries_a_day = max(_TRIES_A_DAY, settings.attempts * polls)
    return RetryRules(settings.attempts, tries_a_day, _BREAKS)


def worker_name() -> str:
    """Host and process: no two workers of a cluster have the same."""
    return f"{socket.gethostname()}/{os.getpid()}"


def _tell_of_trouble(done: Done) -> None:
    """What a session's own line does not say: that the disk refused it, that it was given up or the lease lost."""
    told: structlog.stdlib.BoundLogger = structlog.get_logger("headend")
    log = told.bind(**{CORRELATION: correlation_of(done.bundle.jobs)})
    if done.not_kept is not None:
        log.error("delivery not kept", meter=done.bundle.meter_id, reason=done.not_kept.lines())
    elif not done.accepted:
        log.warning("lease lost", meter=done.bundle.meter_id, worker=done.bundle.lease.worker)
    for outcome in done.outcomes:
        if done.accepted and outcome.state is JobState.DEAD:
            log.warning(
                "job given up", job=outcome.job_id, meter=done.bundle.meter_id, told=outcome.told, next=outcome.remedy
            )
