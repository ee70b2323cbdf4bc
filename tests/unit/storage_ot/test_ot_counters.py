"""No invocation counter is ever given twice: not to two callers, not after a kill at any moment, not after a resync."""

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from amity.devices.freshness import UNPROVED_JUMP_MAX
from amity.headend.heard_counters import KEYS_MAX, SOON_S, WINDOW
from amity.headend.ports import PushClaim
from amity.kernel.errors import LocalProtocolError, StorageError
from amity.storage.ot.database import OtDatabase, open_database
from amity.storage.ot.tables import push_counter

KEY, NEW_KEY = b"K", b"L"
"""Names of keys."""

SPENDER = """
import sys
from pathlib import Path
from amity.storage.ot.database import open_database

counters = open_database(Path(sys.argv[1])).counters
while True:
    first = counters.reserve("M1", 3)
    for counter in range(first, first + 3):
        print(counter, flush=True)
"""

TAKER = """
import sys
from pathlib import Path
from amity.headend.ports import PushClaim
from amity.storage.ot.database import open_database

counters = open_database(Path(sys.argv[1])).push_counters
with counters.transaction():
    print(counters.move_all([PushClaim("M1", b"K", 2, authenticated=True, heard_s=0)]), flush=True)
    sys.stdin.read()
"""


def test_reservations_follow_each_other(database: OtDatabase) -> None:
    assert database.counters.reserve("M1", 100) == 1
    assert database.counters.reserve("M1", 10) == 101
    assert database.counters.reserve("M2", 1) == 1
    assert database.counters.reserve("M1", 1) == 111


def test_a_resync_only_raises(database: OtDatabase) -> None:
    database.counters.raise_to("M1", 500)
    assert database.counters.reserve("M1", 10) == 500
    database.counters.raise_to("M1", 20)
    assert database.counters.reserve("M1", 1) == 510


def test_the_last_counter_is_given_and_none_after_it(database: OtDatabase) -> None:
    database.counters.raise_to("M1", 0xFFFF_FFFE)
    assert database.counters.reserve("M1", 2) == 0xFFFF_FFFE
    with pytest.raises(LocalProtocolError, match="M1") as caught:
        database.counters.reserve("M1", 1)
    assert "new key" in str(caught.value.next_step)


def test_threads_never_share_a_counter(database: OtDatabase) -> None:
    given: list[int] = []

    def spend() -> None:
        for _ in range(20):
            first = database.counters.reserve("M1", 5)
            given.extend(range(first, first + 5))

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == list(range(1, 401))


@pytest.mark.slow
def test_a_process_killed_at_any_moment_never_repeats_a_counter(tmp_path: Path) -> None:
    path, chance, spent = tmp_path / "ot.sqlite", random.Random(7), []
    open_database(path).close()
    for _ in range(8):
        with subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", SPENDER, str(path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            spent.append(int(process.stdout.readline()))
            time.sleep(chance.uniform(0.0, 0.05))
            process.send_signal(signal.SIGKILL)
            # A line cut off by the kill was printed after its counter was reserved: whole lines are enough.
            spent += [int(line) for line in process.stdout if line.endswith("\n")]
    assert len(spent) > 50
    assert len(set(spent)) == len(spent)
    assert spent == sorted(spent)
    database = open_database(path)
    assert database.counters.reserve("M1", 1) > max(spent)
    database.close()


def heard(
    database: OtDatabase, meter_id: str, counter: int, *, authenticated: bool = True, heard_s: int = 0, key: bytes = KEY
) -> bool:
    return database.push_counters.move_all([PushClaim(meter_id, key, counter, authenticated, heard_s)]) == [None]


LONG_S = 4 * SOON_S


def test_each_key_of_a_meter_begins_anew_and_none_is_heard_twice(database: OtDatabase) -> None:
    assert all(heard(database, "M1", counter) for counter in (700, 702))
    assert [heard(database, "M1", counter, key=NEW_KEY) for counter in (1, 3, 2, 1)] == [True, True, True, False]
    assert [heard(database, "M1", counter) for counter in (1, 700, 702, 701, 703)] == [False, False, False, True, True]
    assert [heard(database, "M1", counter, key=NEW_KEY) for counter in (3, 4)] == [False, True]


