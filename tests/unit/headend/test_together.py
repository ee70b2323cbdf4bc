"""Work for the disk in one transaction: a refusal reaches its own sender only, a disk that fails reaches all."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from amity.headend.ports import Progress, Saving
from amity.headend.together import Together
from amity.kernel.errors import SecurityError, StorageError


class Disk:
    def __init__(self) -> None:
        self.transactions: list[list[Saving]] = []
        self.full = False

    async def __call__(self, work: Callable[[], Any], /) -> Any:
        await asyncio.sleep(0.01)
        return work()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self.full:
            raise StorageError("the disk is full")
        yield

    def save_all(self, savings: list[Saving]) -> None:
        self.transactions.append(savings)


def saving(name: str) -> Saving:
    return Saving(name, "subject", b"", Progress())  # type: ignore[arg-type]


def refused() -> Saving:
    raise SecurityError("heard before")


async def test_what_comes_while_the_disk_is_busy_goes_in_together() -> None:
    disk = Disk()
    together = Together(disk, disk.transaction, disk.save_all)
    results = await asyncio.gather(
        *(together.do(lambda n=n: saving(str(n))) for n in range(5)), together.do(refused), return_exceptions=True
    )
    assert [type(one) for one in results] == [type(None)] * 5 + [SecurityError]
    assert [len(one) for one in disk.transactions] == [5]


async def test_a_disk_that_fails_fails_all_and_works_again_later() -> None:
    disk = Disk()
    disk.full = True
    together = Together(disk, disk.transaction, disk.save_all)
    results = await asyncio.gather(*(together.do(lambda: saving("a")) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in results] == [StorageError] * 3
    disk.full = False
    await together.do(lambda: saving("b"))
    assert len(disk.transactions) == 1


async def test_whoever_gives_up_waiting_takes_nobody_along() -> None:
    disk = Disk()
    together = Together(disk, disk.transaction, disk.save_all)
    first = asyncio.create_task(together.do(lambda: saving("a")))
    second = asyncio.create_task(together.do(lambda: saving("b")))
    await asyncio.sleep(0)
    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
