"""The sessions behind a bundle: today's `MeterReader` for all that is read, a session of its own for a clock."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, Protocol

from amity.devices.profiles import DeviceProfile
from amity.domain.jobs import Bundle, Job, JobKind, JobRequest, Priority, Span
from amity.headend.counter_bank import CHUNK, CounterBank
from amity.headend.fitting import fitting
from amity.headend.jobs.clock_policy import ClockAction, ClockBands, decide
from amity.headend.jobs.clock_session import move_clock
from amity.headend.jobs.ports import MeterStates
from amity.headend.jobs.retry import Failure, failure_of
from amity.headend.jobs.sessions import SessionResult
from amity.headend.outcomes import worth_retrying
from amity.headend.ports import CounterStore, Endpoint, Progress, Standing
from amity.headend.reader import Collected, MeterReader
from amity.headend.session import association_settings
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import AmityError, ConfigurationError
from amity.protocols.dlms.profile_buffer import TemplateCache

READERS_MAX: Final = 4096
"""Meters whose layouts and settings are remembered; the others are asked again."""

OnCollected = Callable[[Collected], None]
OnUnsolicited = Callable[[Endpoint, bytes], Awaitable[None]]


class CounterStock(Protocol):
    """Invocation counters of many meters at once."""

    def reserve_all(self, meter_ids: Sequence[str], count: int) -> Mapping[str, int]:
        """Durably reserve `count` counters for each; the first of them by meter."""
        ...


class MeterSessions:
    """Implements `headend.jobs.sessions.BundleReader`. `bands` says what is done about clocks."""

    def __init__(
        self,
        surroundings: Surroundings,
        states: MeterStates,
        stock: CounterStock,
        *,
        bands: Callable[[], ClockBands] = ClockBands,
        on_collected: OnCollected | None = None,
        on_unsolicited: OnUnsolicited | None = None,
    ) -> None:
        self._prefetched = _Prefetched(surroundings.counters)
        self._surroundings = replace(surroundings, counters=self._prefetched)
        self._states = states
        self._stock = stock
        self._bands = bands
        self._on_collected = on_collected
        self._on_unsolicited = on_unsolicited
        self._known: dict[str, tuple[Endpoint, Standing]] = {}
        self._readers: OrderedDict[str, MeterReader] = OrderedDict()
        self._templates = TemplateCache()

    async def announce(self, bundles: Sequence[Bundle]) -> None:
        """Endpoints, standings and invocation counters of all these meters, by one call to the disk's thread."""
        meter_ids = [bundle.meter_id for bundle in bundles]
        if meter_ids:
            self._known.update(await self._surroundings.disk(lambda: self._fetch(meter_ids)))

    def _fetch(self, meter_ids: Sequence[str]) -> Mapping[str, tuple[Endpoint, Standing]]:
        known = self._states.of(meter_ids)
        new = [one for one, (endpoint, _) in known.items() if one not in self._readers and endpoint.auth != "none"]
        self._prefetched.first.update(self._stock.reserve_all(new, CHUNK))
        return known

    async def read(self, bundle: Bundle) -> SessionResult:
        """One session for all that is read, one for each stretch that is made up, one for the clock."""
        known = self._known.pop(bundle.meter_id, None)
        if known is None:
            gone = ConfigurationError(
                f"no meter is called {bundle.meter_id!r}", next_step="add it again, or discard its jobs"
            )
            return SessionResult(failure=failure_of(gone, passing=False))
        endpoint, standing = known
        try:
            return await self._read(bundle, endpoint, standing)
        finally:
            self._prefetched.first.pop(bundle.meter_id, None)

    async def _read(self, bundle: Bundle, endpoint: Endpoint, standing: Standing) -> SessionResult:
        result = SessionResult()
        if any(job.span is None and job.kind is not JobKind.CLOCK_SET for job in bundle.jobs):
            progress = await self._progress(endpoint.meter_id, standing)
            collected = await self._collect(self._reader(endpoint), progress, bundle.lease.tries)
            result = self._result(endpoint, collected, bundle.jobs)
        return result if result.failure is not None else await self._with_extras(result, bundle, endpoint)

    async def _with_extras(self, result: SessionResult, bundle: Bundle, endpoint: Endpoint) -> SessionResult:
        """The steps that need a session of their own, until one fails: what fails one would fail the next."""
        failure: Failure | None = None
        for job in bundle.jobs:
            if job.span is None and job.kind is not JobKind.CLOCK_SET:
                continue
            if failure is not None:
                step = SessionResult(refused={job.job_id: failure})
            elif job.span is not None:
                step = await self._made_up(endpoint, job, job.span, bundle.lease.tries)
            else:
                step = await self._clock_moved(endpoint, job)
            failure = step.refused.get(job.job_id)
            result = _joined(result, step)
        return result

    async def _made_up(self, endpoint: Endpoint, job: Job, span: Span, attempt: int) -> SessionResult:
        """A stretch of the past that is missing; how far the meter is read stays as it is."""
        rules = replace(self._surroundings.reading, session_span=span.end - span.start)
        reader = MeterReader(endpoint, replace(self._surroundings, reading=rules), self._templates)
        collected = await self._collect(reader, Progress(intervals_until=span.start), attempt)
        result = self._result(endpoint, replace(collected, progress=Progress(), behind=False), ())
        return result if result.failure is None else replace(result, failure=None, refused={job.job_id: result.failure})

    async def _collect(self, reader: MeterReader, progress: Progress, attempt: int) -> Collected:
        mappings = self._surroundings.mappings
        mappings.poll()
        collected = await reader.read(progress, mappings.mapping, attempt=attempt)
        await self._hand_over(reader.endpoint, collected.unsolicited)
        if self._on_collected is not None:
            self._on_collected(collected)
        return collected

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

    def _reader(self, endpoint: Endpoint) -> MeterReader:
        reader = self._readers.pop(endpoint.meter_id, None)
        if reader is None or reader.endpoint != endpoint:
            reader = MeterReader(endpoint, self._surroundings, self._templates)
        self._readers[endpoint.meter_id] = reader
        if len(self._readers) > READERS_MAX:
            self._readers.popitem(last=False)
        return reader

    # ------------------------------------------------------------------ results
    def _result(self, endpoint: Endpoint, collected: Collected, jobs: Sequence[Job]) -> SessionResult:
        surroundings, error = self._surroundings, collected.error
        kept = fitting(collected.delivery, surroundings.codec)
        progress = collected.progress if kept.with_readings else Progress()
        unmapped = collected.unmapped if kept.with_readings else Progress()

        def keep() -> None:
            surroundings.collection.save(
                kept.delivery, surroundings.subject, kept.body, progress=progress, unmapped=unmapped
            )

        def remember() -> None:
            reader = self._readers.get(endpoint.meter_id)
            if reader is not None and kept.with_readings:
                reader.kept(collected)

        result = SessionResult(behind=collected.behind, keep=keep, kept=remember)
        if error is not None:
            return replace(result, failure=failure_of(error, passing=worth_retrying(error)))
        return self._judged_clock(result, endpoint, collected.delivery.clock_offset_s, jobs)

    def _judged_clock(
        self, result: SessionResult, endpoint: Endpoint, ahead_s: int | None, jobs: Sequence[Job]
    ) -> SessionResult:
        """What a clock check leads to: nothing, a job that moves the clock when it may be, a person's look."""
        check = next((job for job in jobs if job.kind is JobKind.CLOCK_CHECK), None)
        if check is None or ahead_s is None:
            return result
        ahead, period = timedelta(seconds=ahead_s), self._period(endpoint)
        decision = decide(ahead, self._surroundings.clock.now(), period, self._bands())
        if decision.action is ClockAction.NONE:
            return result
        if decision.action is ClockAction.ALARM:
            return replace(result, refused={check.job_id: _alarm(ahead)})
        request = JobRequest(
            meter_id=endpoint.meter_id,
            kind=JobKind.CLOCK_SET,
            priority=Priority.SCHEDULED,
            not_before=decision.not_before,
            key=f"clock/{check.job_id}/{check.started_at}",
            deadline=decision.not_before + timedelta(days=1),
            requested_by=check.requested_by,
            reason=f"the clock is {ahead_s:+d} s from ours: {decision.action}",
            correlation_id=check.correlation_id,
        )
        return replace(result, follow_ups=(request,))

    async def _clock_moved(self, endpoint: Endpoint, job: Job) -> SessionResult:
        surroundings = self._surroundings
        try:
            profile = self._profile(endpoint)
            secrets = surroundings.keys.secrets(endpoint.meter_id)
            settings = association_settings(endpoint, profile, secrets, surroundings.system_title)
            counters = CounterBank(surroundings.counters, endpoint.meter_id)
            moved = await move_clock(endpoint, profile, settings, counters, self._bands(), surroundings)
        except AmityError as error:
            return SessionResult(refused={job.job_id: failure_of(error, passing=worth_retrying(error))})
        if moved.action is ClockAction.ALARM:
            return SessionResult(refused={job.job_id: _alarm(moved.ahead_before)})
        if moved.again_at is not None:
            waits = Failure("too near the end of an interval", "nothing: it is tried again", True, moved.again_at)
            return SessionResult(refused={job.job_id: waits})
        return SessionResult()

    def _profile(self, endpoint: Endpoint) -> DeviceProfile:
        return self._surroundings.profile_of(endpoint.profile)

    def _period(self, endpoint: Endpoint) -> timedelta:
        return timedelta(seconds=self._profile(endpoint).load_profile.capture_period_s)


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


def _alarm(ahead: timedelta) -> Failure:
    return Failure(
        f"the clock is {ahead.total_seconds():+.0f} s from ours: more than is set by itself",
        "look why; then set it by hand and mark the intervals around as suspect",
        passing=False,
    )


def _joined(one: SessionResult, other: SessionResult) -> SessionResult:
    """Two sessions of one bundle as one result; the later failure stands."""

    def both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            first()
            second()

        return run

    return SessionResult(
        failure=other.failure or one.failure,
        refused={**one.refused, **other.refused},
        behind=one.behind or other.behind,
        follow_ups=one.follow_ups + other.follow_ups,
        keep=both(one.keep, other.keep),
        kept=both(one.kept, other.kept),
    )
