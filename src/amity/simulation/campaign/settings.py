"""How large a simulated world is, and the few numbers that hold for all of its parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from amity.simulation.chance import stream
from amity.simulation.faults import FaultKind

TITLE: Final = b"AMYSIM\0\1"
"""The head-end's system title, the same for all its nodes."""
_FAULTY: Final = 0.45
_FIRST_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """All that decides what a world is like; the fault plan follows from the seed too.

    The meters are read every `period`; faults fall within `span`, after which everything is mended and has `settle` to
    come right. `grace` is what jobs and queues then have to end.
    """

    seed: int
    meters: int
    nodes: int
    start: datetime
    period: timedelta
    span: timedelta
    concurrency: int = 8
    pushing: float = 0.6
    faults: int = 8
    meter_faults: Mapping[FaultKind, float] = field(default_factory=dict)
    first_read: timedelta = timedelta(hours=2)
    grace: timedelta = timedelta(minutes=75)

    @property
    def settle(self) -> timedelta:
        """Time to come right once nothing goes wrong any more: three fires, with their retries."""
        return 3 * self.period + timedelta(minutes=5)

    @property
    def end(self) -> datetime:
        """When the last fault is over."""
        return self.start + self.span


def settings_of(seed: int, *, meters: int | None = None, hours: float | None = None) -> WorldSettings:
    """The world of a seed: a few meters for some hours, unless it is said otherwise."""
    chance = Random(stream(seed, "world"))
    start = _FIRST_DAY + timedelta(minutes=chance.randrange(365 * 24 * 60), seconds=chance.randrange(60))
    drawn_meters, drawn_hours = chance.randrange(3, 7), chance.choice((0.5, 0.75, 1.0, 1.5))
    kinds = chance.sample((FaultKind.SLOW, FaultKind.CLOSES_MID_FRAME, FaultKind.GARBAGE_BYTES, FaultKind.GAP), 2)
    rare = chance.choice((FaultKind.CLOCK_JUMP, FaultKind.SILENT, FaultKind.WRONG_KEY, FaultKind.REFUSED))
    return WorldSettings(
        seed=seed,
        meters=drawn_meters if meters is None else meters,
        nodes=chance.choice((1, 2, 2, 2, 3)),
        start=start,
        period=timedelta(minutes=chance.choice((10, 10, 15))),
        span=timedelta(hours=drawn_hours if hours is None else hours),
        concurrency=8 if meters is None else 64,
        faults=chance.randrange(3, 14),
        meter_faults={kind: 0.1 for kind in (*kinds, rare) if chance.random() < _FAULTY},
    )
