import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from amity.simulation.ledger import EnergyLedger

INSTALLED = 20_000
INITIAL = (5_000_000, 0, 77)


def source(first_day: int, last_day: int) -> np.ndarray:
    slots = np.arange(first_day * 96, last_day * 96)
    return np.stack((slots * 7919 % 1013, slots % 3, slots * 31 % 211), axis=1)


def ledger() -> EnergyLedger:
    return EnergyLedger(source, INSTALLED, INITIAL)


def test_the_register_starts_at_its_initial_value():
    assert ledger().at(INSTALLED * 86_400).tolist() == list(INITIAL)


SLOT = st.integers(INSTALLED * 96, (INSTALLED + 40) * 96)


@given(first=SLOT, length=st.integers(0, 500))
def test_registers_differ_by_the_sum_of_the_intervals_between_to_the_watt_hour(first: int, length: int):
    meter = ledger()
    between = source(INSTALLED, INSTALLED + 50)[first - INSTALLED * 96 :][:length].sum(axis=0)
    assert (meter.at((first + length) * 900) - meter.at(first * 900)).tolist() == between.tolist()


@given(slot=SLOT, second=st.integers(0, 899))
def test_inside_an_interval_the_register_has_its_share(slot: int, second: int):
    meter = ledger()
    before, now, after = meter.at(slot * 900), meter.at(slot * 900 + second), meter.at((slot + 1) * 900)
    assert (now - before).tolist() == ((after - before) * second // 900).tolist()


@given(day=st.integers(INSTALLED, INSTALLED + 30))
def test_boundaries_are_the_register_at_every_boundary(day: int):
    meter = ledger()
    boundaries = meter.boundaries(day)
    assert boundaries[0].tolist() == meter.midnight(day).tolist()
    assert boundaries[96].tolist() == meter.midnight(day + 1).tolist()
    assert boundaries[50].tolist() == meter.at((day * 96 + 50) * 900).tolist()


def test_the_order_of_questions_does_not_matter():
    late_first, early_first = ledger(), ledger()
    late = late_first.at((INSTALLED + 30) * 86_400 + 1234)
    early_first.at((INSTALLED + 1) * 86_400)
    assert late.tolist() == early_first.at((INSTALLED + 30) * 86_400 + 1234).tolist()


def test_before_the_installation_nothing_flowed():
    meter = ledger()
    assert meter.energies(INSTALLED - 1).sum() == 0
    assert meter.at((INSTALLED - 1) * 86_400 + 5).tolist() == list(INITIAL)
