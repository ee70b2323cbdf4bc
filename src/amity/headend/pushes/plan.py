"""What one shape of push means for one model under one mapping: worked out once, then numbers only are put in.

For a row of one there is no gain in columns: the same rules as in `normalise` give the same readings here, number by
number. Whatever is not plain (codes of events, texts, times that are none, numbers out of bounds) goes the long way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from amity.devices.profiles import DeviceProfile, Quantity, Stamp
from amity.devices.push import date_time_of
from amity.devices.push_shape import Cut, PushShape, ShapedNumber
from amity.devices.readout import ScalerUnit
from amity.domain.readings import IntervalSeries, Quality, ReadingType, RegisterReading, UnknownObject
from amity.headend.mapping import CosemObject, Kind, Mapping, Place, Rule
from amity.headend.normalise import BAD_CLOCK, Normalised
from amity.headend.scaling import Measure, measure_of
from amity.kernel.errors import RemoteProtocolError
from amity.kernel.time import epoch_s, from_epoch_s
from amity.protocols.dlms.data import Data, Tag
from amity.protocols.dlms.profile_buffer import ClockReading, decode_columns
from amity.protocols.dlms.profile_columns import STATUS_NOT_SPECIFIED

CLOCK_TOLERANCE_S: Final = 60
EVIDENCE: Final = (0,)
_ONE_ROW_WITH_A_CLOCK: Final = bytes([Tag.ARRAY, 1, Tag.STRUCTURE, 1, Tag.OCTET_STRING, 12])
_ARRAY_OF_ONE: Final = bytes([Tag.ARRAY, 1])
_INT64_MAX: Final = 2**63 - 1
_SCALER_MAX: Final = 18
"""A larger power of ten is beyond 64 bits, and of no use even to zero."""
_VALUE: Final = 2
_ANY_CLASS: Final = 0


class _Moment(NamedTuple):
    """A meter's time: epoch seconds, and the status octet of its clock."""

    at_s: int
    status: int


class _Series(NamedTuple):
    """A number that is the value of an interval."""

    place: int
    reading_type: ReadingType
    factor: int


class _Register(NamedTuple):
    """A number that is the state of a register.

    That is also a running total among intervals: one row gives no amount, but its total bounds the energy.
    """

    place: int
    reading_type: ReadingType


class _Raw(NamedTuple):
    """A number that no rule names."""

    place: int
    met: CosemObject


@dataclass(slots=True)
class _Meanings:
    """What the numbers are that come at one kind of time: on the grid of the load profile, or off it.

    A number beyond `limit` does not fit 64 bits when it is scaled.
    """

    series: list[_Series] = field(default_factory=list)
    registers: list[_Register] = field(default_factory=list)
    raw: list[_Raw] = field(default_factory=list)
    limit: int = _INT64_MAX


