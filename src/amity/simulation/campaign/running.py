"""A campaign: many seeds over several processes, told as they end; a failure with the command that replays it."""

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Final, TextIO

from amity.simulation.campaign.disk import Workshop
from amity.simulation.campaign.settings import settings_of
from amity.simulation.campaign.telling import tell
from amity.simulation.campaign.world import Verdict, troubles_of

_TOLD_EVERY_S: Final = 15.0
_TRACE_LINES: Final = 12
_PROCESSES: Final = 2


@dataclass(frozen=True, slots=True)
class Choice:
    """Which worlds: seeds from `first`, and a size other than the seeds' own."""

    seeds: int
    first: int = 1
    meters: int | None = None
    hours: float | None = None
    processes: int = _PROCESSES


@dataclass(slots=True)
class Sum:
    """What a campaign has come to."""

    began_s: float
    worlds: int = 0
    virtual_s: float = 0.0
    associations: int = 0
    intervals: int = 0
    counters: int = 0
    jobs: int = 0
    failed: list[int] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count one world."""
        self.worlds += 1
        self.virtual_s += verdict.virtual_s
        self.associations += verdict.associations
        self.intervals += verdict.intervals
        self.counters += verdict.counters
        self.jobs += verdict.jobs
        if verdict.violations:
            self.failed.append(verdict.seed)

    def line(self, now_s: float) -> str:
        """How far it is."""
        took_s = max(now_s - self.began_s, 1e-6)
        return (
            f"{self.worlds} seeds in {took_s:.0f} s ({self.worlds / took_s:.2f}/s): {self.virtual_s / 86_400:.1f} "
            f"virtual days, {self.associations} associations, {self.jobs} jobs, {self.intervals} intervals compared,"
            f" {self.counters} counters seen, {len(self.failed)} failed"
        )


def run_campaign(choice: Choice, out: TextIO) -> int:
    """Tell every seed's story; return how many failed."""
    total, told_at_s = Sum(time.monotonic()), time.monotonic()
    for verdict in _verdicts(choice):
        total.add(verdict)
        for line in failure_lines(verdict, choice):
            print(line, file=out, flush=True)
        if time.monotonic() - told_at_s >= _TOLD_EVERY_S:
            told_at_s = time.monotonic()
            print(total.line(told_at_s), file=out, flush=True)
    print(total.line(time.monotonic()), file=out, flush=True)
    if total.failed:
        print(f"failed: {' '.join(map(str, sorted(total.failed)))}", file=out, flush=True)
    return len(total.failed)


def failure_lines(verdict: Verdict, choice: Choice) -> Iterator[str]:
    """What a person needs to begin with; nothing for a world in which all held."""
    if not verdict.violations:
        return
    yield f"seed {verdict.seed} failed, trace {verdict.digest}"
    for invariant, what, at_s in verdict.violations[:_TRACE_LINES]:
        yield f"  {invariant}, at {at_s:.1f} s: {what}"
    for line in verdict.trace[-_TRACE_LINES:]:
        yield f"    {line}"
    yield f"  replay: {replay_command(verdict.seed, choice)}"


def replay_command(seed: int, choice: Choice) -> str:
    """The one command that tells this story again."""
    sizes = [f"--meters {choice.meters}"] if choice.meters is not None else []
    sizes += [f"--hours {choice.hours:g}"] if choice.hours is not None else []
    return f'make simulate SEEDS=1 FROM={seed} ARGS="{" ".join([*sizes, "--trace"])}"'


def replay(choice: Choice, out: TextIO) -> int:
    """Tell one seed's story with every line of its trace."""
    workshop, settings = Workshop(), settings_of(choice.first, meters=choice.meters, hours=choice.hours)
    try:
        verdict = tell(settings, workshop, keep_trace=True)
    finally:
        workshop.close()
    plan = (f"plan: {line}" for line in troubles_of(settings))
    for line in (*plan, *verdict.trace, *failure_lines(verdict, choice), f"trace {verdict.digest}"):
        print(line, file=out)
    return len(verdict.violations)


# ------------------------------------------------------------------ processes
def _verdicts(choice: Choice) -> Iterator[Verdict]:
    seeds = range(choice.first, choice.first + choice.seeds)
    if choice.processes == 1 or choice.seeds == 1:
        yield from map(_Teller(choice), seeds)
        return
    with ProcessPoolExecutor(min(choice.processes, os.cpu_count() or 1), get_context("spawn")) as pool:
        yield from pool.map(_Teller(choice), seeds)


class _Teller:
    """Tells one seed at a time; each process has one workshop."""

    _workshop: Workshop | None = None

    def __init__(self, choice: Choice) -> None:
        self._meters = choice.meters
        self._hours = choice.hours

    def __call__(self, seed: int) -> Verdict:
        """The verdict on a seed."""
        if _Teller._workshop is None:
            _Teller._workshop = Workshop()
        return tell(settings_of(seed, meters=self._meters, hours=self._hours), _Teller._workshop)


def run_seeds(seeds: Iterable[int], choice: Choice) -> list[Verdict]:
    """In this process, one after the other."""
    return list(map(_Teller(choice), seeds))
