"""What a session brought, digested: readings, how complete they are, how far the meter is read now."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from amity.devices.profiles import DeviceProfile
from amity.devices.readout import ProfileReadout, RegisterReadout
from amity.domain.collection import Outcome
from amity.domain.readings import Int64Column
from amity.domain.spans import TimeSpan
from amity.headend.conversation import MeterReadout
from amity.headend.jobs.gaps import gaps_of_channel
from amity.headend.mapping import CosemObject, Place
from amity.headend.normalise import Normaliser, ProfileBuffer, ReadValue
from amity.headend.plan import Plan
from amity.headend.ports import Progress
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.time import epoch_s, from_epoch_s, isoformat
from amity.protocols.dlms.data import Data
from amity.protocols.dlms.profile_buffer import TemplateCache

_SCALED_ATTRIBUTE: Final = 2
_STILL_BEING_WRITTEN: Final = timedelta(seconds=2)
"""The newest seconds of an event log are read again next time: a second event may still get the same stamp."""


@dataclass(slots=True)
class Digest:
    """The findings of one session.

    `unmapped` is where each profile began whose columns the mapping left raw. `incomplete` is true when the meter
    lacked something that it should have, `remarks` are lines for people, `behind` is true when more of the meter's past
    can be read at once. `missing` are the stretches of what is new for which the meter had no row, `lacking` those of
    all that was asked for, and what it no longer keeps.
    """

    progress: Progress
    remarks: list[str]
    incomplete: bool = False
    behind: bool = False
    unmapped: Progress = field(default_factory=Progress)
    missing: list[TimeSpan] = field(default_factory=list)
    lacking: list[TimeSpan] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome:
        """COMPLETE, or PARTIAL when the meter lacked something that it should have."""
        return Outcome.PARTIAL if self.incomplete else Outcome.COMPLETE


class Digester:
    """Feeds one readout to a normaliser and judges it against its plan."""

    def __init__(
        self,
        profile: DeviceProfile,
        plan: Plan,
        normaliser: Normaliser,
        templates: TemplateCache,
        *,
        now: datetime,
        clock_tolerance: timedelta,
    ) -> None:
        self._profile = profile
        self._plan = plan
        self._normaliser = normaliser
        self._templates = templates
        self._now = now
        self._clock_tolerance = clock_tolerance

    def digest(self, readout: MeterReadout, read_at: Callable[[int], datetime]) -> Digest:
        """Normalise everything; `read_at(i)` is when exchange i took place.

        Raise RemoteProtocolError when a profile's rows do not decode.
        """
        digest = Digest(Progress(), list(readout.refusals), incomplete=bool(readout.refusals))
        clock_is_off = abs(readout.clock_offset_s) > self._clock_tolerance.total_seconds()
        if clock_is_off:
            digest.remarks.append(_clock_remark(readout.clock_offset_s))
        self._normaliser.values(self._values(readout.registers, read_at, digest))
        digest.progress = Progress(
            intervals_until=self._intervals(readout, digest, suspect_clock=clock_is_off),
            registers_until=self._snapshots(readout.billing_profile, digest),
            events_until=self._events(readout, digest),
        )
        self._stretches(readout, digest, suspect_clock=clock_is_off)
        digest.remarks += self._normaliser.result.remarks
        return digest

    def _values(
        self, registers: tuple[RegisterReadout, ...], read_at: Callable[[int], datetime], digest: Digest
    ) -> Iterator[ReadValue]:
        for one in registers:
            met = CosemObject(one.attribute.class_id, one.attribute.obis, _SCALED_ATTRIBUTE)
            if isinstance(one.value, Data):
                at = read_at(one.evidence[0]).replace(microsecond=0)
                yield ReadValue(met, one.value, one.scaler_unit, at, one.evidence)
            else:
                digest.incomplete = True
                digest.remarks.append(f"the meter does not give register {met.obis}: {one.value.label}")

    def _intervals(self, readout: MeterReadout, digest: Digest, *, suspect_clock: bool) -> datetime | None:
        plan, rows = self._plan, readout.load_profile
        if rows is None or plan.intervals_from is None or plan.intervals_until is None:
            return None
        span = TimeSpan(plan.intervals_from, plan.intervals_until)
        starts = self._normalised(rows, span, digest, suspect_clock=suspect_clock)
        digest.missing = self._judge(
            starts, digest, TimeSpan(span.start, self._settled(span.end, readout.clock_offset_s))
        )
        if plan.lost is not None:
            digest.incomplete = True
            digest.lacking.append(plan.lost)
            digest.remarks.append(
                f"the intervals from {isoformat(plan.lost.start)} to {isoformat(plan.lost.end)} are lost: the meter"
                f" keeps {self._profile.load_profile.entries_max} rows"
            )
        digest.behind = plan.more_past
        if plan.more_past:
            return plan.intervals_until  # the meter has told all it has of this part of its past, be it nothing
        if not len(starts):
            return self._begun(span, readout.clock_offset_s) if plan.meets_unknown_past else None
        return from_epoch_s(int(starts[-1]) + self._profile.load_profile.capture_period_s)

    def _begun(self, asked: TimeSpan, clock_offset_s: int) -> datetime:
        """From where a meter is followed whose profile was empty: what it lacked before that is asked for as a gap."""
        return max(asked.start, self._settled(asked.end, clock_offset_s))

    def _settled(self, until: datetime, clock_offset_s: int) -> datetime:
        """A meter whose clock is behind ours closes its intervals later than we think."""
        return until + timedelta(seconds=min(clock_offset_s, 0))

    def _stretches(self, readout: MeterReadout, digest: Digest, *, suspect_clock: bool) -> None:
        """What was asked for again: what is still missing is only told."""
        for span, rows in zip(self._plan.stretches, readout.stretches, strict=True):
            if rows is not None:
                self._judge(self._normalised(rows, span, digest, suspect_clock=suspect_clock), digest, span)

    def _normalised(self, rows: ProfileReadout, span: TimeSpan, digest: Digest, *, suspect_clock: bool) -> Int64Column:
        """The starts of the intervals of the span for which there is a row."""
        starts = self._normaliser.load_profile(
            self._decoded(rows), from_s=epoch_s(span.start), until_s=epoch_s(span.end), suspect_clock=suspect_clock
        )
        if len(starts) and Place.LOAD_PROFILE in self._normaliser.result.unmapped:
            first = from_epoch_s(int(starts[0]))
            earlier = min(first, digest.unmapped.intervals_until or first)
            digest.unmapped = replace(digest.unmapped, intervals_until=earlier)
        return starts

    def _judge(self, starts: Int64Column, digest: Digest, span: TimeSpan) -> list[TimeSpan]:
        """The stretches without a row. A meter that is met for the first time may be younger than what was asked."""
        period_s = self._profile.load_profile.capture_period_s
        young = self._plan.meets_unknown_past and len(starts)
        first_s = int(starts[0]) if young else epoch_s(span.start)
        expected = max((epoch_s(span.end) - first_s) // period_s, 0)
        until_s = first_s + expected * period_s  # a row after it is there early: it is none of those that are expected
        missing = expected - int(np.count_nonzero((starts >= first_s) & (starts < until_s)))
        if not missing:
            return []
        digest.incomplete = True
        digest.remarks.append(f"{missing} of {expected} intervals are missing in the meter's load profile")
        gaps = gaps_of_channel(starts, TimeSpan(from_epoch_s(first_s), from_epoch_s(until_s)), period_s)
        digest.lacking += gaps
        return gaps

    def _snapshots(self, rows: ProfileReadout | None, digest: Digest) -> datetime | None:
        if rows is None or self._plan.snapshots_after is None:
            return None
        buffer = self._decoded(rows)
        self._normaliser.billing_profile(buffer, after_s=epoch_s(self._plan.snapshots_after))
        if Place.BILLING_PROFILE in self._normaliser.result.unmapped:
            digest.unmapped = replace(digest.unmapped, registers_until=self._plan.snapshots_after)
        return self._newest(buffer) or self._plan.snapshots_after

    def _events(self, readout: MeterReadout, digest: Digest) -> datetime | None:
        """Of all logs; how far they are read is one instant, since all were read in this session.

        Where they are empty they count as read up to where they were asked from, whatever the meter's clock says.
        """
        after, first = self._plan.events_after, readout.event_log
        if after is None or first is None:
            return None
        newest = []
        for rows in (first, *readout.other_event_logs):
            buffer = self._decoded(rows)
            self._normaliser.event_log(buffer, after_s=epoch_s(after))
            newest.append(self._newest(buffer))
        if Place.EVENT_LOG in self._normaliser.result.unmapped:
            digest.unmapped = replace(digest.unmapped, events_until=after)
        settled = self._now + timedelta(seconds=readout.clock_offset_s) - _STILL_BEING_WRITTEN
        return min(max(filter(None, newest), default=after), max(settled, after))

    def _newest(self, buffer: ProfileBuffer) -> datetime | None:
        """The newest stamp that is not in the future: what a wrong clock wrote there must not hide what is to come."""
        past = buffer.columns.timestamps_s[buffer.columns.timestamps_s <= epoch_s(self._now)]
        return from_epoch_s(int(past.max())) if len(past) else None

    def _decoded(self, rows: ProfileReadout) -> ProfileBuffer:
        columns = rows.columns(
            self._profile.clock,
            null_timestamps=self._profile.load_profile.null_timestamps,
            templates=self._templates,
            model=self._profile.key,
        )
        if columns.rows and len(columns.columns) != len(rows.layout.capture_objects):
            raise RemoteProtocolError(
                f"the rows of profile {rows.layout.obis} have {len(columns.columns)} columns, its description has"
                f" {len(rows.layout.capture_objects)}",
                next_step="read again: the description is asked for anew",
            )
        return ProfileBuffer(rows, columns, self._templates.of(rows.shape(self._profile.key)))


def _clock_remark(offset_s: int) -> str:
    return f"the meter's clock is {abs(offset_s)} s {'ahead of' if offset_s > 0 else 'behind'} ours"
