"""Gates: how many at once, how many a second."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from amity.domain.jobs import Place
from amity.headend.jobs.throttle import Gates, Limit, ThrottleRules, gates_of, network_of
from tests.unit.headend.jobs.requests import NOW

A, B = Place(collector="A"), Place(collector="B")


def test_a_place_has_the_gates_it_shares_with_others() -> None:
    assert list(gates_of(Place("DC7", "", "10.0.0.0/24"))) == ["all", "collector:DC7", "network:10.0.0.0/24"]


def test_networks_of_hosts() -> None:
    assert (network_of("10.1.2.3"), network_of("2001:db8:1:2::3"), network_of("meter.example")) == (
        "10.1.2.0/24", "2001:db8:1::/48", "",
    )  # fmt: skip


def test_a_gate_counts_the_sessions_that_are_open_already() -> None:
    gates = Gates(ThrottleRules(collector=Limit(sessions=3)), {"collector:A": 2}, {}, NOW)
    assert [gates.admits(A), gates.admits(A), gates.admits(B)] == [True, False, True]
    assert gates.is_shut("collector:A")
    assert not gates.is_shut("collector:B")


def test_whoever_is_turned_away_at_one_gate_counts_at_none() -> None:
    gates = Gates(ThrottleRules(all=Limit(sessions=5), collector=Limit(sessions=0)), {}, {}, NOW)
    assert not gates.admits(A)
    assert gates.sessions.get("all", 0) == 0


def test_without_rules_everybody_passes() -> None:
    assert ThrottleRules().none
    assert not ThrottleRules(named={"cell:x": Limit(1)}).none
    gates = Gates(ThrottleRules(), {}, {}, NOW)
    assert all(gates.admits(A) for _ in range(1000))


@given(st.floats(0.1, 50), st.integers(1, 20), st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_no_window_of_time_sees_more_than_burst_and_rate_allow(rate: float, burst: int, pauses: list[float]) -> None:
    rules, paced, now, admitted = ThrottleRules(collector=Limit(per_second=rate, burst=burst)), {}, NOW, []
    for pause in pauses:
        now += timedelta(seconds=pause)
        gates = Gates(rules, {}, paced, now)
        admitted += [now for _ in range(30) if gates.admits(A)]
        paced = gates.paced
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            span_s = (admitted[last] - admitted[first]).total_seconds()
            assert last - first + 1 <= burst + rate * span_s + 1e-3 * (1 + rate)
    assert len(admitted) >= min(burst, 30)
