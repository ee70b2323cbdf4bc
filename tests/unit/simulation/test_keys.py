from datetime import UTC, datetime, timedelta

from amity.simulation.counters import MeterCounter, Reservation, reservation_by_time
from amity.simulation.keys import derive, keys_of

START = datetime(2026, 11, 20, tzinfo=UTC)


def test_keys_come_from_seed_and_serial_alone():
    assert keys_of(1, "20000001").guek == keys_of(1, "20000001").guek
    different = {keys_of(seed, serial).guek for seed in (1, 2) for serial in ("20000001", "20000002")}
    assert len(different) == 4


def test_every_purpose_has_its_own_octets():
    keys = keys_of(1, "20000001")
    assert keys.guek != keys.gak
    assert len(keys.guek) == len(keys.gak) == 16
    assert len(keys.password) == 8
    assert keys.password.isalnum()
    assert derive(1, "20000001", "guek", 16) == keys.guek


def test_keys_are_never_shown():
    assert keys_of(1, "20000001").guek.hex() not in repr(keys_of(1, "20000001"))
    assert repr(keys_of(1, "2")).startswith("<")


def by_time(started: datetime) -> MeterCounter:
    return MeterCounter(reservation_by_time(started))


def test_a_counter_rises_and_a_later_start_begins_above_it():
    early = by_time(START)
    used = [early() for _ in range(8 * 60)]
    assert used == sorted(set(used))
    assert by_time(START + timedelta(minutes=1))() > used[-1]


def test_a_counter_fits_32_bits_for_many_years():
    assert by_time(datetime(2041, 1, 1, tzinfo=UTC))() < 2**32


def test_with_a_state_no_counter_comes_again_however_suddenly_it_ended():
    kept = [0]
    used: set[int] = set()
    for _ in range(3):
        counters = [MeterCounter(Reservation(kept[-1], kept.append))] * 2
        mine = [counter() for _ in range(50_000) for counter in counters]
        assert used.isdisjoint(mine)
        assert max(mine) < kept[-1], "the disk is told before a counter is used"
        used.update(mine)
