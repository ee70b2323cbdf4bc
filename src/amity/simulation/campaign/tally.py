"""What a campaign has come to: a line while it runs, a table at its end."""

import resource
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from amity.simulation.campaign.plan import Trouble
from amity.simulation.campaign.telling import Verdict
from amity.simulation.campaign.witness import Invariant

_KILOBYTE: Final = 1024
_WIDTH: Final = 56


@dataclass(slots=True)
class Tally:
    """Sums over the verdicts so far."""

    seeds: int
    first: int
    began_s: float
    meters: int = 0
    meters_most: int = 0
    virtual_s: float = 0.0
    associations: int = 0
    jobs: int = 0
    intervals: int = 0
    held_most: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    done: set[int] = field(default_factory=set)
    failed: list[int] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count one world."""
        self.done.add(verdict.seed)
        self.meters += verdict.meters
        self.meters_most = max(self.meters_most, verdict.meters)
        self.virtual_s += verdict.virtual_s
        self.associations += verdict.associations
        self.jobs += verdict.jobs
        self.intervals += verdict.intervals
        self.held_most = max(self.held_most, verdict.held_most)
        self.faults.update(verdict.faults)
        self.checks.update(verdict.checks)
        if verdict.violations:
            self.failed.append(verdict.seed)

    @property
    def next_seed(self) -> int:
        """The first seed that is still to be told: where an interrupted campaign goes on."""
        return next(seed for seed in range(self.first, self.first + self.seeds + 1) if seed not in self.done)

    def line(self, now_s: float) -> str:
        """How far it is, and how long the rest takes at this rate."""
        took_s, worlds = max(now_s - self.began_s, 1e-6), len(self.done)
        left_s = (self.seeds - worlds) * took_s / max(worlds, 1)
        return (
            f"{worlds} of {self.seeds} seeds in {took_s:.0f} s, {worlds / took_s:.2f}/s, {_minutes(left_s)} to go: "
            f"{self.meters} meters, {self.associations} sessions, {self.faults.total()} faults, "
            f"{self.virtual_s / 3600:.0f} virtual hours, {len(self.failed)} failed"
        )

    def table(self, now_s: float) -> Iterator[str]:
        """All of it."""
        took_s = max(now_s - self.began_s, 1e-6)
        yield _row("seeds", f"{len(self.done)} ({self.first} to {self.next_seed - 1}), {len(self.failed)} failed")
        yield _row("meters, and most in a world", f"{self.meters}, {self.meters_most}")
        yield _row("sessions with meters", self.associations)
        yield _row("jobs", self.jobs)
        yield _row("intervals compared with the truth", self.intervals)
        yield _row("most elements held by one process", self.held_most)
        yield _row("virtual hours", f"{self.virtual_s / 3600:.0f}")
        yield _row("seconds, seeds a second", f"{took_s:.0f}, {len(self.done) / took_s:.2f}")
        yield _row("largest simulating process", f"{_largest_megabytes():.0f} MB")
        yield "faults"
        yield from (_row(f"  {trouble}", self.faults[trouble]) for trouble in Trouble)
        yield "invariants, and how often each was looked at"
        yield from (_row(f"  {invariant}", self.checks[invariant]) for invariant in Invariant)


def _row(what: str, value: object) -> str:
    return f"{what:<{_WIDTH}} {value}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"  # noqa: PLR2004 - a minute


def _largest_megabytes() -> float:
    """Of the processes that have ended, or of this one."""
    which = (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)
    return max(resource.getrusage(who).ru_maxrss for who in which) / _KILOBYTE
