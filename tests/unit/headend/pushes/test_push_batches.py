"""Work for the disk in one transaction: a refusal reaches its own sender only, a disk that fails reaches all."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest

from amity.domain.collection import Delivery, Outcome
from amity.domain.events import EventKind, MeterEvent
from amity.headend.ports import Progress, PushClaim, Saving
from amity.headend.pushes.batches import AT_ONCE_MAX, Keeping, PushBatches
from amity.kernel.errors import SecurityError, StorageError

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Disk:
    def __init__(self) -> None:
        self.transactions: list[list[Saving]] = []
        self.full = False
        self.tries = 0
        self.chokes_on: dict[str, Exception] = {}

    async def __call__(self, work: Callable[[], Any], /) -> Any:
        await asyncio.sleep(0.01)
        return work()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.tries += 1
        if self.full:
            raise StorageError("the disk is full")
        yield

    def move_all(self, claims: list[PushClaim]) -> list[SecurityError | None]:
        return [None if one.counter else SecurityError("heard before") for one in claims]

    def save_all(self, savings: list[Saving]) -> None:
        for name in [one.delivery.meter_id for one in savings]:
            if name in self.chokes_on:
                raise self.chokes_on[name]
        self.transactions.append(savings)


def saving(name: str, *events: MeterEvent) -> Saving:
    delivery = Delivery("", name, "", NOW, Outcome.PUSHED, events=events)
    return Saving(delivery, "subject", b"", Progress())


def push(name: str, counter: int = 1, *events: MeterEvent) -> Keeping:
    return Keeping(PushClaim(name, b"K", counter, authenticated=True, heard_s=0), nullcontext, saving(name, *events))


async def test_what_comes_while_the_disk_is_busy_goes_in_batches() -> None:
    disk = Disk()
    batches = PushBatches(disk, disk, disk)  # type: ignore[arg-type]
    results = await asyncio.gather(
        *(batches.keep(push(str(n))) for n in range(5)), batches.keep(push("old", 0)), return_exceptions=True
    )
    assert [type(one) for one in results] == [type(None)] * 5 + [SecurityError]
    assert [len(one) for one in disk.transactions] == [5]


async def test_a_disk_that_fails_fails_all_and_works_again_later() -> None:
    disk = Disk()
    disk.full = True
    batches = PushBatches(disk, disk, disk)  # type: ignore[arg-type]
    results = await asyncio.gather(*(batches.keep(push("a")) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in results] == [StorageError] * 3
    disk.full = False
    await batches.keep(push("b"))
    assert len(disk.transactions) == 1


async def test_whoever_gives_up_waiting_takes_nobody_along() -> None:
    disk = Disk()
    batches = PushBatches(disk, disk, disk)  # type: ignore[arg-type]
    first = asyncio.create_task(batches.keep(push("a")))
    second = asyncio.create_task(batches.keep(push("b")))
    await asyncio.sleep(0)
    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first


def kept(disk: Disk) -> list[str]:
    return [one.delivery.meter_id for transaction in disk.transactions for one in transaction]


@pytest.mark.parametrize("error", [OverflowError("too large for an INTEGER"), StorageError("no NUL in a text")])
async def test_what_the_disk_chokes_on_fails_alone(error: Exception) -> None:
    disk = Disk()
    disk.chokes_on["c"] = error
    batches = PushBatches(disk, disk, disk)  # type: ignore[arg-type]
    results = await asyncio.gather(*(batches.keep(push(n)) for n in "abcd"), return_exceptions=True)
    assert results == [None, None, error, None]
    assert kept(disk) == ["a", "b", "d"]


async def test_work_that_brings_a_defect_to_light_fails_alone() -> None:
    disk = Disk()
    batches = PushBatches(disk, disk, disk)  # type: ignore[arg-type]

    @contextmanager
    def defective() -> Iterator[None]:
        raise ZeroDivisionError
        yield

    works = [push("a"), push("c")._replace(within=defective), push("b")]
    results = await asyncio.gather(*map(batches.keep, works), return_exceptions=True)
    assert [type(one) for one in results] == [type(None), ZeroDivisionError, type(None)]
    assert kept(disk) == ["a", "b"]


async def test_a_disk_that_takes_nothing_is_not_asked_for_each_of_a_batch() -> None:
    disk = Disk()
    disk.full = True
    batches = PushBatches(disk, disk, disk)  # type: ignore[arg-type]
    results = await asyncio.gather(*(batches.keep(push("a")) for _ in range(50)), return_exceptions=True)
    assert {type(one) for one in results} == {StorageError}
    assert disk.tries == 3, "all of them, the first, the second"


async def test_an_alarm_overtakes_the_readings_that_wait_for_the_disk() -> None:
    disk = Disk()
    batches = PushBatches(disk, disk, disk)  # type: ignore[arg-type]
    alarm = MeterEvent(EventKind.POWER_DOWN, 1, NOW, "")
    readings = [push(f"reading {number}") for number in range(AT_ONCE_MAX + 10)]
    await asyncio.gather(*map(batches.keep, [*readings, push("last gasp", 1, alarm)]))
    assert kept(disk)[0] == "last gasp"
    assert [len(one) for one in disk.transactions] == [AT_ONCE_MAX, 11]
