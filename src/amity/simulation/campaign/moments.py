"""Moments that somebody waits for, to let something go wrong just then."""

import asyncio
from collections import defaultdict


class Moments:
    """Of anybody: a machine, or whatever has moments."""

    def __init__(self) -> None:
        self._waiting: defaultdict[object, list[asyncio.Future[None]]] = defaultdict(list)

    def tell(self, whose: object) -> None:
        """It is now."""
        for waiting in self._waiting.pop(whose, ()):
            if not waiting.done():
                waiting.set_result(None)

    async def next(self, whose: object, within_s: float) -> None:
        """Wait until it is told, but only so long."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[whose].append(waiting)
        await asyncio.wait([waiting], timeout=within_s)
