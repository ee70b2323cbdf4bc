"""The session behind a bundle: one association in which each job's step is taken, and what follows from it."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol
from weakref import WeakValueDictionary

from amity.domain.jobs import Bundle, Job, JobKind, JobRequest, Lease, Priority
from amity.domain.spans import TimeSpan, within
from amity.headend.counter_bank import CHUNK
from amity.headend.fitting import fitting
from amity.headend.jobs.clock_policy import ClockAction, ClockBands
from amity.headend.jobs.clock_session import ClockMove, ClockStep
from amity.headend.jobs.gaps import BackfillRules, backfill
from amity.headend.jobs.ports import MeterStates
from amity.headend.jobs.retry import Failure, by_name_only, failure_of
from amity.headend.jobs.sessions import SessionResult
from amity.headend.outcomes import denied, worth_retrying
from amity.headend.plan import Part, Wanted
from amity.headend.ports import CounterStore, Endpoint, Progress, Saving, Standing
from amity.headend.reader import Collected, MeterReader
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import AmityError, ConfigurationError
from amity.kernel.time import isoformat
from amity.protocols.dlms.profile_buffer import TemplateCache

_PARTS: Final = {
    JobKind.PING: Part.TOTAL,
    JobKind.REGISTERS: Part.REGISTERS,
    JobKind.PROFILES: Part.INTERVALS,
    JobKind.EVENTS: Part.EVENTS,
}
_OF_THE_CLOCK: Final = frozenset({JobKind.CLOCK_CHECK, JobKind.CLOCK_SET})
READERS_MAX: Final = 4096
"""Meters whose layouts and settings are remembered; the others are asked again."""

OnCollected = Callable[[Collected], None]
OnUnsolicited = Callable[[Endpoint, bytes], Awaitable[None]]


class _Remembered(NamedTuple):
    """A meter that was read, and the fence of the lease under which it was."""

    reader: MeterReader
    fence: int


class CounterStock(Protocol):
    """Invocation counters of many meters at once."""

    def reserve_all(self, meter_ids: Sequence[str], count: int) -> Mapping[str, int]:
        """Durably reserve `count` counters for each; the first of them by meter."""
        ...


class MeterSessions:
    """Implements `headend.jobs.sessions.BundleReader`.

    `bands` says what is done about clocks, `backfill` how what a meter had no row for is asked for again.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        states: MeterStates,
        stock: CounterStock,
        *,
        bands: Callable[[], ClockBands] = ClockBands,
        backfill: Callable[[], BackfillRules] = BackfillRules,
        on_collected: OnCollected | None = None,
        on_unsolicited: OnUnsolicited | None = None,
    ) -> None:
        self._prefetched = _Prefetched(surroundings.counters)
        self._surroundings = replace(surroundings, counters=self._prefetched)
        self._states = states
        self._stock = stock
        self._bands = bands
        self._backfill = backfill
        self._on_collected = on_collected
        self._on_unsolicited = on_unsolicited
        self._known: dict[str, tuple[Endpoint, Standing]] = {}
        self._readers: OrderedDict[str, _Remembered] = OrderedDict()
        self._lines: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._templates = TemplateCache()

    async def announce(self, bundles: Sequence[Bundle]) -> None:
        """Endpoints, standings and invocation counters of all these meters, by one call to the disk's thread."""
        if bundles:
            self._known.update(await self._surroundings.disk(lambda: self._fetch(bundles)))

    def _fetch(self, bundles: Sequence[Bundle]) -> Mapping[str, tuple[Endpoint, Standing]]:
        known = self._states.of([bundle.meter_id for bundle in bundles])
        strange = {bundle.meter_id for bundle in bundles if not self._was_ours(bundle.lease)}
        new = [one for one, (endpoint, _) in known.items() if one in strange and endpoint.auth != "none"]
        self._prefetched.first.update(self._stock.reserve_all(new, CHUNK))
        return known

    async def read(self, bundle: Bundle) -> SessionResult:
        """One session for all of it; a step that fails by itself fails its own jobs only."""
        known = self._known.pop(bundle.meter_id, None)
        if known is None:
            gone = ConfigurationError(
                f"no meter is called {bundle.meter_id!r}", next_step="add it again, or discard its jobs"
            )
            return SessionResult(failure=failure_of(gone, passing=False))
        endpoint, standing = known
        try:
            async with self._line(endpoint):
                return await self._read(bundle, endpoint, standing)
        finally:
            self._prefetched.first.pop(bundle.meter_id, None)

    def _line(self, endpoint: Endpoint) -> asyncio.Lock:
        """Meters on one line, serial or behind one modem, wait for each other.

        One with a line of its own waits for itself: when our clock jumps, a lease can run out under a session.
        """
        return self._lines.setdefault(endpoint.route.shared_line or endpoint.meter_id, asyncio.Lock())

    def keep(self, savings: Sequence[Saving]) -> None:
        """Onto the disk, with the jobs that end."""
        self._surroundings.collection.save_all(savings)

    async def _read(self, bundle: Bundle, endpoint: Endpoint, standing: Standing) -> SessionResult:
        surroundings, jobs = self._surroundings, bundle.jobs
        reader, progress = self._reader(endpoint, bundle.lease), await self._progress(endpoint.meter_id, standing)
        reader.resume(standing.heard)
        clock = self._clock_step(endpoint, bundle) if bundle.kinds & _OF_THE_CLOCK else None
        surroundings.mappings.poll()
        collected = await reader.read(
            progress,
            surroundings.mappings.mapping,
            attempt=bundle.lease.tries,
            wanted=wanted_of(jobs),
            step=clock,
            correlation_id=correlation_of(jobs),
        )
        await self._hand_over(endpoint, collected.unsolicited)
        if self._on_collected is not None:
            self._on_collected(collected)
        result = self._result(endpoint, collected)
        if result.failure is not None:
            return result
        follow_ups = self._made_up(endpoint, collected.missing)
        result = replace(result, follow_ups=follow_ups, lacking=_lacking(jobs, collected.lacking))
        return result if clock is None else _with_clock(result, clock, endpoint, jobs)

    def _clock_step(self, endpoint: Endpoint, bundle: Bundle) -> ClockStep:
        """A clock that was looked at before, and nothing else, needs the client that may set it alone.

        So a move succeeds, when it is tried again, on lines where a released association stands for a while (UDP).
        """
        profile, now = self._surroundings.profile_of(endpoint.profile), self._surroundings.clock.now
        judged = bundle.kinds <= _OF_THE_CLOCK and all(
            job.kind is JobKind.CLOCK_SET or job.attempts > 1 for job in bundle.jobs
        )
        return ClockStep(profile, self._bands(), now, unfinished=judged)

    async def _hand_over(self, endpoint: Endpoint, unsolicited: Iterable[bytes]) -> None:
        if self._on_unsolicited is not None:
            for apdu in unsolicited:
                await self._on_unsolicited(endpoint, apdu)

    async def _progress(self, meter_id: str, standing: Standing) -> Progress:
        """How far the meter counts as read: what an earlier mapping left raw is asked for again under another one."""
        surroundings = self._surroundings
        surroundings.mappings.poll()
        version = surroundings.mappings.mapping.version
        if not standing.is_behind(version):
            return standing.progress
        try:
            return await surroundings.disk(lambda: surroundings.collection.rewind(meter_id, version))
        except AmityError:
            return standing.progress  # the mark is still on the disk: the next session goes back

    def _was_ours(self, lease: Lease) -> bool:
        """True when nobody else held the meter since our last session with it."""
        remembered = self._readers.get(lease.meter_id)
        return remembered is not None and remembered.fence == lease.fence - 1

    def _reader(self, endpoint: Endpoint, lease: Lease) -> MeterReader:
        alone, remembered = self._was_ours(lease), self._readers.pop(endpoint.meter_id, None)
        if remembered is None or remembered.reader.endpoint != endpoint:
            reader = MeterReader(endpoint, self._surroundings, self._templates)
        else:
            reader = remembered.reader
        if not alone:
            reader.after_another()
        self._readers[endpoint.meter_id] = _Remembered(reader, lease.fence)
        if len(self._readers) > READERS_MAX:
            self._readers.popitem(last=False)
        return reader

    # ------------------------------------------------------------------ results
    def _result(self, endpoint: Endpoint, collected: Collected) -> SessionResult:
        fitted, error = fitting(collected.delivery, self._surroundings.codec), collected.error
        progress, unmapped = (
            (collected.progress, collected.unmapped) if fitted.with_readings else (Progress(), Progress())
        )
        subject = self._surroundings.subject
        saving = Saving(fitted.delivery, subject, fitted.body, progress, unmapped, collected.heard)

        def remember() -> None:
            remembered = self._readers.get(endpoint.meter_id)
            if remembered is not None and fitted.with_readings:
                remembered.reader.kept(collected)

        failure = None if error is None else self._failure(endpoint.meter_id, error)
        return SessionResult(failure=failure, behind=collected.behind, saving=saving, kept=remember)

    def _failure(self, meter_id: str, error: AmityError) -> Failure:
        failure = failure_of(error, passing=worth_retrying(error))
        return by_name_only(error, failure) if self._surroundings.only_named(meter_id) else failure

    def _made_up(self, endpoint: Endpoint, missing: Sequence[TimeSpan]) -> tuple[JobRequest, ...]:
        """A later look for what the meter had no row for: once for each stretch, as long as the meter can have it."""
        if not missing:
            return ()
        rules, now = self._backfill(), self._surroundings.clock.now()
        load = self._surroundings.profile_of(endpoint.profile).load_profile
        kept = timedelta(seconds=load.capture_period_s * load.entries_max)
        found = backfill(missing, period_s=load.capture_period_s, entries_max=load.entries_max, now=now, rules=rules)
        return tuple(
            JobRequest(
                meter_id=endpoint.meter_id,
                kind=JobKind.PROFILES,
                priority=Priority.BULK,
                not_before=now + rules.later,
                key=f"gap/{endpoint.meter_id}/{isoformat(span.start)}/{isoformat(span.end)}",
                deadline=span.end + kept,
                requested_by="gaps",
                reason="the meter had no row for these intervals",
                span=span,
            )
            for span in found.ranges
        )


