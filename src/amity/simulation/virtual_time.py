"""An asyncio loop whose clock jumps to the next timer: days of a simulated utility pass in seconds, repeatably."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

_Result = TypeVar("_Result")
_STUCK_AFTER = 1_000  # selects in a row without a timer or an event: nothing will ever happen again


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs ready callbacks as usual; instead of waiting for a timer it sets its clock to it.

    Without `sockets` nobody asks the kernel for octets that cannot come: that is a system call less for each callback.
    """

    def __init__(self, *, sockets: bool = True) -> None:
        super().__init__(_JumpingSelector(self, hears=sockets))
        self.elapsed_s = 0.0

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self.elapsed_s


class _JumpingSelector(selectors.DefaultSelector):
    """Never blocks: a wait of n seconds becomes a jump of n seconds."""

    def __init__(self, loop: VirtualTimeLoop, *, hears: bool) -> None:
        super().__init__()
        self._loop = loop
        self._hears = hears
        self._idle = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Report what is ready now; otherwise let the timeout have passed."""
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0) if self._hears else []
        if not ready and timeout:
            self._loop.elapsed_s += timeout
        self._idle = self._idle + 1 if timeout is None and not ready else 0
        if self._idle > _STUCK_AFTER:
            raise RuntimeError("the simulation waits for something that no timer and no socket will bring")
        return ready


class VirtualClock:
    """The clock port on virtual time: `start` plus what the loop has let pass."""

    def __init__(self, start: datetime, loop: VirtualTimeLoop) -> None:
        self._start = start.astimezone(UTC)
        self._loop = loop

    def now(self) -> datetime:
        """The present instant of the simulation."""
        return self._start + timedelta(seconds=self._loop.time())


def run_virtually(main: Callable[[VirtualClock], Awaitable[_Result]], start: datetime) -> _Result:
    """Run `main(clock)` on virtual time that begins at `start`; return its result."""
    loop = VirtualTimeLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(_awaited(main, VirtualClock(start, loop)))


async def _awaited(main: Callable[[VirtualClock], Awaitable[_Result]], clock: VirtualClock) -> _Result:
    return await main(clock)
