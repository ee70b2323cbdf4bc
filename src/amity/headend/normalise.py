"""What a meter gave, as reading types: scalers applied exactly, stamps to interval starts in UTC, totals to amounts.

Nothing is dropped: an object that no rule names, a row off the grid and a value that is no number are kept as the meter
sent them, as `UnknownObject`, with a remark that says so.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from amity.devices.profiles import CLOCK_OBIS, DeviceProfile, Quantity, Stamp
from amity.devices.readout import ProfileReadout, ScalerUnit
from amity.domain.events import MEANING_OF, UNKNOWN_MEANING, EventKind, EventMeaning, MeterEvent, is_alarm_register
from amity.domain.readings import (
    Int64Column,
    IntervalSeries,
    Quality,
    QualityColumn,
    ReadingType,
    RegisterReading,
    UnknownObject,
)
from amity.headend import interval_rows
from amity.headend.event_catalogue import EventCatalogue, alarm_register, log_of, packaged_catalogue
from amity.headend.interval_rows import PlacedRows
from amity.headend.mapping import CosemObject, Kind, Mapping, Place, Rule
from amity.headend.scaling import Column, Mask, measure_of, scaled, scaled_number
from amity.kernel.time import from_epoch_s
from amity.protocols.dlms.data import Data, Tag, decode_all, encode
from amity.protocols.dlms.datetime import STATUS_DOUBTFUL_VALUE, STATUS_INVALID_CLOCK, STATUS_INVALID_VALUE
from amity.protocols.dlms.profile_buffer import ProfileColumns, column_octets
from amity.protocols.dlms.profile_template import Template

_CLASS_PROFILE: Final = 7
_CLASS_CLOCK: Final = 8
_BUFFER: Final = 2
_STATUS_NOT_SPECIFIED: Final = 0xFF
_NAMED_KINDS: Final = frozenset(EventKind) - {EventKind.OTHER}
BAD_CLOCK: Final = STATUS_INVALID_VALUE | STATUS_DOUBTFUL_VALUE | STATUS_INVALID_CLOCK


@dataclass(frozen=True, eq=False)
class ProfileBuffer:
    """The rows of one profile: as read, and decoded, if need be with the template of their shape."""

    readout: ProfileReadout
    columns: ProfileColumns
    template: Template | None = None

    @cached_property
    def captures(self) -> tuple[CosemObject, ...]:
        """The object of each column."""
        return tuple(CosemObject(one.class_id, one.obis, one.attribute) for one in self.readout.layout.capture_objects)

    @property
    def times_s(self) -> Int64Column:
        """Epoch seconds of the rows' stamps."""
        return self.columns.timestamps_s

    @property
    def evidence(self) -> tuple[int, ...]:
        """Positions of the exchanges that brought the rows."""
        return self.readout.evidence

    def whole_numbers(self, number: int) -> Int64Column | None:
        """A column as it came, None when it holds anything else than whole numbers."""
        column = self.columns.columns[number]
        if isinstance(column, np.ndarray) and column.dtype == np.int64:
            return column.astype(np.int64, copy=False)
        return None


@dataclass(frozen=True, slots=True)
class ReadValue:
    """One attribute read by itself: its value as Data, its unit if it has one, when it was read."""

    met: CosemObject
    value: Data
    scaler_unit: ScalerUnit | None
    at: datetime
    evidence: tuple[int, ...]


class _Captured(NamedTuple):
    """One column of a profile that a rule names, as exact integers; `tag` is the type it travelled as."""

    met: CosemObject
    rule: Rule
    column: Column
    tag: Tag


class _Rows(NamedTuple):
    """The rows of a load profile on their grid; `wanted` and `qualities` (bits of `Quality`) in the order recorded."""

    placed: PlacedRows
    wanted: Mask
    qualities: QualityColumn


@dataclass(slots=True)
class Normalised:
    """What became of everything that was read; `remarks` say what somebody should look at.

    `unmapped` are the kinds of profile of which the mapping left a column raw: with another mapping they may say more.
    """

    intervals: list[IntervalSeries] = field(default_factory=list)
    registers: list[RegisterReading] = field(default_factory=list)
    events: list[MeterEvent] = field(default_factory=list)
    unknown: list[UnknownObject] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unmapped: set[Place] = field(default_factory=set)


