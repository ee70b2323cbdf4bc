from dataclasses import replace

import pytest

from amity.domain.readings import ReadingType, RegisterReading
from amity.kernel.obis import Obis
from amity.kernel.time import SECONDS_PER_DAY, from_epoch_s
from amity.kernel.units import Unit
from amity.mdm.vee.register_sum import REGISTER_SUM, register_of, register_sum_check
from tests.unit.mdm.windows import DAY_S, slots, window

TOTAL = ReadingType(Obis.parse("1.0.1.8.0.255"), Unit.WATT_HOUR)


def at(slot: int, value: int, exponent: int = 0) -> RegisterReading:
    return RegisterReading(replace(TOTAL, exponent=exponent), value, from_epoch_s(DAY_S + slot * 900))


def test_the_register_of_a_channel_differs_in_group_d() -> None:
    assert register_of(Obis.parse("1.0.2.29.0.255")) == Obis.parse("1.0.2.8.0.255")
    assert register_of(Obis.parse("1.0.32.7.0.255")) is None


def test_intervals_that_add_up_are_no_finding() -> None:
    assert register_sum_check(window([10] * 96), [at(0, 5000), at(96, 5960)]) == []


def test_a_difference_is_told_with_its_numbers() -> None:
    (finding,) = register_sum_check(window([10] * 96), [at(0, 5000), at(96, 6000)])
    assert finding.rule is REGISTER_SUM
    assert slots(finding) == (0, 96)
    assert "add up to 960 Wh, the register advanced by 1,000 Wh: a difference of -40 Wh" in finding.message


@pytest.mark.parametrize(("advanced", "found"), [(958, 0), (962, 0), (957, 1), (963, 1)])
def test_two_units_of_the_register_are_tolerated(advanced: int, found: int) -> None:
    assert len(register_sum_check(window([10] * 96), [at(0, 0), at(96, advanced)])) == found


@pytest.mark.parametrize(("advanced", "found"), [(0, 0), (2, 0), (3, 1)])
def test_the_tolerance_follows_the_registers_last_digit(advanced: int, found: int) -> None:
    """960 Wh against a register that counts whole kWh."""
    assert len(register_sum_check(window([10] * 96), [at(0, 7, 3), at(96, 7 + advanced, 3)])) == found


def test_a_register_finer_than_the_channel() -> None:
    snapshots = [at(0, 0, -1), at(96, 9600, -1)]
    assert register_sum_check(window([1] * 96, exponent=1), snapshots) == []
    (finding,) = register_sum_check(window([2] * 96, exponent=1), snapshots)
    assert "add up to 1,920.0 Wh, the register advanced by 960.0 Wh" in finding.message


def test_each_pair_of_neighbours_is_compared() -> None:
    snapshots = [at(0, 0), at(48, 480), at(96, 1000), at(192, 1960)]
    (finding,) = register_sum_check(window([10] * 192), snapshots)
    assert slots(finding) == (48, 96)


def test_where_an_interval_is_missing_nothing_can_be_said() -> None:
    assert register_sum_check(window([10] * 50 + [None] + [10] * 45), [at(0, 0), at(96, 9999)]) == []


def test_snapshots_off_the_grid_or_outside_the_window_are_not_compared() -> None:
    off_grid = RegisterReading(TOTAL, 9999, from_epoch_s(DAY_S + 901))
    assert register_sum_check(window([10] * 96), [at(0, 0), off_grid]) == []
    assert register_sum_check(window([10] * 96), [at(-1, 0), at(96, 9999)]) == []
    assert register_sum_check(window([10] * 96), [at(0, 0), at(97, 9999)]) == []


def test_estimates_are_counted_in_the_message() -> None:
    filled = window([10] * 96)
    filled.qualities[3:5] = 2
    (finding,) = register_sum_check(filled, [at(0, 0), at(96, 999)])
    assert finding.message.endswith(
        "a difference of -39 Wh; estimates take part (2 intervals not measured) and may be what differs"
    )


def test_a_register_that_goes_back_is_a_finding_and_huge_numbers_stay_exact() -> None:
    (back,) = register_sum_check(window([10] * 96), [at(0, 5000), at(96, 4000)])
    assert "advanced by -1,000 Wh" in back.message
    huge = window([2**62] * 96)
    assert register_sum_check(huge, [at(0, 0), at(96, 96 * 2**62)]) == []


def test_a_scale_that_no_meter_has_is_left_out() -> None:
    assert register_sum_check(window([10] * 96), [at(0, 0), at(96, 1, exponent=10**9)]) == []


def test_a_day_in_the_window_after_the_first() -> None:
    days = window([10] * 192)
    (finding,) = register_sum_check(days, [at(96, 0), at(192, 1)])
    assert finding.start_s == DAY_S + SECONDS_PER_DAY
