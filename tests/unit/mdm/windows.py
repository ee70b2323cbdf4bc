"""Short ways to write windows down."""

from collections.abc import Sequence

import numpy as np

from amity.domain.readings import Quality
from amity.kernel.time import SECONDS_PER_DAY
from amity.mdm.vee.findings import Finding, Window

DAY_S = 20_000 * SECONDS_PER_DAY


def window(values: Sequence[int | None], *, interval_s: int = 900, exponent: int = 0, start_s: int = DAY_S) -> Window:
    """Measured values from the first slot on, None where one is missing, EMPTY up to the end of the last day."""
    slots = -(-len(values) * interval_s // SECONDS_PER_DAY) * SECONDS_PER_DAY // interval_s
    padded = [*values, *[None] * (slots - len(values))]
    known = [0 if value is None else value for value in padded]
    qualities = [Quality.EMPTY if value is None else Quality.MEASURED for value in padded]
    return Window(start_s, interval_s, np.array(known, np.int64), np.array(qualities, np.uint8), exponent)


def slots(finding: Finding, interval_s: int = 900) -> tuple[int, int]:
    """The slots [first, end) that a finding speaks of, counted from the first day."""
    return (finding.start_s - DAY_S) // interval_s, (finding.end_s - DAY_S) // interval_s
