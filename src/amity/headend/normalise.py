"""What a meter gave, as reading types: scalers applied exactly, stamps to interval starts in UTC, totals to amounts.

Nothing is dropped: an object that no rule names, a row off the grid and a value that is no number are kept as the meter
sent them, as `UnknownObject`, with a remark that says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amity.devices.profiles import CLOCK_OBIS, DeviceProfile, Quantity, Stamp
from amity.devices.readout import ProfileReadout, ScalerUnit
from amity.domain.events import EventKind, MeterEvent
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
from amity.headend.interval_rows import Mask, PlacedRows
from amity.headend.mapping import CosemObject, Kind, Mapping, Place, Rule
from amity.kernel.obis import Obis
from amity.kernel.time import from_epoch_s
from amity.kernel.units import Unit
from amity.protocols.dlms.data import Data, array, decode_all, encode
from amity.protocols.dlms.datetime import (
    STATUS_DOUBTFUL_VALUE,
    STATUS_INVALID_CLOCK,
    STATUS_INVALID_VALUE,
)
from amity.protocols.dlms.profile_buffer import ProfileColumns

_CLASS_PROFILE: Final = 7
_CLASS_CLOCK: Final = 8
_BUFFER: Final = 2
_STATUS_NOT_SPECIFIED: Final = 0xFF
_BAD_CLOCK: Final = STATUS_INVALID_VALUE | STATUS_DOUBTFUL_VALUE | STATUS_INVALID_CLOCK
_INT64_MAX: Final = 2**63 - 1
_EXPONENT_OF_FLOATS: Final = -3


class ProfileBuffer(NamedTuple):
    """The rows of one profile: as read, and decoded."""

    readout: ProfileReadout
    columns: ProfileColumns

    @property
    def captures(self) -> tuple[CosemObject, ...]:
        """The object of each column."""
        return tuple(CosemObject(one.class_id, one.obis, one.attribute) for one in self.readout.layout.capture_objects)

    @property
    def evidence(self) -> tuple[int, ...]:
        """Positions of the exchanges that brought the rows."""
        return self.readout.evidence


@dataclass(frozen=True, slots=True)
class ReadValue:
    """One attribute read by itself: its value as Data, its unit if it has one, when it was read."""

    met: CosemObject
    value: Data
    scaler_unit: ScalerUnit | None
    at: datetime
    evidence: tuple[int, ...]


@dataclass(slots=True)
class Normalised:
    """What became of everything that was read; `remarks` say what somebody should look at."""

    intervals: list[IntervalSeries] = field(default_factory=list)
    registers: list[RegisterReading] = field(default_factory=list)
    events: list[MeterEvent] = field(default_factory=list)
    unknown: list[UnknownObject] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class Normaliser:
    """Normalises what one session with a meter of this profile brought, by the mapping that was in force."""

    def __init__(self, profile: DeviceProfile, mapping: Mapping) -> None:
        self._profile = profile
        self._mapping = mapping
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
            scaled = None if rule is None else _scaled_number(one.value.value, _measure(rule, one.scaler_unit))
            if rule is None or scaled is None:
                self._keep_unknown(one.met, encode(one.value), one.at, one.evidence)
            else:
                value, exponent, unit = scaled
                reading_type = ReadingType(rule.reading_obis(one.met), unit, exponent)
                self.result.registers.append(RegisterReading(reading_type, value, one.at, one.evidence))

    def billing_profile(self, buffer: ProfileBuffer, *, after_s: int = 0) -> None:
        """Snapshots of registers: the values of each row later than `after_s` at the row's time."""
        wanted = buffer.columns.timestamps_s > after_s
        for number, met in enumerate(buffer.captures):
            rule = self._column_rule(Place.BILLING_PROFILE, buffer, number)
            if rule is None:
                continue
            column = _column(buffer, number, rule)
            if column is None:
                self._keep_column(buffer, number)
            else:
                self._snapshots(buffer, column, np.flatnonzero(column.known & wanted), rule.reading_obis(met))

    def _snapshots(self, buffer: ProfileBuffer, column: "_Column", positions: Iterable[int], obis: Obis) -> None:
        reading_type = ReadingType(obis, column.unit, column.exponent)
        for position in positions:
            at = from_epoch_s(int(buffer.columns.timestamps_s[position]))
            value = int(column.values[position])
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
        placed = interval_rows.place(
            buffer.columns.timestamps_s, rules.capture_period_s, stamped_at_end=rules.stamp is Stamp.END
        )
        self._keep_misplaced(buffer, placed)
        wanted = (placed.starts >= from_s) & (placed.starts < until_s)
        qualities = self._qualities(buffer, suspect_clock=suspect_clock)[placed.recorded]
        qualities[placed.repeated] |= np.uint8(Quality.CLOCK_SUSPECT)
        for number in range(len(buffer.captures)):
            rule = self._column_rule(Place.LOAD_PROFILE, buffer, number)
            if rule is None:
                continue
            column = _column(buffer, number, rule)
            if column is None:
                self._keep_column(buffer, number)
            else:
                amounts = self._amounts(buffer, number, rule, column, placed, wanted)
                self._channel(buffer, number, rule, amounts, placed.starts, qualities)
        return np.unique(placed.starts[wanted])

    def _amounts(
        self, buffer: ProfileBuffer, number: int, rule: Rule, column: "_Column", placed: PlacedRows, wanted: Mask
    ) -> "_Column":
        """The amounts of the rows as recorded; `known` where a row has one and it is wanted."""
        values, known = column.values[placed.recorded], column.known[placed.recorded]
        wanted = wanted & ~placed.superseded
        if rule.kind is Kind.CUMULATIVE_INTERVAL:
            values, believable = interval_rows.differences(values, _modulus(rule, column, buffer.columns, number))
            following = interval_rows.follows(placed.starts, known, self._profile.load_profile.capture_period_s)
            self._keep_totals_around_gaps(buffer, number, column, placed, wanted & known & ~following)
            self._remark_resets(buffer.captures[number], int(np.count_nonzero(following & ~believable & wanted)))
            known = following & believable
        return replace(column, values=values, known=known & wanted)

    def _channel(
        self,
        buffer: ProfileBuffer,
        number: int,
        rule: Rule,
        amounts: "_Column",
        starts: Int64Column,
        qualities: QualityColumn,
    ) -> None:
        chosen = np.flatnonzero(amounts.known)
        chosen = chosen[np.argsort(starts[chosen])]
        if len(chosen):
            reading_type = ReadingType(
                rule.reading_obis(buffer.captures[number]),
                amounts.unit,
                amounts.exponent,
                self._profile.load_profile.capture_period_s,
            )
            self.result.intervals.append(
                IntervalSeries(reading_type, starts[chosen], amounts.values[chosen], qualities[chosen], buffer.evidence)
            )

    def _keep_totals_around_gaps(
        self, buffer: ProfileBuffer, number: int, column: "_Column", placed: PlacedRows, orphans: Mask
    ) -> None:
        """A row without predecessor gives no amount, but its total and the last one before the gap bound the energy."""
        met = buffer.captures[number]
        rule = self._rule(Place.REGISTER, met)
        if rule is None or rule.kind is Kind.IGNORE:
            return
        ends_of_gaps = np.flatnonzero(orphans)
        bounds = np.union1d(ends_of_gaps, ends_of_gaps[ends_of_gaps > 0] - 1)
        positions = placed.recorded[bounds]
        self._snapshots(buffer, column, positions[column.known[positions]].tolist(), rule.reading_obis(met))

    def _remark_resets(self, met: CosemObject, count: int) -> None:
        if count:
            self.result.remarks.append(f"the total {met.obis} went back {count} times: those intervals have no value")

    def _qualities(self, buffer: ProfileBuffer, *, suspect_clock: bool) -> QualityColumn:
        """Bits of `Quality` by row, from the status column and the clock status."""
        columns = buffer.columns
        qualities = np.full(columns.rows, Quality.MEASURED, np.uint8)
        clock = columns.clock_status
        bad = (clock != _STATUS_NOT_SPECIFIED) & (clock & _BAD_CLOCK != 0)
        status = self._status_column(buffer)
        if status is not None:
            bits = self._profile.load_profile.status_bits
            bad |= (status >> bits.clock_invalid | status >> bits.clock_adjusted) & 1 != 0
            qualities[(status >> bits.power_down) & 1 != 0] |= np.uint8(Quality.POWER_OUTAGE)
        qualities[bad | suspect_clock] |= np.uint8(Quality.CLOCK_SUSPECT)
        return qualities

    def _status_column(self, buffer: ProfileBuffer) -> Int64Column | None:
        names = {measured.obis for measured in self._profile.objects if measured.quantity is Quantity.STATUS}
        for number, met in enumerate(buffer.captures):
            column = buffer.columns.columns[number] if buffer.columns.rows else None
            if met.obis in names and isinstance(column, np.ndarray) and column.dtype == np.int64:
                return column.astype(np.int64, copy=False)
        return None

    # ------------------------------------------------------------------ events

    def event_log(self, buffer: ProfileBuffer, *, after_s: int = 0) -> None:
        """Entries later than `after_s`: the maker's code by the rule's table, else by the device profile's."""
        for number in range(len(buffer.captures)):
            rule = self._column_rule(Place.EVENT_LOG, buffer, number)
            if rule is None:
                continue
            column = buffer.columns.columns[number]
            if isinstance(column, np.ndarray) and column.dtype == np.int64:
                later = buffer.columns.timestamps_s > after_s
                self._events(rule, buffer.columns.timestamps_s[later], column[later], buffer.evidence)
            else:
                self._keep_column(buffer, number)

    def _events(self, rule: Rule, times_s: Int64Column, codes: NDArray[Any], evidence: tuple[int, ...]) -> None:
        for at_s, code in zip(times_s.tolist(), codes.tolist(), strict=True):
            kind = self.event_kind(rule, code)
            self.result.events.append(MeterEvent(kind, code, from_epoch_s(at_s), evidence=evidence))

    def event_kind(self, rule: Rule | None, code: int) -> EventKind:
        """What a maker's code means; OTHER when neither mapping nor profile says."""
        if rule is not None and code in rule.codes:
            return rule.codes[code]
        name = self._profile.event_log.kind_of(code)
        return EventKind(name) if name in list(EventKind) else EventKind.OTHER

    # ------------------------------------------------------------------ what cannot be used is kept

    def _column_rule(self, place: Place, buffer: ProfileBuffer, number: int) -> Rule | None:
        """The rule for a column that is to be used; a column without one is kept raw, here."""
        met = buffer.captures[number]
        if not buffer.columns.rows or (met.class_id == _CLASS_CLOCK and met.obis == CLOCK_OBIS):
            return None
        whole_attribute = buffer.readout.layout.capture_objects[number].data_index == 0
        rule = self._rule(place, met) if whole_attribute else None
        if rule is None:
            self._keep_column(buffer, number)
        return None if rule is None or rule.kind is Kind.IGNORE else rule

    def _keep_unknown(self, met: CosemObject, octets: bytes, at: datetime, evidence: tuple[int, ...]) -> None:
        self.result.unknown.append(UnknownObject(met.class_id, met.obis, met.attribute, octets, at, evidence))

    def _keep_column(self, buffer: ProfileBuffer, number: int) -> None:
        """A whole column as an array of its cells, at the time of the newest row."""
        cells = [row.items[number] for row in decode_all(buffer.readout.raw).items]
        newest = from_epoch_s(int(buffer.columns.timestamps_s.max()))
        self._keep_unknown(buffer.captures[number], encode(array(cells)), newest, buffer.evidence)

    def _keep_misplaced(self, buffer: ProfileBuffer, placed: PlacedRows) -> None:
        """Rows off the grid, and rows for an interval that has another row, each as the structure that came."""
        superseded = placed.recorded[placed.superseded]
        positions = [*placed.off_grid.tolist(), *superseded.tolist()]
        if not positions:
            return
        rows = decode_all(buffer.readout.raw).items
        profile = CosemObject(_CLASS_PROFILE, buffer.readout.layout.obis, _BUFFER)
        for position in positions:
            at = from_epoch_s(int(buffer.columns.timestamps_s[position]))
            self._keep_unknown(profile, encode(rows[position]), at, buffer.evidence)
        self.result.remarks.append(
            f"{len(placed.off_grid)} rows of profile {buffer.readout.layout.obis} lie off the grid and"
            f" {len(superseded)} name an interval that was written again later: kept raw"
        )


