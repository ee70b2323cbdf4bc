"""Simulated meters in a thread of their own, for tests of what runs an event loop itself."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

Document = list[dict[str, Any]]


@contextmanager
def serving(make: Callable[[], AbstractAsyncContextManager[Document]]) -> Iterator[Document]:
    """Serve what `make` makes while the block lasts; give the fleet document."""
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    document: Document = []

    async def serve() -> None:
        async with make() as entries:
            document.extend(entries)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(20), "the simulated meters did not come up"
        yield document
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
