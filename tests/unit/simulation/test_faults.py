import numpy as np
import pytest

from amity.kernel.errors import ConfigurationError
from amity.simulation.faults import CLOCK_JUMP_S, DEMO_MIX, SPIKE_WH, FaultKind, RecordFaults, assign, parse_mix

ANCHOR_DAY = 20_777
SERIALS = [f"{number:08}" for number in range(200)]


def record(*kinds: FaultKind, serial: str = "1") -> RecordFaults:
    return RecordFaults(frozenset(kinds), 9, serial, ANCHOR_DAY)


def test_a_healthy_meter_records_everything():
    healthy = record(FaultKind.SILENT)
    for day in range(ANCHOR_DAY - 10, ANCHOR_DAY + 10):
        assert healthy.captured(day).all()
        assert not healthy.spike_wh(day).any()
        assert not healthy.jumped(day).any()


def test_gaps_are_there_yesterday_and_come_back_and_some_are_longer_than_two_hours():
    lengths = []
    for serial in SERIALS[:40]:
        gappy = record(FaultKind.GAP, serial=serial)
        assert gappy.captured(ANCHOR_DAY).all()
        missing = np.flatnonzero(~gappy.captured(ANCHOR_DAY - 1))
        assert np.array_equal(missing, np.arange(missing[0], missing[-1] + 1))
        assert 0 < missing[0] <= missing[-1] < 95
        assert not gappy.captured(ANCHOR_DAY + 2).all()
        lengths.append(len(missing))
    assert min(lengths) >= 1
    assert sum(length <= 8 for length in lengths) >= 15
    assert sum(length > 8 for length in lengths) >= 5


def test_a_spike_is_one_absurd_value_yesterday():
    extra = record(FaultKind.SPIKE).spike_wh(ANCHOR_DAY - 1)
    assert extra.sum() == extra.max() == SPIKE_WH


def test_a_jumped_clock_is_hours_ahead_for_some_hours():
    jumping = record(FaultKind.CLOCK_JUMP)
    jumped = jumping.jumped(ANCHOR_DAY - 1)
    assert 4 <= jumped.sum() <= 24
    first = int(np.flatnonzero(jumped)[0])
    start_s = ((ANCHOR_DAY - 1) * 96 + first) * 900
    assert jumping.clock_offset_s(start_s) == CLOCK_JUMP_S
    assert jumping.clock_offset_s(start_s - 1) == 0


def test_a_share_becomes_that_many_meters_and_at_least_one():
    assert len(assign(FaultKind.GAP, 0.05, 1, SERIALS, 200)) == 10
    assert len(assign(FaultKind.SPIKE, 0.001, 1, SERIALS, 200)) == 1
    assert assign(FaultKind.SPIKE, 0.0, 1, SERIALS, 200) == {}
    assert assign(FaultKind.GAP, 0.05, 1, SERIALS, 200) == assign(FaultKind.GAP, 0.05, 1, SERIALS, 200)
    assert assign(FaultKind.GAP, 0.05, 1, SERIALS, 200) != assign(FaultKind.GAP, 0.05, 2, SERIALS, 200)


def test_the_demo_mix_has_every_fault_and_leaves_most_meters_alone():
    assert set(DEMO_MIX) == set(FaultKind)
    assert sum(DEMO_MIX.values()) < 0.2


def test_a_mix_is_read_from_words():
    assert parse_mix(["gap=0.05", "wrong-key=1"]) == {FaultKind.GAP: 0.05, FaultKind.WRONG_KEY: 1.0}


@pytest.mark.parametrize("text", ["gap", "gap=", "gap=2", "gap=-0.1", "gap=nan", "gaps=0.1", "=0.1", ""])
def test_what_is_no_share_is_refused_with_the_names(text: str):
    with pytest.raises(ConfigurationError) as caught:
        parse_mix([text])
    assert "closes-mid-frame" in str(caught.value.next_step)
