import numpy as np

from amity.mdm.vee.missing import ENDS_EARLY, MISSING_INTERVALS, ends_early, gaps, missing_intervals
from tests.unit.mdm.windows import DAY_S, slots, window


def test_only_holes_between_known_intervals_are_gaps() -> None:
    assert gaps(window([None, 1, None, None, 1, 1, None, 1, None]).qualities) == [(2, 2), (6, 1)]
    assert gaps(window([1, 1, 1]).qualities) == []
    assert gaps(np.zeros(96, np.uint8)) == []


def test_a_gap_across_midnight_is_one_gap() -> None:
    over_night = window([1] * 94 + [None] * 5 + [1])
    (finding,) = missing_intervals(over_night)
    assert slots(finding) == (94, 99)


def test_a_finding_says_how_many_are_missing_and_when() -> None:
    (finding,) = missing_intervals(window([1, None, None, 1]))
    assert finding.rule is MISSING_INTERVALS
    assert finding.message == "2 intervals missing from 2024-10-04T00:15:00Z to 2024-10-04T00:45:00Z"
    assert not finding.resolved


def test_a_series_that_stops_before_it_should_ends_early() -> None:
    short = window([1, 1, None])
    (finding,) = ends_early(short, DAY_S + 6 * 900)
    assert finding.rule is ENDS_EARLY
    assert slots(finding) == (2, 6)
    assert "expected 4 intervals" in finding.message
    assert ends_early(short, DAY_S + 2 * 900) == []
    assert ends_early(window([None]), DAY_S + 900) == []
