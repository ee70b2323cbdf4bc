"""CPU time, measured the same way for Amity and for its peers.

Standard library only: the peers' interpreters import this file too. Wall time is not used, because the machine is
shared; `time.process_time` counts user and system time of this process alone.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

REPEATS = 7
SLICE_S = 0.15


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call: the median of several slices of at least `SLICE_S`, after a warm-up."""
    loops = _loops(work)
    return statistics.median(_slice(work, loops) for _ in range(REPEATS))


def _loops(work: Callable[[], object]) -> int:
    """How many calls fill a slice; counting them is the warm-up."""
    loops = 1
    while (seconds := _slice(work, loops) * loops) < SLICE_S:
        loops = max(loops * 2, int(loops * SLICE_S / seconds)) if seconds else loops * 2
    return loops


def _slice(work: Callable[[], object], loops: int) -> float:
    gc.collect()
    start = time.process_time()
    for _ in range(loops):
        work()
    return (time.process_time() - start) / loops


class ClientClock:
    """Adds up the CPU time of one side of a conversation; the other side and the socket run while it is paused."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since = 0.0

    def run(self) -> None:
        """The client's own work begins."""
        self._since = time.process_time()

    def pause(self) -> None:
        """The client waits for its peer."""
        self.seconds += time.process_time() - self._since


def median_session_s(session: Callable[[ClientClock], object], sessions: int) -> float:
    """Median client CPU seconds of a number of whole sessions, the first tenth thrown away as warm-up."""
    measured = []
    for _ in range(sessions):
        clock = ClientClock()
        session(clock)
        measured.append(clock.seconds)
    return statistics.median(measured[sessions // 10 :])


def median_whole_session_s(session: Callable[[ClientClock], object], sessions: int) -> float:
    """The same with everything that this process does for it: sockets and system calls too."""
    measured = []
    for _ in range(sessions):
        start = time.process_time()
        session(ClientClock())
        measured.append(time.process_time() - start)
    return statistics.median(measured[sessions // 10 :])
