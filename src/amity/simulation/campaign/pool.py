"""Processes that tell seeds, which leave nothing behind however the campaign ends, `kill -9` included.

Each holds the reading end of a pipe whose other end only the campaign has. When that closes, for whatever reason, the
process removes its files and ends, in the midst of a seed too.
"""

import gc
import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final

from amity.simulation.campaign.disk import Workshop, remove_own, sweep
from amity.simulation.campaign.settings import settings_of
from amity.simulation.campaign.telling import Verdict, tell

_CYCLES_LEFT: Final = 50_000  # a world makes many objects and few cycles
_GENERATIONS: Final = 20

_workshop: Workshop | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """A size and span other than the seeds' own."""

    meters: int | None = None
    hours: float | None = None


def verdicts(seeds: Iterable[int], size: Size, processes: int) -> Generator[Verdict, None, None]:
    """As they come. Whatever ends the loop over them ends the processes too."""
    with _processes(processes) as pool:
        yield from (told.result() for told in as_completed([pool.submit(_told, seed, size) for seed in seeds]))


@contextmanager
def _processes(number: int) -> Iterator[Executor]:
    spawn = get_context("spawn")
    lifeline, ours = spawn.Pipe(duplex=False)
    pool = ProcessPoolExecutor(min(number, os.cpu_count() or 1), spawn, _begin, (lifeline,))
    try:
        yield pool
    finally:
        ours.close()
        pool.shutdown(wait=True, cancel_futures=True)  # waits once only: they are no more when their rests are swept up
        lifeline.close()
        sweep()


# ------------------------------------------------------------------ in the processes
def _begin(lifeline: Connection) -> None:
    """Be ready for the first seed; what is there now stays, and need not be looked through for garbage."""
    global _workshop  # noqa: PLW0603 - one for each process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the campaign, which then lets go of us
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    _workshop = Workshop()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_CYCLES_LEFT, _GENERATIONS, _GENERATIONS)


def _end_with(lifeline: Connection) -> None:
    """Wait until the campaign is over or gone."""
    try:
        lifeline.recv_bytes()
    except (EOFError, OSError):
        remove_own()
        os._exit(0)


def _told(seed: int, size: Size) -> Verdict:
    assert _workshop is not None  # noqa: S101 - the process began with it
    return tell(settings_of(seed, meters=size.meters, hours=size.hours), _workshop)
