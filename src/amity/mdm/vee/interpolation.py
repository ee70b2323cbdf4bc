"""Linear interpolation of short gaps.

Definition (IEE and DASMMD 6, estimation of gaps up to two hours): between the end points a and b a gap of L intervals
gets v_k = a + k (b - a) / (L + 1), k = 1 … L. The worked example of IEE: 75, [80, 85, 90, 95], 100.
Default: gaps of at most 2 h. The end points must be measured and must not be intervals with a power outage (DASMMD);
nor may they be values that a validation called in question, for an estimate must not spread a doubt.

Values are whole units (Wh), so the line is rounded, but not interval by interval, which could add up to L/2 units that
nobody used: what is rounded (half up) is the running total S_k = v_1 + … + v_k, and the interval gets the difference
round(S_k) - round(S_{k-1}). Each interval then lies between a and b and less than one unit from the line, and the gap's
sum is the exact sum L (a + b) / 2, rounded once.
"""

from amity.domain.readings import Quality
from amity.mdm.vee.findings import Finding, Rule, Window, clock_time
from amity.mdm.vee.missing import counted, gaps

LINEAR_INTERPOLATION = Rule("linear-interpolation", "1")
LONGEST_GAP_S = 2 * 3600

_DOUBTS = Quality.POWER_OUTAGE | Quality.QUESTIONABLE


def line_between(a: int, b: int, length: int) -> list[int]:
    """The `length` whole numbers between the end points a and b, rounded so that their sum is the line's sum."""
    return [_running_total(a, b, length, k) - _running_total(a, b, length, k - 1) for k in range(1, length + 1)]


def interpolate(window: Window, longest_gap_s: int = LONGEST_GAP_S) -> tuple[Window, list[Finding]]:
    """Fill the gaps that the rule allows, with quality LINEAR; one resolved finding for each filled gap."""
    values, qualities = window.values.copy(), window.qualities.copy()
    findings = []
    for slot, length in gaps(window.qualities):
        if length * window.interval_s <= longest_gap_s and _has_end_points(window, slot, length):
            a, b = int(window.values[slot - 1]), int(window.values[slot + length])
            values[slot : slot + length] = line_between(a, b, length)
            qualities[slot : slot + length] = Quality.LINEAR
            findings.append(_finding(window, slot, length))
    return window.replaced(values, qualities), findings


def _running_total(a: int, b: int, length: int, k: int) -> int:
    """round(S_k), half up, in exact integers: S_k = k a + (b - a) k (k + 1) / (2 (L + 1))."""
    denominator = 2 * (length + 1)
    numerator = k * a * denominator + (b - a) * k * (k + 1)
    return (2 * numerator + denominator) // (2 * denominator)


def _has_end_points(window: Window, slot: int, length: int) -> bool:
    ends = (Quality(int(window.qualities[slot - 1])), Quality(int(window.qualities[slot + length])))
    return all(Quality.MEASURED in end and not end & _DOUBTS for end in ends)


def _finding(window: Window, slot: int, length: int) -> Finding:
    start_s, end_s = window.second(slot), window.second(slot + length)
    a, b = window.values[slot - 1], window.values[slot + length]
    message = f"{counted(length)} from {clock_time(start_s)} put on the line between {a} and {b}"
    return Finding(LINEAR_INTERPOLATION, start_s, end_s, message, resolved=True)