def test_one_batch_may_come_under_two_keys(database: OtDatabase) -> None:
    under = ((KEY, 9), (NEW_KEY, 1), (KEY, 9), (NEW_KEY, 1), (KEY, 10), (NEW_KEY, 2))
    claims = [PushClaim("M1", key, counter, authenticated=True, heard_s=0) for key, counter in under]
    refusals = database.push_counters.move_all(claims)
    assert [one is None for one in refusals] == [True, True, False, False, True, True]


def keys_kept(database: OtDatabase) -> list[str]:
    with database._engine.connect() as connection:
        found = connection.execute(select(push_counter.c.key_name).order_by(push_counter.c.key_name))
        return list(found.scalars())


def test_of_many_keys_those_in_use_are_remembered(database: OtDatabase) -> None:
    """The first is in use all the while; the last comes through a collector, and was heard before all others."""
    for number in range(1, 10):
        assert heard(database, "M1", number, heard_s=number * LONG_S, key=b"first")
        assert heard(database, "M1", 1, heard_s=number * LONG_S, key=bytes([number]))
    assert keys_kept(database) == ["07", "08", "09", b"first".hex()]
    assert not any(heard(database, "M1", number, heard_s=10 * LONG_S, key=b"first") for number in range(1, 10))
    late = PushClaim("M1", b"last", 5, authenticated=True, heard_s=0, late=True)
    assert [database.push_counters.move_all([late]) == [None] for _ in range(2)] == [True, False]
    assert keys_kept(database) == ["08", "09", b"first".hex(), b"last".hex()]


def test_a_new_key_does_not_make_room_for_itself_at_the_cost_of_one_in_the_same_batch(database: OtDatabase) -> None:
    for number in range(KEYS_MAX):
        assert heard(database, "M1", 7, heard_s=number * LONG_S, key=bytes([number]))
    both = [PushClaim("M1", key, 7, authenticated=True, heard_s=9 * LONG_S) for key in (bytes([0]), NEW_KEY)]
    assert [one is None for one in database.push_counters.move_all(both)] == [False, True]
    assert keys_kept(database) == ["00", "02", "03", NEW_KEY.hex()]


def test_a_key_under_which_nothing_is_believed_takes_no_room(database: OtDatabase) -> None:
    assert heard(database, "M1", 1, heard_s=LONG_S)
    for number in range(20):
        assert not heard(database, "M1", 0xFFFF_FFFF, authenticated=False, key=bytes([number]))
    assert KEY.hex() in keys_kept(database)
    assert len(keys_kept(database)) == KEYS_MAX
    assert not heard(database, "M1", 1)


def test_what_was_heard_before_keys_had_names_is_of_the_first_that_a_push_names(database: OtDatabase) -> None:
    with database._engine.begin() as connection:
        connection.execute(insert(push_counter), [{"meter_id": meter_id, "last_counter": 50} for meter_id in METERS])
    for key in (KEY, NEW_KEY):  # one batch tells of the keys of all
        claims = [PushClaim(meter_id, key, 50, authenticated=True, heard_s=0) for meter_id in METERS]
        refusals = database.push_counters.move_all(claims)
        assert [one is None for one in refusals] == [key == NEW_KEY] * len(METERS)
    assert [heard(database, "M1", 51), heard(database, "M1", 1, key=b"newest")] == [True, True]
    assert [heard(database, "M1", 50), heard(database, "M1", 51)] == [False, False]
    assert "" not in keys_kept(database)


METERS = ("M1", "M2", "M3")


def test_each_push_counter_is_good_once_and_none_before_the_first(database: OtDatabase) -> None:
    assert [heard(database, "M1", counter) for counter in (2, 5, 5, 4, 4, 6, 1)] == [
        True, True, False, True, False, True, False
    ]  # fmt: skip
    assert heard(database, "M2", 5)


def test_a_push_counter_below_the_window_is_refused(database: OtDatabase) -> None:
    assert heard(database, "M1", 1)
    assert heard(database, "M1", 2 * WINDOW)
    below = [2 * WINDOW - WINDOW - 1, 2 * WINDOW - WINDOW]
    assert [heard(database, "M1", counter) for counter in below] == [False, True]


