"""The collector's store: oldest bulk makes room, alarms never do, and what was put is there after kill -9."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from amity.collector.ports import Held, HeldPush, StoreFullError
from amity.storage.collector.pushes import SqlPushStore, open_push_store
from amity.storage.collector.tables import metadata

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
EACH = 128 + 100


def push(number: int, *, urgent: bool = False) -> HeldPush:
    return HeldPush(number, NOW, "10.0.0.7", urgent, bytes(100))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlPushStore]:
    opened = open_push_store(tmp_path / "pushes.sqlite", 10 * EACH)
    yield opened
    opened.close()


def numbers(store: SqlPushStore, *, urgent: bool = False, without: tuple[int, ...] = ()) -> list[int]:
    return [one.number for one in store.oldest(100, urgent=urgent, without=without)]


def test_the_schema_is_what_the_migrations_make(store: SqlPushStore) -> None:
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_what_is_put_comes_back_oldest_first_until_it_is_deleted(store: SqlPushStore) -> None:
    store.put([push(3), push(1, urgent=True), push(2)])
    assert numbers(store) == [3, 2]
    assert store.oldest(1, urgent=True, without=())[0] == push(1, urgent=True)
    assert numbers(store, without=(3,)) == [2]
    store.delete([3, 77])
    assert numbers(store) == [2]
    assert store.held() == Held(1, 1, 2 * EACH, 0)


def test_the_oldest_bulk_makes_room_and_alarms_stay(store: SqlPushStore) -> None:
    store.put([push(0, urgent=True)])
    for number in range(1, 30):
        store.put([push(number)])
    assert numbers(store) == list(range(21, 30))
    assert numbers(store, urgent=True) == [0]
    assert store.held() == Held(1, 9, 10 * EACH, 20)
    store.put([push(number, urgent=True) for number in range(100, 105)])
    assert numbers(store) == [26, 27, 28, 29]


def test_when_alarms_fill_it_nothing_is_taken_and_nothing_is_lost(store: SqlPushStore) -> None:
    store.put([push(number, urgent=True) for number in range(10)])
    for one in (push(11), push(12, urgent=True)):
        with pytest.raises(StoreFullError):
            store.put([one])
    assert numbers(store, urgent=True) == list(range(10))
    assert store.held() == Held(10, 0, 10 * EACH, 0)


def test_a_push_that_finds_only_alarms_does_not_push_itself_out_silently(store: SqlPushStore) -> None:
    store.put([push(number, urgent=True) for number in range(10)])
    with pytest.raises(StoreFullError):
        store.put([push(20)])
    assert numbers(store) == []


def test_what_was_put_is_there_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "killed.sqlite"
    program = f"""
import os, sys
from amity.storage.collector.pushes import open_push_store
from amity.collector.ports import HeldPush
from datetime import datetime, UTC
from pathlib import Path
store = open_push_store(Path({str(path)!r}), 1 << 20)
number = 0
while True:
    number += 1
    store.put([HeldPush(number, datetime(2026, 11, 20, tzinfo=UTC), "", number % 2 == 0, bytes(100))])
    print(number, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - our own text
        assert child.stdout is not None
        acknowledged = [int(child.stdout.readline()) for _ in range(25)]
        child.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in child.stdout.read().split()]
    store = open_push_store(path, 1 << 20)
    there = sorted(numbers(store) + numbers(store, urgent=True))
    assert there[: len(acknowledged)] == acknowledged
    held = store.held()
    assert held.alarms + held.bulk == len(there)
    store.close()
