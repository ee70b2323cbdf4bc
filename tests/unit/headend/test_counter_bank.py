"""Counters at hand go up, come in chunks, and jump only to numbers that can be believed."""

import pytest

from amity.devices.client.counters import RESYNC_MAX
from amity.headend.counter_bank import CHUNK, CounterBank
from amity.kernel.errors import RemoteProtocolError
from amity.storage.ot.database import OtDatabase


def test_counters_go_up_by_one_and_the_disk_is_asked_once_per_chunk(database: OtDatabase) -> None:
    bank = CounterBank(database.counters, "M1")
    assert [bank.take() for _ in range(CHUNK + 2)] == list(range(1, CHUNK + 3))
    assert database.counters.reserve("M1", 1) == 2 * CHUNK + 1


def test_what_a_crash_leaves_of_a_chunk_is_never_used(database: OtDatabase) -> None:
    CounterBank(database.counters, "M1").take()
    assert CounterBank(database.counters, "M1").take() == CHUNK + 1


def test_enough_for_a_session_is_at_hand(database: OtDatabase) -> None:
    bank = CounterBank(database.counters, "M1")
    bank.ensure(CHUNK + 7)
    assert [bank.take() for _ in range(CHUNK + 7)] == list(range(1, CHUNK + 8))
    bank.ensure(1)
    assert bank.take() == CHUNK + 8


def test_a_resync_goes_up_only(database: OtDatabase) -> None:
    bank = CounterBank(database.counters, "M1")
    bank.take()
    bank.raise_to(10_000)
    assert bank.take() == 10_000
    bank.raise_to(5)
    assert bank.take() > 10_000


def test_nobody_uses_the_counters_up_by_naming_the_last_one(database: OtDatabase) -> None:
    bank = CounterBank(database.counters, "M1")
    with pytest.raises(RemoteProtocolError, match="M1"):
        bank.raise_to(RESYNC_MAX + 1)
    assert bank.take() == 1


def test_what_is_at_hand_needs_no_disk(database: OtDatabase) -> None:
    bank = CounterBank(database.counters, "M1")
    assert not bank.has(1)
    bank.ensure(5)
    assert bank.has(CHUNK)
    bank.take()
    assert not bank.has(CHUNK)
