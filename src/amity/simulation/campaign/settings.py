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
PORT: Final = 4059
"""Where meters listen, and where they call."""
PUSH_HOST: Final = "push.head-end"
"""Whichever node listens: what HAProxy stands for."""
THOUSANDS_EVERY: Final = 50
"""The world of every so-maniest seed has more than two thousand meters; …"""
DOZENS_EVERY: Final = 10
"""… that of every so-maniest, counted from half of it on, has some dozens; all others have three to eight."""
SMALL_STORES_EVERY: Final = 7
"""In the world of every so-maniest, unless it has dozens of meters, the collectors' stores hold but a few pushes."""
ALARMS_SOON_FROM: Final = timedelta(minutes=5)
"""So long after the last fault what waited has gone, and alarms are to be quick."""
_FAULTY: Final = 0.45
_FIRST_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)
_MANY: Final = 1_000
_ENOUGH: Final = 8 << 20
_FEW_PUSHES: Final = (500, 1_000)
"""Octets on disk."""


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """All that decides what a world is like; the fault plan follows from the seed too.

    The meters are read every `period`; faults fall within `span`, after which everything is mended and has `settle` to
    come right. `grace` is what jobs and queues then have to end. Of the meters, about `behind` are reached through one
    of the `collectors`, `calling` open the connection themselves, `handing_on` are gateways for others.
    """

    seed: int
    meters: int
    nodes: int
    start: datetime
    period: timedelta
    span: timedelta
    concurrency: int = 8
    collectors: int = 0
    store_octets: int = _ENOUGH
    behind: float = 0.5
    calling: float = 0.15
    handing_on: float = 0.15
    pushing: float = 0.6
    faults: int = 8
    meter_faults: Mapping[FaultKind, float] = field(default_factory=dict)
    first_read: timedelta = timedelta(hours=2)
    fires_to_settle: int = 3
    grace: timedelta = timedelta(minutes=75)

    @property
    def settle(self) -> timedelta:
        """Time to come right once nothing goes wrong any more: some fires, with their retries."""
        return self.fires_to_settle * self.period + timedelta(minutes=5)

    @property
    def end(self) -> datetime:
        """When the last fault is over."""
        return self.start + self.span


def settings_of(seed: int, *, meters: int | None = None, hours: float | None = None) -> WorldSettings:
    """The world of a seed, of the seed's own size and span unless it is said otherwise."""
    chance = Random(stream(seed, "world"))
    start = _FIRST_DAY + timedelta(minutes=chance.randrange(365 * 24 * 60), seconds=chance.randrange(60))
    number = _meters_of(seed, chance) if meters is None else meters
    drawn_hours = chance.choice((0.5, 0.75, 1.0, 1.5))
    kinds = chance.sample((FaultKind.SLOW, FaultKind.CLOSES_MID_FRAME, FaultKind.GARBAGE_BYTES, FaultKind.GAP), 2)
    rare = chance.choice((FaultKind.CLOCK_JUMP, FaultKind.SILENT, FaultKind.WRONG_KEY, FaultKind.REFUSED))
    is_large = number >= _MANY
    return WorldSettings(
        seed=seed,
        meters=number,
        nodes=chance.choice((2, 2, 3) if is_large else (1, 2, 2, 2, 3)),
        start=start,
        period=timedelta(minutes=20 if is_large else chance.choice((10, 10, 15))),
        span=timedelta(hours=hours or (0.5 if is_large else drawn_hours)),
        concurrency=8 if number <= 2 * DOZENS_EVERY else 64,
        collectors=4 if is_large else chance.choice((0, 0, 1, 1, 2)),
        store_octets=_store_of(seed, number),
        pushing=0.2 if is_large else 0.6,
        faults=chance.randrange(3, 14),
        meter_faults={kind: 0.02 if is_large else 0.1 for kind in (*kinds, rare) if chance.random() < _FAULTY},
        fires_to_settle=2 if is_large else 3,
    )


def _store_of(seed: int, meters: int) -> int:
    if seed % SMALL_STORES_EVERY or meters > DOZENS_EVERY:
        return _ENOUGH
    return Random(stream(seed, "store")).randrange(*_FEW_PUSHES)


def _meters_of(seed: int, chance: Random) -> int:
    if seed % THOUSANDS_EVERY == 0:
        return 2_000 + chance.randrange(400)
    if seed % DOZENS_EVERY == DOZENS_EVERY // 2:
        return chance.randrange(24, 60)
    return chance.randrange(3, 9)
