"""The rules in the order of the catalogue (DASMMD 3.4, 3.6): validate, estimate, validate the estimates again.

Final values are a function of raw values and register snapshots alone: running again changes nothing, and a reading
that comes late takes the place of its estimate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from amity.domain.readings import RegisterReading
from amity.mdm.vee.findings import Finding, Window
from amity.mdm.vee.interpolation import LONGEST_GAP_S, interpolate
from amity.mdm.vee.missing import ends_early, missing_intervals
from amity.mdm.vee.register_sum import TOLERANCE_REGISTER_UNITS, register_sum_check
from amity.mdm.vee.spike import SPIKE_FLOOR_W, SPIKE_RATIO, spike_check

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
