"""Setting and adjusting a meter's clock (class 8; IEC 62056-6-2, 4.5.1)."""

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from amity.devices.client import named
from amity.devices.client.conversation import Conversation
from amity.devices.client.session import Session
from amity.devices.cosem import fields
from amity.devices.cosem.clock import SHIFT_S_MAX
from amity.devices.interface_classes import CLOCK
from amity.devices.profiles import CLOCK_OBIS, ClockRules, Deviation
from amity.kernel.errors import LocalProtocolError
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, long, octet_string, structure
from amity.protocols.dlms.datetime import CosemDateTime


class Adjustment(Enum):
    """Methods that move a clock to the nearest whole something, or to the time preset before."""

    QUARTER = "adjust_to_quarter"
    MEASURING_PERIOD = "adjust_to_measuring_period"
    MINUTE = "adjust_to_minute"
    PRESET = "adjust_to_preset_time"


class Correction(Enum):
    """What was done about a clock."""

    NONE = "none"
    SHIFTED = "shifted"
    SET = "set"


class Synchronisation(NamedTuple):
    """How far ahead the clock was and is, in seconds by our own clock, and what was done."""

    ahead_before_s: float
    correction: Correction
    ahead_after_s: float


def set_clock(session: Session, to: datetime, rules: ClockRules, obis: Obis = CLOCK_OBIS) -> Conversation[None]:
    """Set the clock to an instant, written as this model writes time; rows of profiles may be lost or doubled."""
    return named.write(session, CLOCK, obis, "time", octet_string(local_time(to, rules)))


def shift_clock(session: Session, seconds: int, obis: Obis = CLOCK_OBIS) -> Conversation[Data | None]:
    """Move the clock by at most 15 minutes; raise LocalProtocolError for more."""
    if abs(seconds) > SHIFT_S_MAX:
        raise LocalProtocolError(
            f"a clock is shifted by {SHIFT_S_MAX} s at most, not by {seconds}", next_step="set it instead"
        )
    return named.call(session, CLOCK, obis, "shift_time", long(seconds))


def adjust_clock(session: Session, adjustment: Adjustment, obis: Obis = CLOCK_OBIS) -> Conversation[Data | None]:
    """Move the clock to the nearest quarter, measuring period or minute, or to the preset time."""
    return named.call(session, CLOCK, obis, adjustment.value)


def preset_clock(
    session: Session,
    to: datetime,
    valid: tuple[datetime, datetime],
    rules: ClockRules,
    obis: Obis = CLOCK_OBIS,
) -> Conversation[Data | None]:
    """Leave a time with the meter, to which `adjust_clock(PRESET)` moves it while its own clock is inside `valid`."""
    times = structure(*(octet_string(local_time(at, rules)) for at in (to, *valid)))
    return named.call(session, CLOCK, obis, "preset_adjusting_time", times)


def synchronise_clock(
    session: Session,
    now: Callable[[], datetime],
    rules: ClockRules,
    *,
    tolerance_s: float = 5.0,
    obis: Obis = CLOCK_OBIS,
) -> Conversation[Synchronisation]:
    """Bring the clock to our time: leave it within the tolerance, shift it up to 15 minutes, set it beyond.

    `now` gives our time whenever it is asked; a slow line makes the clock late by the time that a request needs.
    """
    before = yield from _ahead_s(session, now, rules, obis)
    if abs(before) <= tolerance_s:
        return Synchronisation(before, Correction.NONE, before)
    if abs(before) <= SHIFT_S_MAX:
        yield from shift_clock(session, round(-before), obis)
        correction = Correction.SHIFTED
    else:
        yield from set_clock(session, now(), rules, obis)
        correction = Correction.SET
    return Synchronisation(before, correction, (yield from _ahead_s(session, now, rules, obis)))


def local_time(at: datetime, rules: ClockRules) -> bytes:
    """An instant as twelve octets in the way the model writes its own clock."""
    time = CosemDateTime.from_utc(at, rules.default_deviation_min)
    if rules.deviation is Deviation.UNSPECIFIED:
        time = time._replace(deviation_min=None)
    elif rules.deviation_inverted:
        time = time._replace(deviation_min=-rules.default_deviation_min)
    return time.to_octets()


def _ahead_s(session: Session, now: Callable[[], datetime], rules: ClockRules, obis: Obis) -> Conversation[float]:
    (shown,) = yield from named.read(session, CLOCK, obis, "time")
    time = fields.date_time(shown, "date-time")
    read_at = now()
    shows = time.to_utc(rules.default_deviation_min, deviation_inverted=rules.deviation_inverted)
    return (shows - read_at).total_seconds()
