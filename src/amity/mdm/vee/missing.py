"""Missing intervals: holes between the first and the last known interval, and a series that ends too early.

Catalogue: "Missing intervals / Gap" and "Intervals found vs expected" (DASMMD 3.3; IESO "Missing Intervals").
Formula: expected = (last - first) / interval + 1 on the UTC grid, so a day of clock change is like any other.
Threshold: 0, every missing interval is a finding.
"""

import numpy as np

from amity.domain.readings import Quality, QualityColumn
from amity.mdm.vee.findings import Finding, Rule, Window, clock_time, runs_of

MISSING_INTERVALS = Rule("missing-intervals", "1")
ENDS_EARLY = Rule("ends-early", "1")


def gaps(qualities: QualityColumn) -> list[tuple[int, int]]:
    """(first slot, length) of each run of EMPTY slots with a known slot on both sides, in uint8[n]."""
    known = np.flatnonzero(qualities != Quality.EMPTY)
    if not len(known):
        return []
    first, last = int(known[0]), int(known[-1])
    return [(first + slot, length) for slot, length in runs_of(qualities[first : last + 1] == Quality.EMPTY)]


def missing_intervals(window: Window) -> list[Finding]:
    """One finding for each gap."""
    return [
        Finding(
            MISSING_INTERVALS,
            window.second(slot),
            window.second(slot + length),
            f"{counted(length)} missing from {clock_time(window.second(slot))} "
            f"to {clock_time(window.second(slot + length))}",
        )
        for slot, length in gaps(window.qualities)
    ]


def ends_early(window: Window, until_s: int) -> list[Finding]:
    """One finding when nothing is known from some interval up to `until_s`, where the series was expected to go on."""
    known = np.flatnonzero(window.qualities != Quality.EMPTY)
    if not len(known):
        return []
    end_s = window.second(int(known[-1]) + 1)
    if end_s >= until_s:
        return []
    expected = (until_s - end_s) // window.interval_s
    message = f"nothing after {clock_time(end_s)}, expected {counted(expected)} up to {clock_time(until_s)}"
    return [Finding(ENDS_EARLY, end_s, until_s, message)]


def counted(intervals: int) -> str:
    """`1 interval`, `7 intervals`."""
    return f"{intervals} interval{'' if intervals == 1 else 's'}"
