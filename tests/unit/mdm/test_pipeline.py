from dataclasses import replace

from amity.domain.readings import Quality, ReadingType, RegisterReading
from amity.kernel.obis import Obis
from amity.kernel.time import from_epoch_s
from amity.kernel.units import Unit
from amity.mdm.vee import pipeline
from amity.mdm.vee.zero_consumption import is_vacant
from tests.unit.mdm.windows import DAY_S, slots, window

TOTAL = ReadingType(Obis.parse("1.0.1.8.0.255"), Unit.WATT_HOUR)


def rules(verdict: pipeline.Verdict) -> list[str]:
    return [finding.rule.name for finding in verdict.findings]


def test_a_sound_day_passes_unchanged() -> None:
    raw = window([10] * 96)
    snapshots = [RegisterReading(TOTAL, value, from_epoch_s(DAY_S + at)) for value, at in ((0, 0), (960, 86_400))]
    verdict = pipeline.run(raw, snapshots, until_s=DAY_S + 86_400)
    assert verdict.findings == ()
    assert (verdict.final.values == raw.values).all()
    assert (verdict.final.qualities == raw.qualities).all()


def test_short_gaps_are_filled_and_long_ones_stay_findings() -> None:
    verdict = pipeline.run(window([10, None, 10, *[None] * 9, 10, *[10] * 83]))
    assert rules(verdict) == ["linear-interpolation", "missing-intervals"]
    assert [finding.resolved for finding in verdict.findings] == [True, False]
    assert verdict.final.qualities[1] == Quality.LINEAR


def test_a_spike_is_no_end_point() -> None:
    verdict = pipeline.run(window([10] * 40 + [41_000, None] + [10] * 54))
    assert rules(verdict) == ["spike-check", "missing-intervals"]
    assert verdict.final.qualities[41] == Quality.EMPTY


def test_an_estimate_that_contradicts_the_register_is_a_finding() -> None:
    snapshots = [RegisterReading(TOTAL, value, from_epoch_s(DAY_S + at)) for value, at in ((0, 0), (1500, 86_400))]
    verdict = pipeline.run(window([10] * 50 + [None] + [10] * 45), snapshots)
    assert rules(verdict) == ["register-sum-check", "linear-interpolation"]
    assert "estimates take part (1 interval not measured)" in verdict.findings[0].message


def test_where_the_series_should_reach_is_only_judged_when_it_is_known() -> None:
    raw = window([10] * 90)
    assert pipeline.run(raw).findings == ()
    (finding,) = pipeline.run(raw, until_s=DAY_S + 96 * 900).findings
    assert finding.rule.name == "ends-early"
    assert slots(finding) == (90, 96)


def test_thresholds_can_be_set() -> None:
    settings = replace(pipeline.DEFAULTS, longest_gap_s=900)
    verdict = pipeline.run(window([10, None, None, 10]), settings=settings)
    assert rules(verdict) == ["missing-intervals"]


def test_a_window_that_knows_nothing() -> None:
    assert pipeline.run(window([None])).findings == ()


def test_a_home_is_vacant_when_nearly_nothing_was_ever_used() -> None:
    empty = window([0] * 95 + [5])
    assert is_vacant(empty.values, empty.qualities)
    lived_in = window([0] * 90 + [5] * 6)
    assert not is_vacant(lived_in.values, lived_in.qualities)
    one_night = window([0] * 95)
    assert not is_vacant(one_night.values, one_night.qualities)
