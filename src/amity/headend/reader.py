"""Reads one meter: plans, holds a session, normalises what came, and says how it went, also when it did not."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Final

from amity.devices.client import InvocationCounterError
from amity.devices.profiles import DeviceProfile
from amity.domain.collection import Delivery
from amity.domain.spans import TimeSpan
from amity.headend.client import Client
from amity.headend.conversation import KnownLayouts, MeterReadout
from amity.headend.counter_bank import CounterBank
from amity.headend.digest import Digester
from amity.headend.mapping import Mapping
from amity.headend.message_id import identified
from amity.headend.normalise import Normaliser
from amity.headend.outcomes import outcome_of, told
from amity.headend.plan import EVERYTHING, Plan, Wanted, make_plan
from amity.headend.ports import Endpoint, Heard, Progress
from amity.headend.session import MeterMemory, SessionRecord, Step, finish, read_once
from amity.headend.surroundings import Surroundings
from amity.kernel.errors import AmityError, RemoteProtocolError
from amity.protocols.dlms.profile_buffer import TemplateCache

_DIGESTED_AT_ONCE_MAX: Final = 256 * 1024
"""More octets than this take long enough to decode that the other meters would wait: they are decoded on a thread."""


_StampedCode = tuple[datetime, int]
"""An event of one meter, by its stamp and the maker's code."""


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    """One session as it will be delivered; `error` is what ended it early.

    `progress` is how far the meter is read with it, `unmapped` from where on the mapping left columns of it raw.
    `behind` is true when more of its past can be read at once. `ahead` are the events of the meter's log that lie in
    the future, None where the log was not read. `heard` is what the meter has said by now. `missing` are the stretches
    of what is new for which the meter had no row, `lacking` those of all that was asked for.
    """

    delivery: Delivery
    progress: Progress = field(default_factory=Progress)
    unmapped: Progress = field(default_factory=Progress)
    behind: bool = False
    ahead: frozenset[_StampedCode] | None = None
    error: AmityError | None = None
    unsolicited: tuple[bytes, ...] = ()
    heard: Heard | None = None
    missing: tuple[TimeSpan, ...] = ()
    lacking: tuple[TimeSpan, ...] = ()