# ------------------------------------------------------------------ numbers


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """A column as integers in 10**exponent of the unit; `known` is False where the meter sent no value."""

    values: Int64Column
    known: Mask
    exponent: int
    unit: Unit
    factor: int


def _measure(rule: Rule, told: ScalerUnit | None) -> tuple[int, Unit] | None:
    """Scaler and unit: the rule's where it has them, else the meter's; None when the unit is nobody's or no unit."""
    if rule.unit is not None:
        unit = rule.unit
    elif told is not None and told.unit in Unit._value2member_map_:
        unit = Unit(told.unit)
    else:
        return None
    scaler = rule.scaler if rule.scaler is not None else (told.scaler if told is not None else 0)
    return scaler, unit


def _scaled_number(value: object, measure: tuple[int, Unit] | None) -> tuple[int, int, Unit] | None:
    """(value, exponent, unit) of one number, exact; None for what is no number."""
    if measure is None or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    scaler, unit = measure
    column = _scaled(np.array([value]), np.ones(1, np.bool_), scaler, unit)
    return None if column is None else (int(column.values[0]), column.exponent, unit)


def _column(buffer: ProfileBuffer, number: int, rule: Rule) -> _Column | None:
    """The column as exact integers; None when it holds anything else, or nobody knows its unit."""
    measure = _measure(rule, buffer.readout.layout.scaler_units[number])
    values = buffer.columns.columns[number]
    if measure is None or not isinstance(values, np.ndarray):
        return None
    missing = buffer.columns.missing[number]
    known = np.ones(len(values), np.bool_) if missing is None else ~missing
    return _scaled(values, known, *measure)


