"""The register-sum check: intervals must add up to what the register advanced.

Definition (Oracle "Sum Check"; IESO "Meter Reading vs Load Profile"; DASMMD 3.4): between two register snapshots at
the instants t1 < t2, both on the interval grid, |sum of the intervals in [t1, t2) - (register(t2) - register(t1))|
must not exceed the tolerance.
Default: two units of the register's last digit, for both snapshots are cut off there (DASMMD: 1 to 2 register units
times the multiplier). Where an interval is missing nothing can be said, and the missing intervals are the finding.
"""

from collections.abc import Sequence
from itertools import pairwise

from amity.domain.readings import Quality, RegisterReading
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s
from amity.mdm.vee.findings import Finding, Rule, Window, clock_time
from amity.mdm.vee.missing import counted

REGISTER_SUM = Rule("register-sum-check", "1")
TOLERANCE_REGISTER_UNITS = 2

_EXPONENT_MAX = 127  # the scaler of scal_unit_type is an int8 (IEC 62056-6-2)
_INTERVAL_VALUE, _TIME_INTEGRAL = 29, 8  # value group D (IEC 62056-6-1, table of electricity codes)


def register_of(interval_obis: Obis) -> Obis | None:
    """The total register that the intervals of this channel add up to: 1.0.1.29.0.255 gives 1.0.1.8.0.255."""
    medium, channel, quantity, kind, tariff, history = interval_obis
    if kind != _INTERVAL_VALUE:
        return None
    return Obis(bytes((medium, channel, quantity, _TIME_INTEGRAL, tariff, history)))


def register_sum_check(
    window: Window, snapshots: Sequence[RegisterReading], tolerance_units: int = TOLERANCE_REGISTER_UNITS
) -> list[Finding]:
    """One finding for each pair of neighbouring snapshots (oldest first) that the window covers and contradicts."""
    usable = [snapshot for snapshot in snapshots if _is_usable(snapshot, window)]
    findings = (_compare(window, first, second, tolerance_units) for first, second in pairwise(usable))
    return [finding for finding in findings if finding is not None]


def _is_usable(snapshot: RegisterReading, window: Window) -> bool:
    on_grid = epoch_s(snapshot.at) % window.interval_s == 0
    return on_grid and abs(snapshot.reading_type.exponent) <= _EXPONENT_MAX


def _compare(window: Window, first: RegisterReading, second: RegisterReading, tolerance_units: int) -> Finding | None:
    start_s, end_s = epoch_s(first.at), epoch_s(second.at)
    begin, end = window.slot(start_s), window.slot(end_s)
    if begin < 0 or end > len(window.values) or begin >= end:
        return None
    qualities = window.qualities[begin:end]
    if (qualities == Quality.EMPTY).any():
        return None
    # Exact in the finer of the two scales; Python's integers, because a broken meter may send any 64 bits.
    finest = min(window.exponent, first.reading_type.exponent, second.reading_type.exponent)
    total = sum(window.values[begin:end].tolist()) * 10 ** (window.exponent - finest)
    advanced = _scaled(second, finest) - _scaled(first, finest)
    last_digit = 10 ** (max(first.reading_type.exponent, second.reading_type.exponent) - finest)
    if abs(total - advanced) <= tolerance_units * last_digit:
        return None
    estimated = int(((qualities & Quality.MEASURED) == 0).sum())
    sums = [window.said(number, finest) for number in (total, advanced, total - advanced)]
    return Finding(REGISTER_SUM, start_s, end_s, _message(start_s, end_s, sums, estimated))


def _scaled(reading: RegisterReading, exponent: int) -> int:
    return reading.value * int(10 ** (reading.reading_type.exponent - exponent))


def _message(start_s: int, end_s: int, sums: Sequence[str], estimated: int) -> str:
    total, advanced, difference = sums
    said = (
        f"intervals from {clock_time(start_s)} to {clock_time(end_s)} add up to {total}, "
        f"the register advanced by {advanced}: a difference of {difference}"
    )
    if not estimated:
        return said
    return f"{said}; estimates take part ({counted(estimated)} not measured) and may be what differs"
