"""The one timer of a sans-I/O protocol: it says when to wake it, the event loop does."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Rings once at a time of the loop's clock; setting it anew forgets the time before."""

    __slots__ = ("_handle", "_loop", "_ring")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None

    @property
    def now_s(self) -> float:
        """The clock that the alarm goes by."""
        return self._loop.time()

    def set(self, at_s: float | None) -> None:
        """Ring at this time; None: not at all."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None if at_s is None else self._loop.call_at(at_s, self._ring)
