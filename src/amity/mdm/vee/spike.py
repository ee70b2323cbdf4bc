"""The spike check: one interval that stands out of its day.

Definition (DASMMD spike check; Oracle "Interval Spike Check": highest against third highest):
(max - third max) / third max > k over the intervals of 24 h (here: one UTC day).
Defaults: k = 1.8 (DASMMD 180 %), and max - third max of at least 3 kW of average power. The floor is ours: without it
the rule calls 2,364 of 34,896 days of 100 London homes (Low Carbon London, 2013) a spike, mostly cooking in quiet
homes; with it 82. A day of which less than a quarter is measured is not judged: the third of a few says nothing.

A spike is a doubt, not a proof: the value stands and is marked QUESTIONABLE.
"""

import numpy as np
from numpy.typing import NDArray

from amity.domain.readings import Int64Column, Quality, QualityColumn
from amity.mdm.vee.findings import Finding, Rule, Window, clock_time

SPIKE_CHECK = Rule("spike-check", "1")
SPIKE_RATIO = 1.8
SPIKE_FLOOR_W = 3_000

_THIRD = 3
_JUDGED_SHARE = 4  # one in four of the day's intervals
_S_PER_H = 3600


def spikes(
    values: Int64Column, qualities: QualityColumn, *, ratio: float, floor: float | NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Mark the spikes of dense days: int64[..., day, slot] and uint8[..., day, slot] to bool of the same shape.

    `floor` is the least max - third max, in the values' own unit, for all or for each day. Equal highest intervals are
    never a spike: then the third highest is close.
    """
    if values.shape[-1] < _THIRD:
        return np.zeros(values.shape, bool)
    measured = (qualities & Quality.MEASURED) != 0
    comparable = np.where(measured, values.astype(np.float64), -np.inf)
    third, _second, highest = np.moveaxis(np.sort(comparable, axis=-1)[..., -_THIRD:], -1, 0)
    judged = _JUDGED_SHARE * measured.sum(axis=-1) >= values.shape[-1]
    judged &= np.isfinite(third)
    base = np.where(judged, third, 0.0)
    above = np.where(judged, highest, 0.0) - base
    stands_out: NDArray[np.bool_] = judged & (above > ratio * base) & (above >= floor)
    marked: NDArray[np.bool_] = stands_out[..., None] & (comparable == highest[..., None])
    return marked


def least_above(floor_w: float, interval_s: int, exponent: int) -> float:
    """The floor of a channel's values, in their own unit, from average power."""
    return floor_w * interval_s / _S_PER_H / 10.0**exponent


def spike_check(
    window: Window, ratio: float = SPIKE_RATIO, floor_w: float = SPIKE_FLOOR_W
) -> tuple[Window, list[Finding]]:
    """Mark the spikes of a window QUESTIONABLE; one finding for each."""
    by_day = (-1, window.slots_per_day)
    floor = least_above(floor_w, window.interval_s, window.exponent)
    values, qualities = window.values.reshape(by_day), window.qualities.reshape(by_day)
    marked = spikes(values, qualities, ratio=ratio, floor=floor).reshape(-1)
    doubted = np.where(marked, window.qualities | Quality.QUESTIONABLE, window.qualities).astype(np.uint8)
    findings = [_finding(window, slot) for slot in np.flatnonzero(marked).tolist()]
    return window.replaced(window.values, doubted), findings


def _finding(window: Window, slot: int) -> Finding:
    start_s, day = window.second(slot), slot // window.slots_per_day * window.slots_per_day
    known = window.qualities[day : day + window.slots_per_day] & Quality.MEASURED != 0
    third = np.sort(window.values[day : day + window.slots_per_day][known])[-_THIRD]
    spike = window.said(window.values[slot])
    message = f"{spike} at {clock_time(start_s)} stands out: the third highest of the day is {window.said(third)}"
    return Finding(SPIKE_CHECK, start_s, start_s + window.interval_s, message)