class Normaliser:
    """Normalises what one session with a meter of this profile brought, by the mapping that was in force.

    `catalogue` says what event codes mean where neither the mapping nor the device profile does.
    """

    def __init__(self, profile: DeviceProfile, mapping: Mapping, catalogue: EventCatalogue | None = None) -> None:
        self._profile = profile
        self._mapping = mapping
        self._catalogue = catalogue or packaged_catalogue()
        self.result = Normalised()

    def _rule(self, place: Place, met: CosemObject) -> Rule | None:
        return self._mapping.rule_for(self._profile.key, place, met)

    # ------------------------------------------------------------------ registers

    def values(self, values: Iterable[ReadValue]) -> None:
        """Attributes read by themselves."""
        for one in values:
            rule = self._rule(Place.REGISTER, one.met)
            if rule is not None and rule.kind is Kind.IGNORE:
                continue
            number = None if rule is None else scaled_number(one.value.value, measure_of(rule, one.scaler_unit))
            if rule is None or number is None:
                self._keep_unknown(one.met, encode(one.value), one.at, one.evidence)
            else:
                value, exponent = number.as_told(0)
                reading_type = ReadingType(rule.reading_obis(one.met), number.unit, exponent)
                self.result.registers.append(RegisterReading(reading_type, value, one.at, one.evidence))

    def billing_profile(self, buffer: ProfileBuffer, *, after_s: int = 0) -> None:
        """Snapshots of registers: the values of each row later than `after_s` at the row's time."""
        wanted = buffer.times_s > after_s
        for captured in self._captured(Place.BILLING_PROFILE, buffer):
            self._snapshots(buffer, captured, captured.rule, wanted)

    def _snapshots(self, buffer: ProfileBuffer, captured: _Captured, rule: Rule, wanted: Mask) -> None:
        """Register readings of the wanted rows, by position in the buffer."""
        column = captured.column
        for position in np.flatnonzero(column.known & wanted).tolist():
            at = from_epoch_s(int(buffer.times_s[position]))
            value, exponent = column.as_told(position)
            reading_type = ReadingType(rule.reading_obis(captured.met), column.unit, exponent)
            self.result.registers.append(RegisterReading(reading_type, value, at, buffer.evidence))

    # ------------------------------------------------------------------ intervals

    def load_profile(
        self, buffer: ProfileBuffer, *, from_s: int, until_s: int, suspect_clock: bool = False
    ) -> Int64Column:
        """Interval readings that start in [from_s, until_s); rows before serve differences only.

        Returns the starts of the intervals for which the meter has a row, int64[n], strictly increasing. With
        `suspect_clock` (the meter's clock was found wrong in this session) every value is marked CLOCK_SUSPECT.
        """
        rules = self._profile.load_profile
        placed = interval_rows.place(buffer.times_s, rules.capture_period_s, stamped_at_end=rules.stamp is Stamp.END)
        self._keep_misplaced(buffer, placed)
        wanted = (placed.starts >= from_s) & (placed.starts < until_s)
        qualities = self._qualities(buffer, suspect_clock=suspect_clock)[placed.recorded]
        qualities[placed.repeated] |= np.uint8(Quality.CLOCK_SUSPECT)
        rows = _Rows(placed, wanted & ~placed.superseded, qualities)
        for captured in self._captured(Place.LOAD_PROFILE, buffer):
            self._add_series(captured, rows, *self._amounts(buffer, captured, rows), buffer.evidence)
        starts = placed.starts[wanted]
        return starts if placed.in_order else np.unique(starts)

    def _amounts(self, buffer: ProfileBuffer, captured: _Captured, rows: _Rows) -> tuple[Int64Column, Mask]:
        """The amounts of the rows as recorded, and where a row has one and it is wanted."""
        column, placed = captured.column, rows.placed
        values, known = column.values[placed.recorded], column.known[placed.recorded]
        if captured.rule.kind is Kind.CUMULATIVE_INTERVAL:
            modulus = column.modulus(captured.rule.rollover or interval_rows.MODULUS.get(captured.tag))
            values, believable = interval_rows.differences(values, modulus)
            following = interval_rows.follows(placed, known) & rows.wanted
            self._keep_totals_around_gaps(buffer, captured, rows, rows.wanted & known & ~following)
            known = following & believable
            self._remark_resets(captured.met, int(np.count_nonzero(following) - np.count_nonzero(known)))
        return values, known & rows.wanted

    def _add_series(
        self, captured: _Captured, rows: _Rows, values: Int64Column, known: Mask, evidence: tuple[int, ...]
    ) -> None:
        chosen, starts = np.flatnonzero(known), rows.placed.starts
        if not rows.placed.in_order:
            chosen = chosen[np.argsort(starts[chosen])]
        if len(chosen):
            period_s = self._profile.load_profile.capture_period_s
            obis, column = captured.rule.reading_obis(captured.met), captured.column
            reading_type = ReadingType(obis, column.unit, column.exponent, period_s)
            self.result.intervals.append(
                IntervalSeries(reading_type, starts[chosen], values[chosen], rows.qualities[chosen], evidence)
            )

    def _keep_totals_around_gaps(self, buffer: ProfileBuffer, captured: _Captured, rows: _Rows, orphans: Mask) -> None:
        """A row without predecessor gives no amount, but its total and the last one before the gap bound the energy.

        Only rows whose time can be trusted: their totals become readings of the register.
        """
        rule = self._rule(Place.REGISTER, captured.met) if orphans.any() else None
        if rule is None or rule.kind is Kind.IGNORE:
            return
        bounds = orphans.copy()
        bounds[:-1] |= orphans[1:]
        sure = rows.qualities & np.uint8(Quality.CLOCK_SUSPECT) == 0
        wanted = np.zeros(buffer.columns.rows, np.bool_)
        wanted[rows.placed.recorded[bounds & sure]] = True
        self._snapshots(buffer, captured, rule, wanted)

    def _remark_resets(self, met: CosemObject, count: int) -> None:
        if count:
            self.result.remarks.append(f"the total {met.obis} went back {count} times: those intervals have no value")

    def _qualities(self, buffer: ProfileBuffer, *, suspect_clock: bool) -> QualityColumn:
        """Bits of `Quality` by row, from the status column and the clock status."""
        qualities = np.full(buffer.columns.rows, Quality.MEASURED, np.uint8)
        clock = buffer.columns.clock_status
        bad = (clock != _STATUS_NOT_SPECIFIED) & (clock & BAD_CLOCK != 0)
        status = self._status_column(buffer)
        if status is not None:
            bits = self._profile.load_profile.status_bits
            bad |= (status >> bits.clock_invalid | status >> bits.clock_adjusted) & 1 != 0
            qualities[(status >> bits.power_down) & 1 != 0] |= np.uint8(Quality.POWER_OUTAGE)
        qualities[bad | suspect_clock] |= np.uint8(Quality.CLOCK_SUSPECT)
        return qualities

    def _status_column(self, buffer: ProfileBuffer) -> Int64Column | None:
        names = {measured.obis for measured in self._profile.objects if measured.quantity is Quantity.STATUS}
        numbers = (number for number, met in enumerate(buffer.captures) if met.obis in names)
        number = next(numbers, None)
        return buffer.whole_numbers(number) if number is not None and buffer.columns.rows else None

    # ------------------------------------------------------------------ events

    def event_log(self, buffer: ProfileBuffer, *, after_s: int = 0) -> None:
        """Entries later than `after_s`, by code or, in an alarm register, by bit; alike ones of a log are counted."""
        later = buffer.times_s > after_s
        for number, rule in self._named_columns(Place.EVENT_LOG, buffer):
            codes = buffer.whole_numbers(number)
            if codes is None:
                self._keep_column(Place.EVENT_LOG, buffer, number)
                continue
            register = alarm_register(buffer.captures[number].obis)
            log = register or log_of(buffer.captures[number].obis)
            alike: Counter[tuple[int, int]] = Counter()
            for at_s, value in zip(buffer.times_s[later].tolist(), codes[later].tolist(), strict=True):
                for code in (value,) if register is None else _bits(value):
                    self._add_event(rule, log, code, at_s, alike[at_s, code], buffer.evidence)
                    alike[at_s, code] += 1

    def _add_event(
        self, rule: Rule, log: str, code: int, at_s: int, occurrence: int, evidence: tuple[int, ...]
    ) -> None:
        meaning = self._meaning(rule, log, code)
        self.result.events.append(
            MeterEvent(
                meaning.kind,
                code,
                from_epoch_s(at_s),
                meaning.text,
                evidence=evidence,
                log=log,
                occurrence=occurrence,
                event_class=meaning.event_class,
                severity=meaning.severity,
            )
        )

    def _meaning(self, rule: Rule, log: str, code: int) -> EventMeaning:
        """The mapping goes before every table; the device profile speaks of codes, not of the bits of alarms."""
        if code in rule.codes:
            return MEANING_OF[rule.codes[code]]
        name = EventKind.OTHER if is_alarm_register(log) else self._profile.event_log.kind_of(code)
        told = EventKind(name) if name in _NAMED_KINDS else None
        return self._catalogue.meaning(self._profile.key, log, code, told) or UNKNOWN_MEANING

    # ------------------------------------------------------------------ columns: used, or kept raw

    def _named_columns(self, place: Place, buffer: ProfileBuffer) -> Iterator[tuple[int, Rule]]:
        """The columns to be used, with their rules; one that no rule names is kept raw."""
        if not buffer.columns.rows:
            return
        for number, met in enumerate(buffer.captures):
            if met.class_id == _CLASS_CLOCK and met.obis == CLOCK_OBIS:
                continue
            whole_attribute = buffer.readout.layout.capture_objects[number].data_index == 0
            rule = self._rule(place, met) if whole_attribute else None
            if rule is None:
                self._keep_column(place, buffer, number)
            elif rule.kind is not Kind.IGNORE:
                yield number, rule

    def _captured(self, place: Place, buffer: ProfileBuffer) -> Iterator[_Captured]:
        """The columns to be used, as exact integers; one that holds anything else is kept raw."""
        for number, rule in self._named_columns(place, buffer):
            values = buffer.columns.columns[number]
            measure = measure_of(rule, buffer.readout.layout.scaler_units[number])
            column = None
            if measure is not None and isinstance(values, np.ndarray):
                column = scaled(values, buffer.columns.missing[number], measure)
            if column is None:
                self._keep_column(place, buffer, number)
            else:
                yield _Captured(buffer.captures[number], rule, column, buffer.columns.tags[number])

    def _keep_unknown(self, met: CosemObject, octets: bytes, at: datetime, evidence: tuple[int, ...]) -> None:
        self.result.unknown.append(UnknownObject(met.class_id, met.obis, met.attribute, octets, at, evidence))

    def _keep_column(self, place: Place, buffer: ProfileBuffer, number: int) -> None:
        """A whole column as an array of its cells, at the time of the newest row."""
        self.result.unmapped.add(place)
        newest = from_epoch_s(int(buffer.times_s.max()))
        cells = column_octets(buffer.readout.raw, number, buffer.template)
        self._keep_unknown(buffer.captures[number], cells, newest, buffer.evidence)

    def _keep_misplaced(self, buffer: ProfileBuffer, placed: PlacedRows) -> None:
        """Rows off the grid, and rows for an interval that has another row, each as the structure that came."""
        superseded = placed.recorded[placed.superseded]
        positions = [*placed.off_grid.tolist(), *superseded.tolist()]
        if not positions:
            return
        rows, obis = decode_all(buffer.readout.raw).items, buffer.readout.layout.obis
        for position in positions:
            at = from_epoch_s(int(buffer.times_s[position]))
            self._keep_unknown(CosemObject(_CLASS_PROFILE, obis, _BUFFER), encode(rows[position]), at, buffer.evidence)
        self.result.remarks.append(_misplaced_remark(str(obis), len(placed.off_grid), len(superseded)))


def _bits(value: int) -> list[int]:
    """The positions of the bits that are set, the lowest is 0."""
    return [position for position in range(value.bit_length()) if value >> position & 1] if value > 0 else []


def _misplaced_remark(profile: str, off_grid: int, superseded: int) -> str:
    """Names only the counts that are not 0."""
    parts = []
    if off_grid:
        parts.append(f"{_rows(off_grid)} off the grid")
    if superseded:
        parts.append(f"{_rows(superseded)} for an interval that was written again later")
    return f"{' and '.join(parts)} in profile {profile}: kept raw"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