class MeterReader:
    """One meter and what need not be asked of it again: its layouts, its association settings, counters at hand."""

    def __init__(self, endpoint: Endpoint, surroundings: Surroundings, templates: TemplateCache) -> None:
        self.endpoint = endpoint
        self._surroundings = surroundings
        self._templates = templates
        self._counters = CounterBank(surroundings.counters, endpoint.meter_id)
        self._layouts = KnownLayouts()
        self._reading = Client(endpoint, surroundings)
        managed = endpoint.as_managed
        self._managing = None if managed is None else Client(managed, surroundings, managing=True)
        self._told_ahead: frozenset[_StampedCode] = frozenset()

    def resume(self, heard: Heard | None) -> None:
        """Take nothing for new that the meter had said when its last session was stored."""
        self._reading.hearing.resume(heard)

    def after_another(self) -> None:
        """Another node has held sessions with the meter since: the counters at hand are behind."""
        self._counters.drop()

    def kept(self, collected: Collected) -> None:
        """The disk has this session: its events that lie in the future need not be told again until they are past.

        Progress cannot say so: what a wrong clock wrote into the future must not hide what is to come. After a restart
        they are told once more, which changes nothing.
        """
        if collected.error is None and collected.ahead is not None:
            self._told_ahead = collected.ahead

    async def read(
        self,
        progress: Progress,
        mapping: Mapping,
        *,
        attempt: int,
        wanted: Wanted = EVERYTHING,
        step: Step | None = None,
        correlation_id: str = "",
    ) -> Collected:
        """Hold one session, the `attempt`-th in a row; what goes wrong is not raised but told in what is returned.

        It is of one association, or of two where the step is left to the meter's management client.
        """
        clock = self._surroundings.clock
        began, client = clock.now(), self._first_client(step)
        records = [SessionRecord(client.endpoint, clock)]
        try:
            collected = await self._collect(client, records, progress, mapping, wanted, step)
        except AmityError as error:
            collected = self._failed(await self._learned_from(error), attempt)
        except Exception as error:  # noqa: BLE001 - a defect that one meter brings to light must not stop the others
            collected = self._failed(defect(error), attempt)
        delivery = replace(
            collected.delivery,
            session_id=f"{self.endpoint.meter_id}-{began:%Y%m%dT%H%M%S.%f}",
            collected_at=clock.now(),
            attempts=attempt,
            duration_ms=(clock.now() - began) // timedelta(milliseconds=1),
            exchanges=tuple(chain.from_iterable(record.exchanges() for record in records)),
            correlation_id=correlation_id,
        )
        heard = self._reading.hearing.heard
        unsolicited = tuple(chain.from_iterable(record.unsolicited for record in records))
        return replace(collected, delivery=identified(delivery), unsolicited=unsolicited, heard=heard)

    def _first_client(self, step: Step | None) -> Client:
        """The reading one, unless all that is left to do takes the other."""
        return self._managing if step is not None and step.unfinished and self._managing is not None else self._reading

    async def _collect(
        self, client: Client, records: list[SessionRecord], progress: Progress, mapping: Mapping, wanted: Wanted,
        step: Step | None,
    ) -> Collected:  # fmt: skip
        surroundings, (record,) = self._surroundings, records
        profile = surroundings.profile_of(self.endpoint.profile)
        settings = client.settings(profile)
        plan = make_plan(profile, progress, surroundings.clock.now(), surroundings.reading, wanted)
        memory = self._memory(client)
        readout = await read_once(
            profile, plan, record, settings=settings, memory=memory, surroundings=surroundings, step=step
        )
        if step is not None and step.unfinished and self._managing is not None:
            records.append(SessionRecord(self._managing.endpoint, surroundings.clock))
            await self._finish(step, self._managing, profile, records[-1])
        digested = partial(self._digested, profile, plan, mapping, readout, record)
        if record.answer_octets > _DIGESTED_AT_ONCE_MAX:
            return await asyncio.to_thread(digested)
        return digested()

    async def _finish(self, step: Step, client: Client, profile: DeviceProfile, record: SessionRecord) -> None:
        """In the second association; what ends that is the step's failure, and what was read before is kept."""
        try:
            settings, memory = client.settings(profile), self._memory(client)
            await finish(step, profile, record, settings=settings, memory=memory, surroundings=self._surroundings)
        except AmityError as error:
            step.failed(await self._learned_from(error))

    def _memory(self, client: Client) -> MeterMemory:
        return MeterMemory(self._counters, client.hearing.received, self._layouts)

    def _digested(
        self, profile: DeviceProfile, plan: Plan, mapping: Mapping, readout: MeterReadout, record: SessionRecord
    ) -> Collected:
        now, normaliser = (
            self._surroundings.clock.now(),
            Normaliser(profile, mapping, self._surroundings.events.catalogue),
        )
        digest = Digester(
            profile,
            plan,
            normaliser,
            self._templates,
            now=now,
            clock_tolerance=self._surroundings.reading.clock_tolerance,
        ).digest(readout, record.at)
        found = normaliser.result
        future = frozenset((event.at, event.code) for event in found.events if event.at > now)
        told_before = future & self._told_ahead
        delivery = Delivery(
            message_id="",
            meter_id=self.endpoint.meter_id,
            session_id="",
            collected_at=now,
            outcome=digest.outcome,
            detail=tuple(digest.remarks),
            clock_offset_s=readout.clock_offset_s,
            profile=profile.key,
            mapping_version=mapping.version,
            intervals=tuple(found.intervals),
            registers=tuple(found.registers),
            events=tuple(event for event in found.events if (event.at, event.code) not in told_before),
            unknown=tuple(found.unknown),
        )
        ahead = None if plan.events_after is None else future
        missing, lacking = tuple(digest.missing), tuple(digest.lacking)
        return Collected(
            delivery, digest.progress, digest.unmapped, digest.behind, ahead, missing=missing, lacking=lacking
        )

    async def _learned_from(self, error: AmityError) -> AmityError:
        """Take what the next session needs from this failure; the error to tell: a lesson that fails is the worse."""
        if isinstance(error, RemoteProtocolError):
            self._layouts.forget()
        if not isinstance(error, InvocationCounterError) or error.expected is None:
            return error
        expected = error.expected
        try:
            await self._surroundings.disk(lambda: self._counters.raise_to(expected))
        except AmityError as worse:
            return worse
        return error

    def _failed(self, error: AmityError, attempt: int) -> Collected:
        return Collected(self.failed(error, attempt), error=error)

    def failed(self, error: AmityError, attempt: int = 1) -> Delivery:
        """The delivery of a session that brought nothing but this error."""
        return Delivery(
            message_id="",
            meter_id=self.endpoint.meter_id,
            session_id="",
            collected_at=self._surroundings.clock.now(),
            outcome=outcome_of(error, self._surroundings.connector),
            detail=told(error, self.endpoint, attempt),
            profile=self.endpoint.profile,
        )


def defect(error: Exception) -> AmityError:
    """What nobody foresaw, told like every other failure."""
    return AmityError(
        f"a defect in Amity: {type(error).__name__}: {error}",
        next_step="report it with the name of the meter's profile and the frames of this session",
    )