def wanted_of(jobs: Iterable[Job]) -> Wanted:
    """What one session is asked for on behalf of all of them."""
    parts, stretches = set(), []
    for job in jobs:
        if job.span is not None:
            stretches.append(job.span)
        elif job.kind in _PARTS:
            parts.add(_PARTS[job.kind])
    return Wanted(frozenset(parts), tuple(stretches))


def correlation_of(jobs: Sequence[Job]) -> str:
    """The words of all who asked for this session, the most urgent first, with a comma between."""
    return ",".join(dict.fromkeys(job.correlation_id for job in jobs if job.correlation_id))


def _lacking(jobs: Iterable[Job], lacking: Sequence[TimeSpan]) -> dict[str, tuple[TimeSpan, ...]]:
    """Of each job that reads intervals what the meter did not have of those that it asked for."""
    return {
        job.job_id: tuple(lacking if job.span is None else within(lacking, job.span))
        for job in jobs
        if job.kind is JobKind.PROFILES
    }


def _with_clock(result: SessionResult, clock: ClockStep, endpoint: Endpoint, all_jobs: Iterable[Job]) -> SessionResult:
    """The result, and what the look at the clock means for the jobs that asked for it."""
    error, moved = clock.error, clock.moved
    jobs = [job for job in all_jobs if job.kind in _OF_THE_CLOCK]
    if error is not None:
        failure = failure_of(error, passing=worth_retrying(error))
        needs_another = endpoint.management is None and denied(error)
        return _refusing(result, jobs, _without_management(endpoint, failure) if needs_another else failure)
    if moved is None:
        return result
    if moved.action is ClockAction.ALARM:
        return _refusing(result, jobs, _alarm(moved.ahead_before))
    result = replace(result, remarks={**result.remarks, **{job.job_id: str(moved) for job in jobs}})
    if moved.again_at is None:
        return result
    setting = [job for job in jobs if job.kind is JobKind.CLOCK_SET]
    if setting:
        waits = Failure("too near the end of an interval", "nothing: it is tried again", True, moved.again_at)
        return _refusing(result, setting, waits)
    return replace(result, follow_ups=(*result.follow_ups, _setting_later(jobs[0], moved, moved.again_at)))


