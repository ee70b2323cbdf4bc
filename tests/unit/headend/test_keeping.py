"""Deliveries that end while the disk is busy share the next transaction."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from amity.domain.collection import Delivery, Outcome
from amity.headend.fleet import Fleet
from amity.headend.keeping import Keeper
from amity.headend.ports import Saving
from amity.headend.reader import Collected
from amity.headend.surroundings import SessionRules
from amity.kernel.backoff import Backoff
from amity.kernel.errors import AmityError, LocalProtocolError, StorageError

AT_ONCE = SessionRules(backoff=Backoff(0.0, 0.0))


class Store:
    """Notes how many came at a time."""

    def __init__(self, refusals: int = 0) -> None:
        self.batches: list[list[str]] = []
        self.refusals = refusals

    def save_all(self, savings: list[Saving]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StorageError("the disk is full")
        self.batches.append([one.delivery.meter_id for one in savings])


class SlowDisk:
    """Works when it is let."""

    def __init__(self) -> None:
        self.turn = asyncio.Event()

    async def __call__(self, work: Callable[[], Any]) -> Any:
        await self.turn.wait()
        return work()


def keeper_of(make_bench: Callable, store: Store, disk: SlowDisk, **changes: Any) -> Keeper:
    return Keeper(replace(make_bench(1).surroundings, collection=store, disk=disk, **changes))


def session(bench_clock: Any, meter_id: str) -> Collected:
    return Collected(Delivery(meter_id, meter_id, "s", bench_clock.now(), Outcome.COMPLETE))


async def begun(keeper: Keeper, clock: Any, names: str) -> list[asyncio.Task[bool]]:
    tasks = [asyncio.create_task(keeper.keep(session(clock, name))) for name in names]
    await asyncio.sleep(0)
    return tasks


async def test_those_who_wait_go_in_together(make_bench: Callable) -> None:
    store, disk = Store(), SlowDisk()
    keeper = keeper_of(make_bench, store, disk)
    tasks = await begun(keeper, keeper._surroundings.clock, "abcd")
    disk.turn.set()
    assert await asyncio.gather(*tasks) == [True] * 4
    assert store.batches == [["a"], ["b", "c", "d"]]


async def test_a_disk_that_refuses_is_told_to_all_of_its_transaction_and_to_nobody_else(make_bench: Callable) -> None:
    store, disk = Store(refusals=1), SlowDisk()
    keeper = keeper_of(make_bench, store, disk)
    tasks = await begun(keeper, keeper._surroundings.clock, "ab")
    disk.turn.set()
    first, second = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(first, StorageError)
    assert second is True


async def test_what_cannot_be_encoded_is_the_fault_of_its_own_meter(make_bench: Callable) -> None:
    class Refusing:
        def encode(self, delivery: Delivery) -> bytes:
            if delivery.meter_id == "c":
                raise LocalProtocolError("too large")
            return b"body"

    store, disk = Store(), SlowDisk()
    keeper = keeper_of(make_bench, store, disk, codec=Refusing())
    tasks = await begun(keeper, keeper._surroundings.clock, "abcd")
    disk.turn.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in results] == [bool, bool, LocalProtocolError, bool]
    assert store.batches == [["a"], ["b", "d"]]


async def test_one_who_is_cancelled_at_the_disk_leaves_nobody_behind(make_bench: Callable) -> None:
    store, disk = Store(), SlowDisk()
    keeper = keeper_of(make_bench, store, disk)
    first, second = await begun(keeper, keeper._surroundings.clock, "ab")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    disk.turn.set()
    assert await second is True
    assert store.batches == [["a", "b"]]


async def test_what_the_disk_chokes_on_is_a_defect_of_its_own_meter_and_holds_nobody_up(make_bench: Callable) -> None:
    class Choking(Store):
        def save_all(self, savings: list[Saving]) -> None:
            if any(one.delivery.meter_id == "c" for one in savings):
                raise OverflowError("Python int too large to convert to SQLite INTEGER")
            super().save_all(savings)

    store, disk = Choking(), SlowDisk()
    keeper = keeper_of(make_bench, store, disk)
    tasks = await begun(keeper, keeper._surroundings.clock, "abcd")
    disk.turn.set()
    first, second, poison, last = await asyncio.gather(*tasks, return_exceptions=True)
    assert [first, second, last] == [True] * 3
    assert isinstance(poison, AmityError)
    assert "a defect in Amity: OverflowError" in poison.what
    assert store.batches == [["a"], ["b"], ["d"]]
    assert await keeper.keep(session(keeper._surroundings.clock, "e"))


# ------------------------------------------------------------------ a whole round
async def test_a_full_disk_loses_nothing_and_the_next_round_reads_again(
    make_bench: Callable, full_disk: Callable
) -> None:
    bench = make_bench(2)
    store, told = full_disk(bench.database.collection), []
    fleet = Fleet(replace(bench.surroundings, collection=store, session=AT_ONCE), on_progress=told.append)
    finished = await fleet.read_fleet_once()
    assert {error.what for error in finished.not_kept.values()} == {"the disk is full"}
    assert all(one.not_kept is not None for one in told)
    assert bench.deliveries() == []
    store.full = False
    assert (await fleet.read_fleet_once()).not_kept == {}
    assert {len(one.intervals[0].starts) for one in bench.deliveries()} == {288}


async def test_a_delivery_that_cannot_be_encoded_does_not_end_the_round(make_bench: Callable) -> None:
    bench = make_bench(2)

    class Refusing:
        def encode(self, delivery: Delivery) -> bytes:
            raise LocalProtocolError(f"too large: {delivery.meter_id}")

    finished = await Fleet(replace(bench.surroundings, codec=Refusing(), session=AT_ONCE)).read_fleet_once()
    assert len(finished.not_kept) == 2
