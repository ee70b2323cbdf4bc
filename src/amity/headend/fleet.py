"""Reads the whole fleet, many meters at a time and each by one association only, round after round."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from amity.domain.collection import Delivery, Outcome
from amity.headend.keeping import Keeper
from amity.headend.outcomes import worth_retrying
from amity.headend.ports import Endpoint, Progress, Standing
from amity.headend.reader import Collected, MeterReader, defect
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import AmityError, ConfigurationError
from amity.protocols.dlms.profile_buffer import TemplateCache

CONCURRENT_SESSIONS: Final = 64
SESSIONS_TO_CATCH_UP_MAX: Final = 64
"""A meter that always has more past to give is left alone after this many sessions in one round."""


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """One meter is done in this round: `done` of `total`; `not_kept` is why its delivery could not be stored."""

    done: int
    total: int
    delivery: Delivery
    not_kept: AmityError | None = None


OnProgress = Callable[[Told], None]
OnUnsolicited = Callable[[Endpoint, bytes], Awaitable[None]]


@dataclass(slots=True)
class Round:
    """How a round ended: meters by outcome, and those whose delivery the disk did not take."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    not_kept: dict[str, AmityError] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        """Meters that gave readings."""
        return sum(outcome.answered for outcome in self.outcomes.values())


class Fleet:
    """Every meter that is to be read; `on_progress` is told each time one is done.

    `on_unsolicited` is given the APDUs that a meter pushed in the midst of a session. `correlation_id` is what the
    command that asked for these sessions is called in every log.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        concurrent_sessions: int = CONCURRENT_SESSIONS,
        on_progress: OnProgress | None = None,
        on_unsolicited: OnUnsolicited | None = None,
        correlation_id: str = "",
    ) -> None:
        self._surroundings = surroundings
        self._slots = asyncio.Semaphore(concurrent_sessions)
        self._on_progress = on_progress
        self._on_unsolicited = on_unsolicited
        self._correlation_id = correlation_id
        self._keeper = Keeper(surroundings)
        self._templates = TemplateCache()
        self._readers: dict[str, MeterReader] = {}
        self._lines: dict[str, asyncio.Lock] = {}
        self.last_error: AmityError | None = None

    async def run_forever(self, interval_s: float) -> None:
        """Read the fleet now and every `interval_s` seconds from now on, until cancelled.

        Whatever fails ends a round at most, never the head-end: `last_error` tells why until a round succeeds.
        """
        clock = self._surroundings.clock
        due = clock.now()
        while True:
            try:
                await self.read_fleet_once()
                self.last_error = None
            except AmityError as error:
                self.last_error = error
            except Exception as error:  # noqa: BLE001 - a defect must not leave a town unread
                self.last_error = defect(error)
            due = max(due + timedelta(seconds=interval_s), clock.now())
            await asyncio.sleep((due - clock.now()).total_seconds())

    async def read_fleet_once(self) -> Round:
        """Read every meter once, with retries, until it has nothing more to give; tell how it went.

        Raise StorageError when the fleet itself cannot be read from the disk.
        """
        surroundings = self._surroundings
        endpoints = await surroundings.disk(surroundings.endpoints.all)
        standings = await surroundings.disk(surroundings.collection.standings)
        finished = Round()
        async with asyncio.TaskGroup() as tasks:
            for endpoint in endpoints:
                tasks.create_task(self._one_of_round(endpoint, standings, finished, len(endpoints)))
        return finished

    async def read_meter(self, meter_id: str) -> Delivery:
        """Read one meter now; raise ConfigurationError when it is not known, StorageError when the disk fails."""
        surroundings = self._surroundings
        endpoints = {one.meter_id: one for one in await surroundings.disk(surroundings.endpoints.all)}
        if meter_id not in endpoints:
            raise ConfigurationError(
                f"no meter is called {meter_id!r}", next_step="list the meters and copy the name from there"
            )
        standings = await surroundings.disk(surroundings.collection.standings)
        return await self._read(endpoints[meter_id], standings.get(meter_id, Standing()))

    async def _one_of_round(
        self, endpoint: Endpoint, standings: Mapping[str, Standing], finished: Round, total: int
    ) -> None:
        """Nothing that one meter brings about reaches the others: it is this meter's outcome."""
        meter_id, not_kept = endpoint.meter_id, None
        try:
            delivery = await self._read(endpoint, standings.get(meter_id, Standing()))
        except _NotKeptError as error:
            delivery, not_kept = error.delivery, error.reason
        except Exception as error:  # noqa: BLE001 - see above
            not_kept = error if isinstance(error, AmityError) else defect(error)
            delivery = self._reader(endpoint).failed(not_kept)
        if not_kept is not None:
            finished.not_kept[meter_id] = not_kept
        finished.outcomes[meter_id] = delivery.outcome
        if self._on_progress is not None:
            self._on_progress(Told(len(finished.outcomes), total, delivery, not_kept))

    async def _read(self, endpoint: Endpoint, standing: Standing) -> Delivery:
        """Sessions with one meter until it is up to date or fails; the last delivery.

        Meters on one line, serial or behind one modem, wait for each other.
        """
        async with self._lines.setdefault(endpoint.route.shared_line or endpoint.meter_id, asyncio.Lock()):
            progress = await self._progress(endpoint.meter_id, standing)
            self._reader(endpoint).resume(standing.heard)
            for _ in range(SESSIONS_TO_CATCH_UP_MAX):
                collected = await self._with_retries(endpoint, progress, standing.failures_in_a_row)
                await self._keep(collected)
                progress = _further(progress, collected.progress)
                if not collected.behind:
                    break
        return collected.delivery

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
            return standing.progress  # the mark is still on the disk: the next round goes back

    async def _with_retries(self, endpoint: Endpoint, progress: Progress, failures_in_a_row: int) -> Collected:
        """The slot is free for other meters while this one is waited for."""
        rules, reader = self._surroundings.session, self._reader(endpoint)
        given_up = failures_in_a_row >= rules.failures_before_one_attempt
        attempts_max = 1 if given_up else rules.attempts_max
        attempt = 1
        while True:
            async with self._slots:
                self._surroundings.mappings.poll()
                collected = await reader.read(
                    progress, self._surroundings.mappings.mapping, attempt=attempt, correlation_id=self._correlation_id
                )
            await self._hand_over(endpoint, collected.unsolicited)
            if collected.error is None or attempt >= attempts_max or not worth_retrying(collected.error):
                return collected
            await asyncio.sleep(rules.backoff.wait_s(attempt, self._surroundings.chance))
            attempt += 1

    async def _hand_over(self, endpoint: Endpoint, unsolicited: Iterable[bytes]) -> None:
        if self._on_unsolicited is not None:
            for apdu in unsolicited:
                await self._on_unsolicited(endpoint, apdu)

    async def _keep(self, collected: Collected) -> None:
        try:
            with_readings = await self._keeper.keep(collected)
        except AmityError as error:
            raise _NotKeptError(collected.delivery, error) from error
        if with_readings:
            self._readers[collected.delivery.meter_id].kept(collected)

    def _reader(self, endpoint: Endpoint) -> MeterReader:
        reader = self._readers.get(endpoint.meter_id)
        if reader is None or reader.endpoint != endpoint:
            reader = self._readers[endpoint.meter_id] = MeterReader(endpoint, self._surroundings, self._templates)
        return reader


class _NotKeptError(AmityError):
    """The disk did not take a delivery; the meter still has what was in it, and our progress did not move."""

    def __init__(self, delivery: Delivery, reason: AmityError) -> None:
        super().__init__(reason.what, tried=reason.tried, answer=reason.answer, next_step=reason.next_step)
        self.delivery = delivery
        self.reason = reason


def _further(before: Progress, now: Progress) -> Progress:
    return Progress(
        now.intervals_until or before.intervals_until,
        now.registers_until or before.registers_until,
        now.events_until or before.events_until,
    )
