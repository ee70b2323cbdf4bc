"""A worker that is told to end while the database is still granting it leases gives these back too."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from amity.simulation.virtual_time import VirtualClock, run_virtually
from amity.storage.ot.database import OtDatabase
from tests.unit.headend.jobs.requests import NOW
from tests.unit.headend.jobs.test_worker import PretendedMeters, enqueue, states, worker


def test_leases_that_are_granted_while_it_leaves_are_given_back(database: OtDatabase) -> None:
    enqueue(database, 3)
    meters = PretendedMeters()

    async def slow(work: Callable) -> object:
        """The answer takes a second, and cannot be called back."""
        answering = asyncio.get_running_loop().create_task(_answer(work))
        return await asyncio.shield(answering)

    async def leave(clock: VirtualClock) -> None:
        running = asyncio.create_task(worker(database, meters, clock, disk=slow).run())
        await asyncio.sleep(0.5)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await asyncio.sleep(2)

    run_virtually(leave, NOW)
    assert meters.sessions == []
    assert states(database) == {"waiting": 3}


async def _answer(work: Callable) -> object:
    found = work()
    await asyncio.sleep(1)
    return found
