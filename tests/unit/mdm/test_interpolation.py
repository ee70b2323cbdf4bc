import numpy as np
import pytest

from amity.domain.readings import Quality
from amity.mdm.vee.interpolation import LINEAR_INTERPOLATION, interpolate, line_between
from tests.unit.mdm.windows import slots, window


def test_the_worked_example_of_the_definition() -> None:
    filled, (finding,) = interpolate(window([75, None, None, None, None, 100]))
    assert filled.values[:6].tolist() == [75, 80, 85, 90, 95, 100]
    assert filled.qualities[:6].tolist() == [1, 2, 2, 2, 2, 1]
    assert finding.rule is LINEAR_INTERPOLATION
    assert finding.resolved
    assert slots(finding) == (1, 5)
    assert finding.message == "4 intervals from 2024-10-04T00:15:00Z put on the line between 75 and 100"


@pytest.mark.parametrize(
    ("a", "b", "line"),
    [
        (0, 1, [0, 1, 1]),  # 0.25 + 0.5 + 0.75 = 1.5, rounded half up once: 2, not 0 + 1 + 1 by luck
        (1, 0, [1, 0, 1]),  # 0.75, 1.25, 1.5: each less than one away from the line
        (7, 7, [7, 7, 7]),
        (0, 0, [0, 0, 0]),
        (10, 3, [8, 7, 5]),
        (-2, 2, [-1, 0, 1]),
    ],
)
def test_rounding_keeps_the_sum_of_the_gap(a: int, b: int, line: list[int]) -> None:
    assert line_between(a, b, 3) == line
    assert abs(2 * sum(line) - 3 * (a + b)) <= 1


def test_two_hours_are_filled_and_a_quarter_more_is_not() -> None:
    filled, findings = interpolate(window([4, *[None] * 8, 4, *[None] * 9, 4]))
    assert len(findings) == 1
    assert np.count_nonzero(filled.qualities == Quality.LINEAR) == 8
    assert (filled.qualities[10:19] == Quality.EMPTY).all()


def test_the_limit_is_time_not_a_number_of_intervals() -> None:
    _, half_hours = interpolate(window([4, *[None] * 4, 4], interval_s=1800))
    assert len(half_hours) == 1
    _, five = interpolate(window([4, *[None] * 5, 4], interval_s=1800))
    assert five == []


def test_a_gap_across_midnight_is_filled() -> None:
    filled, _ = interpolate(window([10] * 95 + [None, None] + [40]))
    assert filled.values[94:98].tolist() == [10, 20, 30, 40]


@pytest.mark.parametrize("end", [0, 3])
@pytest.mark.parametrize(
    "quality",
    [
        Quality.MEASURED | Quality.POWER_OUTAGE,
        Quality.MEASURED | Quality.QUESTIONABLE,
        Quality.LINEAR,
        Quality.EDITED,
    ],
)
def test_no_line_starts_or_ends_at_a_value_that_is_not_a_sound_measurement(end: int, quality: Quality) -> None:
    doubtful = window([1, None, None, 1])
    doubtful.qualities[end] = quality
    unfilled, findings = interpolate(doubtful)
    assert findings == []
    assert (unfilled.qualities == doubtful.qualities).all()


def test_the_window_that_came_in_stays_as_it_was() -> None:
    raw = window([1, None, 1])
    interpolate(raw)
    assert raw.qualities[1] == Quality.EMPTY
