"""Many COSEM date-times at once: epoch seconds to twelve octets each (IEC 62056-6-2, 4.1.6.1)."""

import numpy as np
from numpy.typing import NDArray

from amity.devices.profiles import ClockEncoding, ClockRules, Deviation
from amity.protocols.dlms.data import Tag
from amity.protocols.dlms.datetime import OCTETS
from amity.simulation.chance import Ints

Octets = NDArray[np.uint8]

NOT_SPECIFIED = 0x8000
_DAYS_PER_WEEK = 7
_THURSDAY = 3  # 1970-01-01, counted from Monday = 0


def date_times(at_s: Ints, rules: ClockRules, status: int = 0) -> Octets:
    """uint8[n, 12] for epoch seconds int64[n], in the meter's local standard time."""
    local_s = at_s + rules.standard_offset_min * 60
    moments = local_s.astype("datetime64[s]")
    years = moments.astype("datetime64[Y]").astype(np.int64) + 1970
    months = moments.astype("datetime64[M]")
    days = moments.astype("datetime64[D]")
    seconds = local_s % 86_400
    fields = np.zeros((len(at_s), OCTETS), np.uint8)
    fields[:, 0], fields[:, 1] = years >> 8, years & 0xFF
    fields[:, 2] = months.astype(np.int64) % 12 + 1
    fields[:, 3] = (days - months).astype(np.int64) + 1
    fields[:, 4] = (days.astype(np.int64) + _THURSDAY) % _DAYS_PER_WEEK + 1
    fields[:, 5], fields[:, 6], fields[:, 7] = seconds // 3600, seconds // 60 % 60, seconds % 60
    fields[:, 9:11] = deviation_octets(rules)
    fields[:, 11] = status
    return fields


def clock_cells(at_s: Ints, rules: ClockRules) -> Octets:
    """The same with tag (and length) in front, as the rows of this meter's load profile carry their time."""
    fields = date_times(at_s, rules)
    heading = [Tag.DATE_TIME] if rules.encoding is ClockEncoding.DATE_TIME else [Tag.OCTET_STRING, OCTETS]
    return np.hstack((np.tile(np.array(heading, np.uint8), (len(at_s), 1)), fields))


def deviation_min(rules: ClockRules) -> int:
    """What this meter writes as minutes from local time to UTC, where it writes them."""
    return rules.standard_offset_min if rules.deviation_inverted else -rules.standard_offset_min


def deviation_octets(rules: ClockRules) -> Octets:
    """The two octets of the deviation field."""
    deviation = NOT_SPECIFIED if rules.deviation is Deviation.UNSPECIFIED else deviation_min(rules) & 0xFFFF
    return np.array(divmod(deviation, 0x100), np.uint8)