class PushPlan:
    """Turns cuts of one shape into readings."""

    def __init__(self, shape: PushShape, profile: DeviceProfile, mapping: Mapping) -> None:
        self._shape = shape
        self._profile = profile
        self._clock = ClockReading(
            default_deviation_min=profile.clock.default_deviation_min,
            deviation_inverted=profile.clock.deviation_inverted,
            column=0,
        )
        met = [_met(one) for one in shape.numbers]
        rules = [mapping.rule_for(profile.key, Place.EVENT_LOG, one) for one in met]
        self._has_events = any(rule is not None and rule.kind is Kind.EVENT for rule in rules)
        statuses = {one.obis for one in profile.objects if one.quantity is Quantity.STATUS}
        self._status = next((place for place, one in enumerate(met) if one.obis in statuses), None)
        self._on_grid = self._meanings(Place.LOAD_PROFILE, mapping)
        self._off_grid = self._meanings(Place.BILLING_PROFILE, mapping)

    def normalised(self, body: bytes, cut: Cut, now: datetime) -> Normalised | None:
        """The readings of one push; None when it has to go the long way."""
        moment = None if self._has_events else _moment(cut.clock, self._clock)
        if moment is None or moment.at_s <= 0:
            return None
        on_grid = moment.at_s % self._profile.load_profile.capture_period_s == 0
        meanings, numbers = self._on_grid if on_grid else self._off_grid, cut.numbers
        if numbers and not -meanings.limit <= min(numbers) <= max(numbers) <= meanings.limit:
            return None
        found, at = Normalised(), from_epoch_s(moment.at_s)
        quality = self._quality(moment, cut, now) if on_grid else int(Quality.MEASURED)
        _add_series(found, meanings.series, numbers, self._start_s(moment), quality)
        if not quality & Quality.CLOCK_SUSPECT:
            found.registers = [
                RegisterReading(kind, numbers[place], at, EVIDENCE) for place, kind in meanings.registers
            ]
        found.unknown = [self._unknown(body, one, at) for one in meanings.raw]
        return found

    def _start_s(self, moment: _Moment) -> int:
        load = self._profile.load_profile
        return moment.at_s - load.capture_period_s if load.stamp is Stamp.END else moment.at_s

    def _quality(self, moment: _Moment, cut: Cut, now: datetime) -> int:
        """Bits of `Quality`; an interval that is not over yet comes from a clock that is ahead."""
        quality = int(Quality.MEASURED)
        end_s = self._start_s(moment) + self._profile.load_profile.capture_period_s
        bad = moment.status != STATUS_NOT_SPECIFIED and bool(moment.status & BAD_CLOCK)
        if self._status is not None:
            bits, status = self._profile.load_profile.status_bits, cut.numbers[self._status]
            bad |= bool((status >> bits.clock_invalid | status >> bits.clock_adjusted) & 1)
            quality |= int(Quality.POWER_OUTAGE) if status >> bits.power_down & 1 else 0
        ahead = end_s > epoch_s(now) + CLOCK_TOLERANCE_S
        return quality | (int(Quality.CLOCK_SUSPECT) if bad or ahead else 0)

    def _unknown(self, body: bytes, one: _Raw, at: datetime) -> UnknownObject:
        number = self._shape.numbers[one.place]
        octets = _ARRAY_OF_ONE + body[number.start : number.end]
        return UnknownObject(one.met.class_id, one.met.obis, one.met.attribute, octets, at, EVIDENCE)

    # -------------------------------------------------------------- once
    def _meanings(self, place: Place, mapping: Mapping) -> _Meanings:
        meanings = _Meanings()
        for number, shaped in enumerate(self._shape.numbers):
            met = _met(shaped)
            rule = mapping.rule_for(self._profile.key, place, met)
            if rule is not None and rule.kind is Kind.IGNORE:
                continue
            measure = None if rule is None else measure_of(rule, _scaler_unit(shaped))
            if rule is None or measure is None or measure.scaler > _SCALER_MAX:
                meanings.raw.append(_Raw(number, met))
            else:
                self._mean(meanings, number, met, rule, measure, mapping)
        return meanings

    def _mean(
        self, meanings: _Meanings, number: int, met: CosemObject, rule: Rule, measure: Measure, mapping: Mapping
    ) -> None:
        factor = 10 ** max(measure.scaler, 0)
        meanings.limit = min(meanings.limit, _INT64_MAX // factor)
        if rule.kind is Kind.INTERVAL:
            period_s = self._profile.load_profile.capture_period_s
            obis, exponent = rule.reading_obis(met), min(measure.scaler, 0)
            meanings.series.append(_Series(number, ReadingType(obis, measure.unit, exponent, period_s), factor))
            return
        named = rule
        if rule.kind is Kind.CUMULATIVE_INTERVAL:
            total = mapping.rule_for(self._profile.key, Place.REGISTER, met)
            if total is None or total.kind is Kind.IGNORE:
                return
            named = total
        meanings.registers.append(_Register(number, ReadingType(named.reading_obis(met), measure.unit, measure.scaler)))


def _add_series(
    found: Normalised, series: Sequence[_Series], numbers: Sequence[int], start_s: int, quality: int
) -> None:
    if not series:
        return
    starts, qualities = np.array([start_s], np.int64), np.array([quality], np.uint8)
    for place, reading_type, factor in series:
        values = np.array([numbers[place] * factor], np.int64)
        found.intervals.append(IntervalSeries(reading_type, starts, values, qualities, EVIDENCE))


def _met(number: ShapedNumber) -> CosemObject:
    return CosemObject(_ANY_CLASS, number.obis, _VALUE)


def _scaler_unit(number: ShapedNumber) -> ScalerUnit | None:
    scaling = number.reading.scaling or number.reading.assumed
    return None if scaling is None else ScalerUnit(scaling.scaler, int(scaling.unit))


@lru_cache(maxsize=4096)
def _moment(octets: bytes, clock: ClockReading) -> _Moment | None:
    """The same few times come from the entire fleet; None for what is no time."""
    if date_time_of(Data(Tag.OCTET_STRING, octets)) is None:
        return None
    try:
        columns = decode_columns(_ONE_ROW_WITH_A_CLOCK + octets, clock)
    except RemoteProtocolError:
        return None
    return _Moment(int(columns.timestamps_s[0]), int(columns.clock_status[0]))