def test_a_push_that_was_held_back_is_refused_also_under_cover_of_a_new_one(database: OtDatabase) -> None:
    assert heard(database, "M1", 1)
    assert heard(database, "M1", 3)
    assert not heard(database, "M1", 2, heard_s=LONG_S)
    assert heard(database, "M1", 5, heard_s=LONG_S)
    assert not heard(database, "M1", 2, heard_s=LONG_S)
    assert heard(database, "M1", 4, heard_s=LONG_S)


def test_a_push_without_a_tag_that_was_overtaken_is_refused(database: OtDatabase) -> None:
    assert heard(database, "M1", 1)
    assert heard(database, "M1", 3, authenticated=False)
    assert not heard(database, "M1", 2, authenticated=False)
    assert heard(database, "M1", 2)


def test_two_takers_believe_an_overtaken_push_once_also_after_a_restart(tmp_path: Path) -> None:
    one, other = (open_database(tmp_path / "ot.sqlite") for _ in range(2))
    assert [heard(one, "M1", 10), heard(other, "M1", 12), heard(one, "M1", 13)] == [True, True, True]
    assert heard(one, "M1", 11)
    assert not any(heard(taker, "M1", counter) for taker in (one, other) for counter in (10, 11, 12, 13))
    one.close()
    other.close()
    again = open_database(tmp_path / "ot.sqlite")
    assert not any(heard(again, "M1", counter) for counter in (10, 11, 12, 13))
    again.close()


def test_takers_that_shuffle_the_same_pushes_believe_each_once_between_them(tmp_path: Path) -> None:
    check_takers_believe_each_once([open_database(tmp_path / "ot.sqlite") for _ in range(4)])


def check_takers_believe_each_once(takers: list[OtDatabase]) -> None:
    """Each hears all of them, as somebody would have it who repeats at every door what he recorded."""
    believed = list[int]()
    assert heard(takers[0], "M1", 0)

    def take(number: int) -> None:
        for counter in random.Random(number).sample(range(1, 61), 60):
            if heard(takers[number], "M1", counter):
                believed.append(counter)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(len(takers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for taker in takers:
        taker.close()
    assert sorted(believed) == list(range(1, 61))


def test_a_push_whose_taker_is_killed_before_the_commit_is_believed_once_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "ot.sqlite"
    other = open_database(path)
    assert [heard(other, "M1", 1), heard(other, "M1", 3)] == [True, True]
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", TAKER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as taker:
        assert taker.stdout is not None
        assert taker.stdout.readline() == "[None]\n"
        taker.send_signal(signal.SIGKILL)
    assert [heard(other, "M1", 2), heard(other, "M1", 2)] == [True, False]
    other.close()


def test_a_push_that_was_not_saved_may_come_again(database: OtDatabase) -> None:
    with pytest.raises(StorageError), database.push_counters.transaction():  # noqa: PT012 - it fails after it moved
        assert heard(database, "M1", 7)
        raise StorageError("the disk is full")
    assert heard(database, "M1", 7)


def test_pushes_of_one_batch_are_compared_with_each_other_in_their_order(database: OtDatabase) -> None:
    assert heard(database, "M1", 4)
    claims = [("M1", 5), ("M2", 9), ("M1", 5), ("M1", 3), ("M2", 10), ("M1", 8)]  # before the first, twice, a gap
    refusals = database.push_counters.move_all(
        [PushClaim(meter_id, KEY, counter, authenticated=True, heard_s=0) for meter_id, counter in claims]
    )
    assert [one is None for one in refusals] == [True, True, False, False, True, True]
    assert [heard(database, "M1", 8), heard(database, "M2", 10)] == [False, False]
    assert [heard(database, "M1", 9), heard(database, "M2", 11)] == [True, True]


@pytest.mark.parametrize("absurd", [0xFFFF_FFFF, 101 + UNPROVED_JUMP_MAX])
def test_a_push_without_a_tag_cannot_lock_its_meter_out(database: OtDatabase, absurd: int) -> None:
    assert not heard(database, "M1", 0xFFFF_FFFF, authenticated=False)
    assert heard(database, "M1", 100, authenticated=False)
    assert not heard(database, "M1", absurd, authenticated=False)
    assert heard(database, "M1", 101, authenticated=False)
    assert heard(database, "M1", absurd, authenticated=True)
