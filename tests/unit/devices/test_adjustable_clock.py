"""A clock that is set, shifted and rounded, and refuses what makes no sense."""

from datetime import UTC, datetime, timedelta

import pytest

from amity.devices.equipment.clock import AdjustableClock, clock_object
from amity.devices.profiles import CLOCK_OBIS
from amity.kernel.errors import LocalProtocolError
from amity.protocols.dlms.data import Data, Tag, integer, long, octet_string, structure
from amity.protocols.dlms.datetime import CosemDateTime
from amity.protocols.dlms.results import ActionResult, DataAccessResult
from tests.unit.devices.conversing import NOW, stamp

TO_QUARTER, TO_PERIOD, TO_MINUTE, TO_PRESET, PRESET, SHIFT = range(1, 7)


def clock(ahead_s: float = 0, period_s: int = 900) -> AdjustableClock:
    return AdjustableClock(lambda now: now + timedelta(seconds=ahead_s), measuring_period_s=period_s)


def at(hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 1, 2, hour, minute, second, tzinfo=UTC)


def test_a_clock_that_was_set_runs_on_with_its_own_error():
    slow = AdjustableClock(lambda now: now - (now - NOW) * 0.1)
    slow.set_to(at(12, 0), NOW)
    assert slow.shows(NOW) == at(12, 0)
    assert slow.shows(NOW + timedelta(minutes=10)) == at(12, 9)


@pytest.mark.parametrize(
    ("shown", "period_s", "rounded"),
    [
        (at(10, 7, 29), 900, at(10, 0)),
        (at(10, 7, 30), 900, at(10, 15)),
        (at(10, 59, 59), 900, at(11, 0)),
        (at(10, 7, 29), 60, at(10, 7)),
        (at(10, 7, 31), 60, at(10, 8)),
    ],
)
def test_rounding_goes_to_the_nearest(shown: datetime, period_s: int, rounded: datetime):
    rounding = clock()
    rounding.set_to(shown, NOW)
    rounding.round_to(period_s, NOW)
    assert rounding.shows(NOW) == rounded


@pytest.mark.parametrize("seconds", [-901, 901, 32767])
def test_more_than_a_quarter_is_no_shift(seconds: int):
    shifted = clock()
    with pytest.raises(LocalProtocolError):
        shifted.shift(seconds, NOW)
    assert shifted.correction == timedelta(0)


@pytest.mark.parametrize("year", [1, 1989, 2130, 9999])
def test_a_year_without_meters_is_no_time(year: int):
    with pytest.raises(LocalProtocolError):
        clock().set_to(NOW.replace(year=year), NOW)


def test_adjustments_are_told():
    told: list[timedelta] = []
    AdjustableClock(lambda now: now, adjusted=lambda by, _at: told.append(by)).shift(-3, NOW)
    assert told == [timedelta(seconds=-3)]


# ------------------------------------------------------------------ the object
def shown_clock(ahead_s: float = 0, deviation_min: int = -60) -> tuple[AdjustableClock, object]:
    held = clock(ahead_s, 3600)
    return held, clock_object(
        held,
        CLOCK_OBIS,
        lambda shows, _now: octet_string(CosemDateTime.from_utc(shows, deviation_min).to_octets()),
        deviation_min=deviation_min,
    )


@pytest.mark.parametrize(
    ("method", "parameter", "shows"),
    [
        (TO_QUARTER, integer(0), at(10, 15)),
        (TO_PERIOD, integer(0), at(10, 0)),
        (TO_MINUTE, integer(0), at(10, 8)),
        (SHIFT, long(-30), at(10, 7, 1)),
        (SHIFT, long(900), at(10, 22, 31)),
    ],
)
def test_the_methods_adjust(method: int, parameter: Data, shows: datetime):
    held, cosem = shown_clock()
    held.set_to(at(10, 7, 31), NOW)
    assert cosem.act(method, parameter, NOW).result is ActionResult.SUCCESS
    assert held.shows(NOW) == shows


@pytest.mark.parametrize("tag", [Tag.OCTET_STRING])
def test_the_time_is_written_with_its_deviation(tag: Tag):
    held, cosem = shown_clock()
    assert cosem.set_attribute(2, None, Data(tag, stamp(at(10, 0))), NOW) is DataAccessResult.SUCCESS
    assert held.shows(NOW) == at(10, 0)


def test_a_time_without_deviation_is_the_meters_own():
    held, cosem = shown_clock(deviation_min=-60)
    local = CosemDateTime.from_utc(at(10, 0), None).to_octets()
    assert cosem.set_attribute(2, None, octet_string(local), NOW) is DataAccessResult.SUCCESS
    assert held.shows(NOW) == at(9, 0)


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (octet_string(b"noon"), DataAccessResult.OTHER_REASON),
        (octet_string(bytes(12)), DataAccessResult.OTHER_REASON),
        (octet_string(CosemDateTime(9999, 12, 31, 5, 23, 59, 59).to_octets()), DataAccessResult.OTHER_REASON),
        (octet_string(CosemDateTime(None, 1, 1).to_octets()), DataAccessResult.OTHER_REASON),
        (long(5), DataAccessResult.TYPE_UNMATCHED),
    ],
)
def test_a_time_that_is_none_is_refused(value: Data, result: DataAccessResult):
    held, cosem = shown_clock()
    assert cosem.set_attribute(2, None, value, NOW) is result
    assert held.correction == timedelta(0)


def test_a_preset_time_holds_inside_its_validity():
    held, cosem = shown_clock()
    held.set_to(at(10, 0), NOW)
    preset = structure(*(octet_string(stamp(moment)) for moment in (at(12, 0), at(9, 0), at(11, 0))))
    assert cosem.act(TO_PRESET, integer(0), NOW).result is ActionResult.OTHER_REASON
    assert cosem.act(PRESET, preset, NOW).result is ActionResult.SUCCESS
    assert held.shows(NOW) == at(10, 0)
    assert cosem.act(TO_PRESET, integer(0), NOW + timedelta(hours=2)).result is ActionResult.OTHER_REASON
    assert cosem.act(TO_PRESET, integer(0), NOW).result is ActionResult.SUCCESS
    assert held.shows(NOW) == at(12, 0)


def test_the_time_zone_is_kept_as_written():
    _, cosem = shown_clock()
    assert cosem.set_attribute(3, None, long(-120), NOW) is DataAccessResult.SUCCESS
    assert cosem.attribute(3, None, NOW) == long(-120)
    assert cosem.writable_attributes == {2, 3, 5, 6, 7, 8}
