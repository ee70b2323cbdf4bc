import numpy as np
import pytest

from amity.domain.readings import Quality
from amity.mdm.vee.spike import SPIKE_CHECK, spike_check, spikes
from tests.unit.mdm.windows import slots, window


def day_with(*highest: int, base: int = 100) -> list[int]:
    return [*highest, *[base] * (96 - len(highest))]


def test_the_highest_is_compared_with_the_third_highest() -> None:
    checked, (finding,) = spike_check(window(day_with(41_000, 900, 800)))
    assert finding.rule is SPIKE_CHECK
    assert slots(finding) == (0, 1)
    assert finding.message == "41,000 Wh at 2024-10-04T00:00:00Z stands out: the third highest of the day is 800 Wh"
    assert checked.qualities[0] == Quality.MEASURED | Quality.QUESTIONABLE
    assert (checked.qualities[1:] == Quality.MEASURED).all()
    assert checked.values[0] == 41_000


@pytest.mark.parametrize(("highest", "is_spike"), [(2800, False), (2801, True)])
def test_the_ratio_is_one_point_eight_above_the_third(highest: int, is_spike: bool) -> None:
    _, findings = spike_check(window(day_with(highest, 1000, 1000)))
    assert bool(findings) is is_spike


@pytest.mark.parametrize(("highest", "is_spike"), [(759, False), (760, True)])
def test_below_three_kilowatts_nothing_stands_out(highest: int, is_spike: bool) -> None:
    _, findings = spike_check(window(day_with(highest, 10, 10, base=10)))
    assert bool(findings) is is_spike


def test_the_floor_is_power_whatever_the_interval_and_scale() -> None:
    half_hour = [1510, *[10] * 47]
    assert spike_check(window(half_hour, interval_s=1800))[1]
    assert not spike_check(window([1509, *half_hour[1:]], interval_s=1800))[1]
    assert spike_check(window(day_with(76, 1, 1, base=1), exponent=1))[1]
    assert not spike_check(window(day_with(75, 1, 1, base=1), exponent=1))[1]


def test_a_long_peak_is_no_spike() -> None:
    assert not spike_check(window(day_with(9000, 9000, 8000)))[1]


def test_each_day_is_judged_by_itself() -> None:
    _, findings = spike_check(window(day_with(9000) + day_with(50) + day_with(50, 50, 9000)))
    assert [slots(finding)[0] for finding in findings] == [0, 2 * 96 + 2]


def test_a_day_of_which_little_is_known_is_not_judged() -> None:
    assert not spike_check(window([9000, *[10] * 22]))[1]
    assert spike_check(window([9000, *[10] * 23]))[1]


def test_estimates_are_no_ground_to_judge_on() -> None:
    estimated = window(day_with(9000))
    estimated.qualities[0] = Quality.LINEAR
    assert not spike_check(estimated)[1]


def test_dense_days_of_many_channels_at_once() -> None:
    values = np.full((2, 3, 96), 10, np.int64)
    values[1, 2, 5] = values[0, 0, 95] = 2000
    marked = spikes(values, np.ones((2, 3, 96), np.uint8), ratio=1.8, floor=750)
    assert np.argwhere(marked).tolist() == [[0, 0, 95], [1, 2, 5]]


def test_two_intervals_a_day_have_no_third_highest() -> None:
    assert not spikes(np.array([[9000, 1]]), np.ones((1, 2), np.uint8), ratio=1.8, floor=0).any()


def test_extreme_values_do_not_overflow() -> None:
    marked = spikes(np.array([[2**63 - 1, -(2**63), -(2**63), -(2**63)]]), np.ones((1, 4), np.uint8), ratio=1, floor=0)
    assert marked[0].tolist() == [True, False, False, False]
