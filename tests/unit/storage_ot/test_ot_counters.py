"""No invocation counter is ever given twice: not to two callers, not after a kill at any moment, not after a resync."""

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from amity.devices.freshness import UNPROVED_JUMP_MAX
from amity.headend.ports import PushClaim
from amity.kernel.errors import LocalProtocolError, StorageError
from amity.storage.ot.database import OtDatabase, open_database

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
    database: OtDatabase, meter_id: str, counter: int, *, authenticated: bool = True, heard_s: int = 0
) -> bool:
    return database.push_counters.move_all([PushClaim(meter_id, counter, authenticated, heard_s)]) == [None]


def test_a_push_counter_only_goes_up(database: OtDatabase) -> None:
    assert [heard(database, "M1", counter) for counter in (0, 5, 5, 4, 6)] == [True, True, False, False, True]
    assert heard(database, "M2", 5)


def test_a_push_that_was_not_saved_may_come_again(database: OtDatabase) -> None:
    with pytest.raises(StorageError), database.push_counters.transaction():  # noqa: PT012 - it fails after it moved
        assert heard(database, "M1", 7)
        raise StorageError("the disk is full")
    assert heard(database, "M1", 7)


def test_pushes_of_one_batch_are_compared_with_each_other_in_their_order(database: OtDatabase) -> None:
    assert heard(database, "M1", 4)
    claims = [("M1", 5), ("M2", 9), ("M1", 5), ("M1", 3), ("M2", 10), ("M1", 8)]
    refusals = database.push_counters.move_all([PushClaim(*one, authenticated=True, heard_s=0) for one in claims])
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
