from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from amity.domain.readings import Quality
from amity.mdm.vee import pipeline
from amity.mdm.vee.findings import Window
from amity.mdm.vee.interpolation import interpolate, line_between
from amity.mdm.vee.missing import gaps

INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES = st.integers(0, 3000)
SLOTS = 24  # an hour each: short enough to fill days with every kind of hole


def windows() -> st.SearchStrategy[Window]:
    slot = st.tuples(VALUES, st.sampled_from([0, 0, 1, 1, 1, 1, 33, 17]))
    days = st.integers(1, 3).flatmap(lambda n: st.lists(slot, min_size=n * SLOTS, max_size=n * SLOTS))
    return days.map(
        lambda slots: Window(
            0, 3600, np.array([v for v, _ in slots], np.int64), np.array([q for _, q in slots], np.uint8)
        )
    )


@given(INT64, INT64, st.integers(1, 120))
def test_the_line_stays_between_its_ends_and_keeps_its_sum(a: int, b: int, length: int) -> None:
    line = line_between(a, b, length)
    assert len(line) == length
    assert all(min(a, b) <= value <= max(a, b) for value in line)
    assert sum(line) == (length * (a + b) + 1) // 2  # L (a + b) / 2, rounded half up
    for k, value in enumerate(line, start=1):
        assert abs((value - a) * (length + 1) - k * (b - a)) < length + 1  # less than one unit off


@given(windows())
def test_interpolation_touches_gaps_only_and_marks_what_it_does(raw: Window) -> None:
    filled, findings = interpolate(raw)
    estimated = filled.qualities == Quality.LINEAR
    assert (raw.qualities[estimated] == Quality.EMPTY).all()
    assert (filled.values[~estimated] == raw.values[~estimated]).all()
    assert (filled.qualities[~estimated] == raw.qualities[~estimated]).all()
    assert estimated.sum() == sum((f.end_s - f.start_s) // 3600 for f in findings)


@given(windows())
def test_every_hole_is_filled_or_found(raw: Window) -> None:
    verdict = pipeline.run(raw)
    spoken_of = {
        slot
        for finding in verdict.findings
        if finding.rule.name in {"linear-interpolation", "missing-intervals"}
        for slot in range(finding.start_s // 3600, finding.end_s // 3600)
    }
    holes = {slot for first, length in gaps(raw.qualities) for slot in range(first, first + length)}
    assert spoken_of == holes


@given(windows())
def test_measured_values_are_never_changed(raw: Window) -> None:
    final = pipeline.run(raw).final
    measured = (raw.qualities & Quality.MEASURED) != 0
    assert (final.values[measured] == raw.values[measured]).all()
    assert (final.qualities[measured] | Quality.QUESTIONABLE == raw.qualities[measured] | Quality.QUESTIONABLE).all()


@given(windows())
def test_the_same_raw_values_give_the_same_verdict(raw: Window) -> None:
    first, second = pipeline.run(raw), pipeline.run(raw)
    assert first.findings == second.findings
    assert (first.final.values == second.final.values).all()
    assert all(a.start_s <= b.start_s for a, b in pairwise(first.findings))


@given(windows())
def test_what_is_not_remarkable_is_final_as_it_is(raw: Window) -> None:
    by_day = (1, -1, SLOTS)
    values, qualities = raw.values.reshape(by_day), raw.qualities.reshape(by_day)
    (said,) = pipeline.remarkable(pipeline.Windows(values, qualities, raw.interval_s, [raw.exponent]))
    verdict = pipeline.run(raw)
    assert bool(said) == bool(verdict.findings)
    if not said:
        assert (verdict.final.values == raw.values).all()
        assert (verdict.final.qualities == raw.qualities).all()
