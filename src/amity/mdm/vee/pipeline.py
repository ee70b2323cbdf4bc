"""The rules in the order of the catalogue (DASMMD 3.4, 3.6): validate, estimate, validate the estimates again.

Final values are a function of raw values and register snapshots alone: running again changes nothing, and a reading
that comes late takes the place of its estimate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amity.domain.readings import Int64Column, Quality, QualityColumn, RegisterReading
from amity.mdm.vee.findings import Finding, Window
from amity.mdm.vee.interpolation import LONGEST_GAP_S, interpolate
from amity.mdm.vee.missing import ends_early, missing_intervals
from amity.mdm.vee.register_sum import TOLERANCE_REGISTER_UNITS, register_sum_check
from amity.mdm.vee.spike import SPIKE_FLOOR_W, SPIKE_RATIO, least_above, spike_check, spikes

VERSION = "1"


@dataclass(frozen=True, slots=True)
class Settings:
    """The thresholds that a utility may set; each default is explained where its rule is."""

    longest_gap_s: int = LONGEST_GAP_S
    spike_ratio: float = SPIKE_RATIO
    spike_floor_w: float = SPIKE_FLOOR_W
    sum_tolerance_register_units: int = TOLERANCE_REGISTER_UNITS


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """The final contents of a window and all that the rules say of it, by time."""

    final: Window
    findings: tuple[Finding, ...]


DEFAULTS = Settings()


def run(
    raw: Window,
    snapshots: Sequence[RegisterReading] = (),
    *,
    until_s: int | None = None,
    settings: Settings = DEFAULTS,
) -> Verdict:
    """Validate and estimate one channel's window.

    snapshots: readings of the channel's total register, oldest first. until_s: where the series was expected to
    reach, None when that is not known.
    """
    # Before estimation: a doubted value must not become an end point.
    doubted, _ = spike_check(raw, settings.spike_ratio, settings.spike_floor_w)
    estimated, filled = interpolate(doubted, settings.longest_gap_s)
    # After it: what stands is judged as a whole.
    final, outstanding = spike_check(estimated, settings.spike_ratio, settings.spike_floor_w)
    findings = [
        *filled,
        *missing_intervals(final),
        *([] if until_s is None else ends_early(final, until_s)),
        *register_sum_check(final, snapshots, settings.sum_tolerance_register_units),
        *outstanding,
    ]
    return Verdict(final, tuple(sorted(findings, key=lambda finding: (finding.start_s, finding.rule.name))))


class Windows(NamedTuple):
    """The same days of channels of one grid: int64 and uint8[channel, day, slot], and each channel's exponent."""

    values: Int64Column
    qualities: QualityColumn
    interval_s: int
    exponents: Sequence[int]

    def window(self, channel: int, start_s: int) -> Window:
        """One of them, which starts there."""
        values, qualities = self.values[channel].reshape(-1), self.qualities[channel].reshape(-1)
        return Window(start_s, self.interval_s, values, qualities, self.exponents[channel])


def remarkable(windows: Windows, *, settings: Settings = DEFAULTS) -> NDArray[np.bool_]:
    """bool[channel]: true where `run` without snapshots would find or change anything.

    Without a gap there is nothing to estimate, and without a spike nothing to doubt: the final values are the raw ones.
    """
    floor = np.array([least_above(settings.spike_floor_w, windows.interval_s, one) for one in windows.exponents])
    marked = spikes(windows.values, windows.qualities, ratio=settings.spike_ratio, floor=floor[:, None])
    known = windows.qualities.reshape(len(windows.qualities), -1) != Quality.EMPTY
    reach = known.shape[1] - known.argmax(axis=1) - known[:, ::-1].argmax(axis=1)
    counts = known.sum(axis=1)
    spoken_of: NDArray[np.bool_] = (counts > 0) & (counts != reach) | marked.any(axis=(1, 2))
    return spoken_of