def _scaled(values: NDArray[Any], known: Mask, scaler: int, unit: Unit) -> _Column | None:
    """Integers in 10**min(scaler, 0): finer than the unit stays finer, coarser becomes whole units.

    Floating point values become integers of a thousandth. None when 64 bits do not hold the result.
    """
    if values.dtype.kind == "f":
        exponent = min(scaler, 0) + _EXPONENT_OF_FLOATS
        scaled = np.rint(values * 10.0 ** (scaler - exponent))
        if not np.all(np.abs(scaled[known]) < float(_INT64_MAX)):
            return None
        return _Column(np.where(known, scaled, 0).astype(np.int64), known, exponent, unit, 1)
    if values.dtype.kind != "i":
        return None
    factor = 10 ** max(scaler, 0)
    if len(values) and max(abs(int(values.min())), int(values.max())) * factor > _INT64_MAX:
        return None
    return _Column(values.astype(np.int64) * factor, known, min(scaler, 0), unit, factor)


def _modulus(rule: Rule, column: _Column, columns: ProfileColumns, number: int) -> int | None:
    """Where this total starts again, in the integers of the scaled column."""
    steps = rule.rollover or interval_rows.MODULUS.get(columns.tags[number])
    return None if steps is None or steps * column.factor > _INT64_MAX else steps * column.factor