def _without_management(endpoint: Endpoint, failure: Failure) -> Failure:
    return failure._replace(
        remedy="give the meter a management association in the fleet document (docs/fleet.md) and import that,"
        f" then `amity jobs retry --meter {endpoint.meter_id}`"
    )


def _refusing(result: SessionResult, jobs: Iterable[Job], failure: Failure) -> SessionResult:
    return replace(result, refused={job.job_id: failure for job in jobs})


def _setting_later(check: Job, moved: ClockMove, at: datetime) -> JobRequest:
    return JobRequest(
        meter_id=check.meter_id,
        kind=JobKind.CLOCK_SET,
        priority=Priority.SCHEDULED,
        not_before=at,
        key=f"clock/{check.job_id}/{check.started_at}",
        deadline=at + timedelta(days=1),
        requested_by=check.requested_by,
        reason=f"the clock is {moved.ahead_before.total_seconds():+.0f} s from ours: {moved.action}",
        correlation_id=check.correlation_id,
    )


def _alarm(ahead: timedelta) -> Failure:
    return Failure(
        f"the clock is {ahead.total_seconds():+.0f} s from ours: more than is set by itself",
        "look why; then set it by hand and mark the intervals around as suspect",
        passing=False,
    )


class _Prefetched:
    """A counter store that gives out chunks which were reserved for many meters at once, each chunk to one bank."""

    def __init__(self, store: CounterStore) -> None:
        self._store = store
        self.first: dict[str, int] = {}

    def reserve(self, meter_id: str, count: int) -> int:
        """The chunk at hand, or one from the disk."""
        first = self.first.pop(meter_id, None)
        return first if first is not None and count <= CHUNK else self._store.reserve(meter_id, count)

    def raise_to(self, meter_id: str, minimum: int) -> None:
        """On the disk; the chunk at hand may lie below."""
        self.first.pop(meter_id, None)
        self._store.raise_to(meter_id, minimum)
