"""What goes wrong with simulated meters, by name: faults of the line, of the keys, of the record and of the clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from amity.kernel.errors import ConfigurationError
from amity.simulation.chance import Ints, draw, stream
from amity.simulation.household import INTERVAL_S, SLOTS

Mask = NDArray[np.bool_]


class FaultKind(StrEnum):
    """Each fault by the name that the command line and the fleet document use."""

    SILENT = "silent"  # takes the connection, never answers
    REFUSED = "refused"  # nobody listens on the port
    SLOW = "slow"  # answers, after a while
    CLOSES_MID_FRAME = "closes-mid-frame"  # in some sessions half an answer, then the line closes
    GARBAGE_BYTES = "garbage-bytes"  # in some sessions noise in place of an answer
    WRONG_KEY = "wrong-key"  # the meter's encryption key is not the one in the document
    GAP = "gap"  # rows missing from the load profile
    SPIKE = "spike"  # one absurd value in the load profile, the registers keep the truth
    CLOCK_JUMP = "clock-jump"  # for some hours the clock, and with it the stamps, are hours ahead


DEMO_MIX: Mapping[FaultKind, float] = {
    FaultKind.SILENT: 0.015,
    FaultKind.REFUSED: 0.005,
    FaultKind.SLOW: 0.02,
    FaultKind.CLOSES_MID_FRAME: 0.01,
    FaultKind.GARBAGE_BYTES: 0.01,
    FaultKind.WRONG_KEY: 0.01,
    FaultKind.GAP: 0.05,
    FaultKind.SPIKE: 0.005,
    FaultKind.CLOCK_JUMP: 0.005,
}
"""Shares of a town in which most things work: of 200 meters 3 silent, 1 refused, 2 with a wrong key and so on."""

SLOW_ANSWER_S = (0.2, 0.8)
"""How long a slow meter thinks before each answer, from and to."""

FLAKY_SESSIONS = 0.5
"""Share of the sessions that a fault of `closes-mid-frame` or `garbage-bytes` spoils; a retry has a fair chance."""

SPIKE_WH = 41_000
CLOCK_JUMP_S = 2 * 3600
_GAP_EVERY_DAYS = 3
_SPIKE_EVERY_DAYS = 7
_SHORT_GAP_SLOTS_MAX = 8  # two hours, what VEE may interpolate
_LONG_GAP_SLOTS_MAX = 30
_JUMP_FIRST_SLOT, _JUMP_LAST_SLOT = 36, 52


def demo_mix(meters: int) -> dict[FaultKind, float]:
    """The mix for a fleet of this size; a small town leaves out what would be less than half a meter of it."""
    return {kind: share for kind, share in DEMO_MIX.items() if share * meters >= 0.5}  # noqa: PLR2004 - half a meter


def parse_mix(texts: Sequence[str]) -> dict[FaultKind, float]:
    """Read `name=share` entries; raise ConfigurationError that names the entry for anything else."""
    return dict(_parse_share(text) for text in texts)


def assign(kind: FaultKind, share: float, seed: int, serials: Sequence[str], fleet_size: int) -> dict[str, FaultKind]:
    """Give a fault to `share` of the fleet among these meters, at least to one when the share is above 0."""
    count = max(1, round(share * fleet_size)) if share > 0 else 0
    shuffled = sorted(serials, key=lambda serial: stream(seed, "fault", kind, serial))
    return dict.fromkeys(shuffled[:count], kind)


@dataclass(frozen=True, slots=True)
class RecordFaults:
    """How one meter's record departs from the truth, day by day; days count from the `anchor_day`, which is today.

    Each fault shows on the day before the anchor, so that yesterday has something to look at, and comes back.
    """

    kinds: frozenset[FaultKind]
    seed: int
    serial: str
    anchor_day: int

    def captured(self, day: int) -> Mask:
        """bool[96]: False where the load profile has no row."""
        captured = np.ones(SLOTS, bool)
        if FaultKind.GAP in self.kinds and self._comes_up(day, _GAP_EVERY_DAYS):
            first, length = self._gap(day)
            captured[first : first + length] = False
        return captured

    def spike_wh(self, day: int) -> Ints:
        """int64[96]: Wh that the load profile shows over the truth."""
        extra = np.zeros(SLOTS, np.int64)
        if FaultKind.SPIKE in self.kinds and self._comes_up(day, _SPIKE_EVERY_DAYS):
            extra[int(draw(self._stream("spike"), day) * SLOTS)] = SPIKE_WH
        return extra

    def jumped(self, day: int) -> Mask:
        """bool[96]: True where the clock is `CLOCK_JUMP_S` ahead."""
        slots = np.arange(SLOTS)
        happens = FaultKind.CLOCK_JUMP in self.kinds and self._comes_up(day, _SPIKE_EVERY_DAYS)
        return np.asarray((slots >= _JUMP_FIRST_SLOT) & (slots < _JUMP_LAST_SLOT) & happens)

    def clock_offset_s(self, at_s: int) -> int:
        """Seconds by which the clock is ahead because it jumped."""
        slot = at_s // INTERVAL_S
        return CLOCK_JUMP_S if self.jumped(slot // SLOTS)[slot % SLOTS] else 0

    def _gap(self, day: int) -> tuple[int, int]:
        """First slot and length; a third of the meters with gaps have long ones."""
        is_long = draw(self._stream("long gaps")) < 1 / 3
        low, high = (_SHORT_GAP_SLOTS_MAX + 1, _LONG_GAP_SLOTS_MAX) if is_long else (1, _SHORT_GAP_SLOTS_MAX)
        length = low + int(draw(self._stream("gap length"), day) * (high - low + 1))
        return 1 + int(draw(self._stream("gap start"), day) * (SLOTS - length - 1)), length

    def _comes_up(self, day: int, every_days: int) -> bool:
        return (day - self.anchor_day + 1) % every_days == 0

    def _stream(self, name: str) -> int:
        return stream(self.seed, self.serial, name)


def _parse_share(text: str) -> tuple[FaultKind, float]:
    name, _, number = text.partition("=")
    try:
        kind, share = FaultKind(name.strip()), float(number)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigurationError(
            f"{text!r} is not a fault with its share of the meters",
            next_step=f"write name=share, for example gap=0.05; names: {', '.join(FaultKind)}",
        )
    return kind, share
